//! Class `TrainedPolicy`: a policy of a run directory on the CPU.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use stepladder_core::Query;
use stepladder_cpu::{CpuError, Policy};
use stepladder_env::{Draw, EnvError, Subset};
use stepladder_families::named;
use stepladder_rollout::generator::{GenerateError, Request, RequestId};
use stepladder_rollout::sampling::Distribution;
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Generator, Job, Scheduler};

use crate::episodes::json;
use crate::errors::Fault;
use crate::shared::{Source, interruptible, on_threads, open};

/// Time that one poll of the generator may wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two looks at a generator that another call uses.
const TURN: Duration = Duration::from_millis(5);

/// A policy of a run or checkpoint directory.
#[pyclass(frozen, module = "stepladder._stepladder")]
pub(crate) struct TrainedPolicy {
    policy: Policy,
    id: &'static str,
    name: String,
    generator: Mutex<Box<dyn Generator>>,
}

#[pymethods]
impl TrainedPolicy {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, id: &str, agent: Option<&str>, threads: usize) -> PyResult<Self> {
        let family = named(id).map_err(Fault::UnknownEnvironment)?;
        let codec = (family.codec)();
        let load = || -> Result<Self, Fault> {
            let policy = Policy::open(&path, agent).map_err(refused)?;
            let generator = policy.generator(&codec, threads).map_err(refused)?;
            let name = generator.policy();
            Ok(Self { policy, id: family.spec.id, name, generator: Mutex::new(generator) })
        };
        Ok(py.detach(load)?)
    }

    /// Agent with its ablations.
    #[getter]
    fn agent(&self) -> String {
        self.policy.agent().to_string()
    }

    /// Id of the environment.
    #[getter]
    fn env(&self) -> &'static str {
        self.id
    }

    /// Name in traces.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Replies to queries in JSON, in one batch and greedily.
    fn replies(&self, py: Python<'_>, queries: Vec<String>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.answer(&queries))?)
    }

    #[pyo3(signature = (split, *, options, data, count, max_steps, slots, temperature, seed))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn play(
        &self,
        py: Python<'_>,
        split: &str,
        options: BTreeMap<String, String>,
        data: Option<PathBuf>,
        count: usize,
        max_steps: Option<u32>,
        slots: usize,
        temperature: Option<f64>,
        seed: u64,
    ) -> PyResult<Vec<String>> {
        let source = Source { id: self.id.to_owned(), options, data };
        let play = |stop: &AtomicBool| -> Result<Vec<String>, Fault> {
            let opened = open(&source)?;
            let tasks = opened.shared.tasks();
            let options = Options {
                max_steps: max_steps.unwrap_or_else(|| tasks.max_steps(split)),
                slots,
                sampling: temperature.map(Distribution::at),
                seed,
                stop: Some(stop),
                ..Options::greedy(self.policy.agent())
            };
            let mut generator = self.waited(stop)?;
            let generator = &mut **generator;
            on_threads(|| {
                let subset = Subset::draw(tasks, split, count, Draw::Evaluation)?;
                let episodes =
                    Scheduler::new(tasks, generator, options).run(&Job::each(&subset.tasks), |_| {});
                let failed = |reason: String| EnvError::Backend { env: tasks.spec().id, reason };
                let episodes = episodes.map_err(|error| failed(error.to_string()))?;
                episodes.iter().map(json).collect()
            })?
        };
        interruptible(py, self.id, play)
    }
}

impl TrainedPolicy {
    /// Takes the generator when no other call uses it; gives up once `stop` is set.
    fn waited(&self, stop: &AtomicBool) -> Result<MutexGuard<'_, Box<dyn Generator>>, Fault> {
        loop {
            match self.generator.try_lock() {
                Ok(generator) => return Ok(generator),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => {
                    return Err(Fault::Usage(GenerateError::Stopped.to_string()));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(TURN),
            }
        }
    }

    fn answer(&self, queries: &[String]) -> Result<Vec<String>, Fault> {
        let mut ids = HashMap::new();
        let read = |(at, text): (usize, &String)| -> Result<Request, Fault> {
            let query: Query = serde_json::from_str(text)
                .map_err(|error| Fault::Usage(format!("not a query of an agent: {error}")))?;
            let id = RequestId::fresh();
            ids.insert(id, at);
            // Every query is a session of its own, so that none is dropped for a later one.
            Ok(Request { id, query, session: at as u64, sampling: None, allowed: None, stop: None })
        };
        let requests: Vec<Request> = queries.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        generator.submit(requests);
        let replies = collect(&mut **generator, ids);
        (0..queries.len() as u64).for_each(|session| generator.end_session(session));
        replies.map_err(|error| Fault::Usage(format!("the policy gave no reply: {error}")))
    }
}

/// Takes the replies to requests, in the order of their positions; the first error ends it.
fn collect(
    generator: &mut dyn Generator,
    mut positions: HashMap<RequestId, usize>,
) -> Result<Vec<String>, GenerateError> {
    let mut replies = vec![String::new(); positions.len()];
    while !positions.is_empty() {
        for (id, answer) in generator.poll(PATIENCE)? {
            if let Some(at) = positions.remove(&id) {
                replies[at] = answer?.text;
            }
        }
    }
    Ok(replies)
}

/// Turns an error of a checkpoint into that of data.
fn refused(error: CpuError) -> Fault {
    match error {
        CpuError::Checkpoint { path, reason } => EnvError::Data { path, reason }.into(),
        other => Fault::Usage(other.to_string()),
    }
}
