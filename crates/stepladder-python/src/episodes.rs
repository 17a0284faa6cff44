//! Functions `transcript` and `demonstrate`: episodes as JSON texts, which the package turns into dictionaries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;
use stepladder_agent::AgentSpec;
use stepladder_core::trace::{self, Episode};
use stepladder_env::transcript::{open as open_file, read_rows};
use stepladder_env::{Draw, EnvError, Subset};
use stepladder_families::named;
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Dropped, Job, demonstrations};

use crate::errors::Fault;
use crate::shared::{Source, interruptible, on_threads, open};

/// Reads the rows of a recorded transcript, or the episodes of a trace.
#[pyfunction]
pub(crate) fn transcript(py: Python<'_>, path: PathBuf) -> PyResult<Vec<String>> {
    Ok(py.detach(|| read(&path))?)
}

fn read(path: &Path) -> Result<Vec<String>, Fault> {
    let rows = read_rows(path)?;
    // A trace has a version, and its older forms are read as the present one.
    if rows[0].get("subtasks").is_none() {
        return Ok(rows.iter().map(ToString::to_string).collect());
    }
    let data = |reason: String| EnvError::Data { path: path.to_owned(), reason };
    trace::read(open_file(path)?)
        .map(|episode| json(&episode.map_err(|error| data(error.to_string()))?))
        .collect()
}

/// Plays tasks with the expert.
#[pyfunction]
#[pyo3(signature = (id, split, *, options, data, count, agent, noise, max_steps, seed))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn demonstrate(
    py: Python<'_>,
    id: String,
    split: &str,
    options: BTreeMap<String, String>,
    data: Option<PathBuf>,
    count: usize,
    agent: &str,
    noise: f64,
    max_steps: Option<u32>,
    seed: u64,
) -> PyResult<Vec<String>> {
    let source = Source { id, options, data };
    let agent: AgentSpec = agent.parse().map_err(Fault::Usage)?;
    if !(0.0..1.0).contains(&noise) {
        return Err(Fault::Usage(format!("noise is {noise}; it is a probability below 1")).into());
    }
    let id = named(&source.id).map_err(Fault::UnknownEnvironment)?.spec.id;
    let play = |stop: &AtomicBool| -> Result<Vec<String>, Fault> {
        let opened = open(&source)?;
        let tasks = opened.shared.tasks();
        let expert = opened.family.expert()?;
        let perturb = if noise > 0.0 { Some(opened.family.noise()?) } else { None };
        let options = Options {
            max_steps: max_steps.unwrap_or_else(|| tasks.max_steps(split)),
            seed,
            stop: Some(stop),
            noise: perturb.as_deref().map(|perturb| Noise { probability: noise, perturb }),
            ..Options::greedy(agent)
        };
        on_threads(|| {
            let subset = Subset::draw(tasks, split, count, Draw::Training { seed })?;
            let jobs = Job::each(&subset.tasks);
            let played = demonstrations::demonstrate(tasks, ("expert", &*expert), &jobs, options, |_| {});
            let mut episodes = played.map_err(|error| Fault::Usage(error.to_string()))?;
            Dropped::take_from(&mut episodes)
                .map_err(|error| EnvError::Backend { env: tasks.spec().id, reason: error.to_string() })?;
            episodes.iter().map(json).collect()
        })?
    };
    interruptible(py, id, play)
}

/// Writes an episode as a line of a trace.
pub(crate) fn json(episode: &Episode) -> Result<String, Fault> {
    serde_json::to_string(episode).map_err(|error| Fault::Usage(error.to_string()))
}
