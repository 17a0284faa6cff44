//! Result of a reset or a step, and its form in Python.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepladder_core::End;
use stepladder_env::session::Episode;

/// Result of a reset or a step.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) observation: String,
    pub(crate) reward: f64,
    pub(crate) end: Option<End>,
    unknown_action: bool,
    context: String,
    task: String,
    family: String,
    task_id: String,
    split: String,
    seed: u64,
    steps: u32,
    score: f64,
    won: bool,
    admissible: Option<Vec<String>>,
}

impl Outcome {
    /// Describes the current state of an episode.
    pub(crate) fn new(
        episode: &Episode,
        observation: String,
        reward: f64,
        unknown_action: bool,
        admissible: Option<Vec<String>>,
    ) -> Self {
        Self {
            observation,
            reward,
            end: episode.end,
            unknown_action,
            context: episode.context.clone(),
            task: episode.start.task.clone(),
            family: episode.start.family.clone(),
            task_id: episode.task.id.clone(),
            split: episode.task.split.clone(),
            seed: episode.seed,
            steps: episode.steps,
            score: episode.score,
            won: episode.won,
            admissible,
        }
    }

    /// Returns the dictionary `info`.
    pub(crate) fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = PyDict::new(py);
        info.set_item(intern!(py, "context"), &self.context)?;
        info.set_item(intern!(py, "task"), &self.task)?;
        info.set_item(intern!(py, "family"), &self.family)?;
        info.set_item(intern!(py, "task_id"), &self.task_id)?;
        info.set_item(intern!(py, "split"), &self.split)?;
        info.set_item(intern!(py, "seed"), self.seed)?;
        info.set_item(intern!(py, "steps"), self.steps)?;
        info.set_item(intern!(py, "score"), self.score)?;
        info.set_item(intern!(py, "won"), self.won)?;
        info.set_item(intern!(py, "unknown_action"), self.unknown_action)?;
        if let Some(actions) = &self.admissible {
            info.set_item(intern!(py, "admissible_actions"), actions)?;
        }
        Ok(info)
    }
}
