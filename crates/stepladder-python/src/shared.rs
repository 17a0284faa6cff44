//! Opened tasks, shared by all environments of a process, and the thread pool on which they are read and stepped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};
use stepladder_env::{EnvError, Family, Reader, SharedTasks};

use crate::errors::Fault;

/// Environment with options and data root, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) data: Option<PathBuf>,
}

/// Opened tasks of one environment.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) family: &'static Family,
    pub(crate) shared: Arc<SharedTasks>,
}

/// Source and, where a fork does not copy the simulator, process.
type Key = (Source, Option<u32>);

static OPENED: Mutex<BTreeMap<Key, Arc<SharedTasks>>> = Mutex::new(BTreeMap::new());

/// Thread pool of a process: a fork copies no threads.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Returns the process that the environments of a family are bound to; none if they work after a fork.
pub(crate) fn bound(family: &Family) -> Option<u32> {
    family.child_processes.then(std::process::id)
}

/// Opens the tasks of a source, once per process.
pub(crate) fn open(source: &Source) -> Result<Opened, Fault> {
    let family = stepladder_families::named(&source.id).map_err(Fault::UnknownEnvironment)?;
    let pairs = source.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let options = family.options(Reader::Play, pairs)?;
    let key = (source.clone(), bound(family));
    // Held while the tasks are opened, so that a second caller waits for them.
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = opened.get(&key) {
        return Ok(Opened { family, shared: shared.clone() });
    }
    let tasks = on_threads(|| family.open(source.data.as_deref(), &options))??;
    let shared = SharedTasks::new(tasks);
    opened.insert(key, shared.clone());
    Ok(Opened { family, shared })
}

/// Runs work whose parallel parts use the threads of this process.
pub(crate) fn on_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Fault> {
    let pool = {
        let mut current = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        match &*current {
            Some((owner, pool)) if *owner == process => pool.clone(),
            _ => {
                let built = ThreadPoolBuilder::new().thread_name(|at| format!("stepladder-{at}")).build();
                let pool = Arc::new(built.map_err(|error| {
                    EnvError::Io(std::io::Error::other(format!("cannot start threads: {error}")))
                })?);
                // The former pool belongs to the parent process: dropping it would talk to threads that do not exist here.
                std::mem::forget(current.replace((process, pool.clone())));
                pool
            }
        }
    };
    Ok(pool.install(work))
}
