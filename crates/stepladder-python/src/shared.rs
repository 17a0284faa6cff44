//! Opened tasks, shared by all environments of a process, and the thread pool on which they are read and stepped.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use rayon::{ThreadPool, ThreadPoolBuilder};
use stepladder_env::session::Split;
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

/// Time between two looks at the signals.
const LISTEN: Duration = Duration::from_millis(50);

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

/// Reads the tasks of a split, on threads; later calls find them.
pub(crate) fn read_split(shared: &SharedTasks, split: &str) -> Result<Arc<Split>, Fault> {
    static READING: Mutex<()> = Mutex::new(());
    // A second caller waits here, for the list, and outside of the pool (see `on_threads`).
    let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    on_threads(|| shared.split(split).map_err(Fault::from))?
}

/// Runs work that lasts, beside the calling thread, which hears signals meanwhile: when one raises an exception (Ctrl-C does),
/// the flag that the work gets is set. A panic of the work becomes an error of the environment `id`.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    id: &'static str,
    work: impl FnOnce(&AtomicBool) -> Result<T, Fault> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let stop = &AtomicBool::new(false);
        thread::scope(|scope| {
            let (ended, end) = channel::<()>();
            let worker =
                thread::Builder::new().name("stepladder-play".to_owned()).spawn_scoped(scope, move || {
                    let _ended = ended; // Dropped at the end of the work, also by a panic.
                    work(stop)
                });
            let worker = worker.map_err(|error| unstarted(&error))?;
            let mut raised = None;
            while end.recv_timeout(LISTEN) == Err(RecvTimeoutError::Timeout) {
                if raised.is_none() {
                    raised = Python::attach(|py| py.check_signals()).err();
                    stop.store(raised.is_some(), Ordering::Relaxed);
                }
            }
            let worked = worker.join();
            if let Some(raised) = raised {
                return Err(raised);
            }
            Ok(worked.unwrap_or_else(|payload| Err(panicked(id, &*payload).into()))?)
        })
    })
}

/// Returns the error of an environment that panicked.
pub(crate) fn panicked(env: &'static str, payload: &(dyn Any + Send)) -> EnvError {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    EnvError::Backend { env, reason: format!("the environment panicked: {}", text.unwrap_or("no message")) }
}

fn unstarted(error: &dyn std::fmt::Display) -> Fault {
    EnvError::Io(std::io::Error::other(format!("cannot start threads: {error}"))).into()
}

/// Runs work whose parallel parts use the threads of this process.
///
/// A thread of the pool that waits for the parts of its work takes up other work meanwhile. A lock that is taken inside of `work`
/// and held over a parallel part would then be taken again by the thread that holds it: take such locks before.
pub(crate) fn on_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Fault> {
    let pool = {
        let mut current = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        match &*current {
            Some((owner, pool)) if *owner == process => pool.clone(),
            _ => {
                let built = ThreadPoolBuilder::new().thread_name(|at| format!("stepladder-{at}")).build();
                let pool = Arc::new(built.map_err(|error| unstarted(&error))?);
                // The former pool belongs to the parent process: dropping it would talk to threads that do not exist here.
                std::mem::forget(current.replace((process, pool.clone())));
                pool
            }
        }
    };
    Ok(pool.install(work))
}
