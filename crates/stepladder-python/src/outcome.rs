//! Result of a reset or a step, and its form in Python.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyList};
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
    max_steps: u32,
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
            max_steps: episode.max_steps,
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
        info.set_item(intern!(py, "max_steps"), self.max_steps)?;
        info.set_item(intern!(py, "score"), self.score)?;
        info.set_item(intern!(py, "won"), self.won)?;
        info.set_item(intern!(py, "unknown_action"), self.unknown_action)?;
        if let Some(actions) = &self.admissible {
            info.set_item(intern!(py, "admissible_actions"), actions)?;
        }
        Ok(info)
    }
}

/// Returns the values of several outcomes as one dictionary: a list of texts, or the bytes of an array of numbers, per key.
pub(crate) fn columns<'py>(py: Python<'py>, outcomes: &[Outcome]) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let texts = |text: fn(&Outcome) -> &str| PyList::new(py, outcomes.iter().map(text));
    columns.set_item(intern!(py, "context"), texts(|outcome| &outcome.context)?)?;
    columns.set_item(intern!(py, "task"), texts(|outcome| &outcome.task)?)?;
    columns.set_item(intern!(py, "family"), texts(|outcome| &outcome.family)?)?;
    columns.set_item(intern!(py, "task_id"), texts(|outcome| &outcome.task_id)?)?;
    columns.set_item(intern!(py, "split"), texts(|outcome| &outcome.split)?)?;
    let numbers = |number: fn(&Outcome) -> [u8; 8]| {
        PyByteArray::new(py, &outcomes.iter().flat_map(number).collect::<Vec<_>>())
    };
    columns.set_item(intern!(py, "seed"), numbers(|outcome| outcome.seed.to_ne_bytes()))?;
    columns.set_item(intern!(py, "steps"), numbers(|outcome| u64::from(outcome.steps).to_ne_bytes()))?;
    columns
        .set_item(intern!(py, "max_steps"), numbers(|outcome| u64::from(outcome.max_steps).to_ne_bytes()))?;
    columns.set_item(intern!(py, "score"), numbers(|outcome| outcome.score.to_ne_bytes()))?;
    columns.set_item(intern!(py, "reward"), numbers(|outcome| outcome.reward.to_ne_bytes()))?;
    let flags = |flag: fn(&Outcome) -> bool| {
        PyByteArray::new(py, &outcomes.iter().map(|outcome| u8::from(flag(outcome))).collect::<Vec<_>>())
    };
    columns.set_item(intern!(py, "won"), flags(|outcome| outcome.won))?;
    columns.set_item(intern!(py, "unknown_action"), flags(|outcome| outcome.unknown_action))?;
    columns.set_item(intern!(py, "terminated"), flags(|outcome| outcome.end == Some(End::Terminated)))?;
    columns.set_item(intern!(py, "truncated"), flags(|outcome| outcome.end == Some(End::Truncated)))?;
    if outcomes.iter().any(|outcome| outcome.admissible.is_some()) {
        let lists = outcomes.iter().map(|outcome| outcome.admissible.as_deref().unwrap_or_default());
        columns.set_item(intern!(py, "admissible_actions"), PyList::new(py, lists)?)?;
    }
    Ok(columns)
}
