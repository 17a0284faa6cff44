//! Pool of JVMs that the worlds are distributed over.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::failure::Failure;
use crate::jar::Jar;
use crate::java::Launch;
use crate::jvm::{CallError, Jvm};
use crate::wire::{Op, Reply, Request, whole_list};

/// Options of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Number of JVMs; each uses one core.
    pub jvms: usize,
    /// Path of `java`; searched for if absent.
    pub java: Option<PathBuf>,
    /// Heap limit of one JVM in megabytes (measured in docs/scienceworld.md).
    pub heap_mb: u32,
    /// Time limit of a call; a JVM that exceeds it is replaced.
    pub timeout: Duration,
    /// Time limit of generating a gold path.
    pub gold_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            jvms: std::thread::available_parallelism().map_or(1, usize::from),
            java: None,
            heap_mb: 768,
            timeout: Duration::from_secs(60),
            gold_timeout: Duration::from_secs(300),
        }
    }
}

/// Pool of JVMs with the simulator, each started on first use. Clones share the JVMs, which end with the last
/// clone.
#[derive(Debug, Clone)]
pub struct Pool(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    jar: Jar,
    pub(crate) options: PoolOptions,
    launch: Mutex<Option<Launch>>,
    slots: Vec<Slot>,
    /// Number of live instances per slot.
    living: Mutex<Vec<usize>>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct Slot {
    seat: Mutex<Seat>,
    /// Ids of dropped instances, whose worlds are freed with the next call.
    ended: Mutex<Vec<u32>>,
    /// Process id of the JVM; 0 without one.
    pid: AtomicU32,
}

/// Current JVM of a slot.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    jvm: Option<Jvm>,
    /// Number of JVMs started so far; 0 before the first. A world exists only in the JVM that loaded it.
    pub(crate) generation: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // After a panic the state is consistent, or the next reply has the wrong call number and the JVM is
    // replaced.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// Creates a pool. No JVM is started yet.
    pub fn new(jar: Jar, options: PoolOptions) -> Self {
        let jvms = options.jvms.max(1);
        Self(Arc::new(Shared {
            jar,
            options,
            launch: Mutex::new(None),
            slots: (0..jvms).map(|_| Slot::default()).collect(),
            living: Mutex::new(vec![0; jvms]),
            next: AtomicU32::new(1),
        }))
    }

    /// Returns the simulator.
    pub fn jar(&self) -> &Jar {
        &self.0.jar
    }

    /// Returns the maximum number of JVMs.
    pub fn jvms(&self) -> usize {
        self.0.slots.len()
    }

    /// Returns the process ids of the running JVMs. Does not wait for calls.
    pub fn pids(&self) -> Vec<u32> {
        let all = self.0.slots.iter().map(|slot| slot.pid.load(Ordering::Relaxed));
        all.filter(|pid| *pid != 0).collect()
    }

    /// Generates the gold path of a task in a separate world; takes about a second.
    ///
    /// # Errors
    /// [`Failure`], also if the simulator has no gold path for the task.
    pub fn gold(&self, task: &str, variation: u32, simplification: &str) -> Result<Vec<String>, Failure> {
        let request = Request::new(Op::Gold).text(task).int(variation).text(simplification);
        Ok(self.0.ask(request, self.0.options.gold_timeout, whole_list)?.to_vec())
    }

    /// Lists the names of the simulator's tasks.
    ///
    /// # Errors
    /// [`Failure`] of the simulator.
    pub fn tasks(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.ask(Request::new(Op::Tasks), self.0.options.timeout, whole_list)?.to_vec())
    }

    /// Returns the number of variations of a task and those of the simulator's train, dev and test sets.
    ///
    /// # Errors
    /// [`Failure`], also if the simulator does not know the task.
    pub fn variations(&self, task: &str) -> Result<(u32, [Vec<String>; 3]), Failure> {
        self.0.ask(Request::new(Op::Variations).text(task), self.0.options.timeout, |mut reply| {
            let count = reply.int()?;
            let sets = [reply.list()?.to_vec(), reply.list()?.to_vec(), reply.list()?.to_vec()];
            reply.end((count, sets))
        })
    }
}

impl Shared {
    /// Assigns a new instance to the slot with the fewest. Returns the slot and the instance's id.
    pub(crate) fn register(&self) -> (usize, u32) {
        let mut living = lock(&self.living);
        let place = (0..living.len()).min_by_key(|place| living[*place]).unwrap_or(0);
        living[place] += 1;
        (place, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Releases an instance. Does not wait for a running call.
    pub(crate) fn unregister(&self, place: usize, id: u32) {
        lock(&self.living)[place] -= 1;
        lock(&self.slots[place].ended).push(id);
    }

    /// Locks the JVM of a slot; other calls to it wait.
    pub(crate) fn seat(&self, place: usize) -> MutexGuard<'_, Seat> {
        lock(&self.slots[place].seat)
    }

    /// Calls the JVM of a slot, which is started if there is none. A JVM that fails is ended.
    pub(crate) fn call<T>(
        &self,
        place: usize,
        seat: &mut Seat,
        request: &mut Request,
        timeout: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<Result<T, CallError>, Failure> {
        self.start(place, seat)?;
        let Some(jvm) = &mut seat.jvm else {
            return Err(Failure::Start("no simulator".to_owned()));
        };
        let ended = std::mem::take(&mut *lock(&self.slots[place].ended));
        let mut result = Ok(());
        if !ended.is_empty() {
            let mut forget = ended.into_iter().fold(Request::new(Op::Forget), Request::int);
            result = jvm.call(&mut forget, timeout, |reply| reply.end(()));
        }
        let result = match result {
            Ok(()) => jvm.call(request, timeout, read),
            Err(trouble) => Err(trouble),
        };
        if matches!(result, Err(CallError::Broken(_))) {
            // Dropping the JVM kills it and waits for its end.
            seat.jvm = None;
            self.slots[place].pid.store(0, Ordering::Relaxed);
        }
        Ok(result)
    }

    /// Starts the JVM of a slot if there is none.
    pub(crate) fn start(&self, place: usize, seat: &mut Seat) -> Result<(), Failure> {
        if seat.jvm.is_none() {
            let launch = {
                let mut prepared = lock(&self.launch);
                if prepared.is_none() {
                    let options = &self.options;
                    *prepared = Some(Launch::prepare(&self.jar, options.java.as_deref(), options.heap_mb)?);
                }
                prepared.clone()
            };
            seat.jvm = launch.map(|launch| Jvm::start(&launch)).transpose()?;
            seat.generation += 1;
            let pid = seat.jvm.as_ref().map_or(0, Jvm::pid);
            self.slots[place].pid.store(pid, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes a call that needs no particular world, on any idle JVM. A JVM that fails is replaced once.
    fn ask<T>(
        &self,
        mut request: Request,
        timeout: Duration,
        read: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut first = None;
        loop {
            let (place, mut seat) = self.free();
            match (self.call(place, &mut seat, &mut request, timeout, &read)?, &first) {
                (Ok(answer), _) => return Ok(answer),
                (Err(CallError::Threw(what)), _) => return Err(Failure::Simulator(what)),
                (Err(CallError::Broken(what)), None) => first = Some(what),
                (Err(CallError::Broken(what)), Some(first)) => return Err(both_failed(first, &what)),
            }
        }
    }

    /// Locks an idle slot, or else the one with the fewest instances once it is idle.
    fn free(&self) -> (usize, MutexGuard<'_, Seat>) {
        for (place, slot) in self.slots.iter().enumerate() {
            match slot.seat.try_lock() {
                Ok(seat) => return (place, seat),
                Err(TryLockError::Poisoned(seat)) => return (place, seat.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let place = {
            let living = lock(&self.living);
            (0..living.len()).min_by_key(|place| living[*place]).unwrap_or(0)
        };
        (place, self.seat(place))
    }
}

/// Returns the failure of a JVM and its replacement.
pub(crate) fn both_failed(first: &str, second: &str) -> Failure {
    Failure::Broken(if first == second {
        format!("{first}; its replacement failed in the same way")
    } else {
        format!("{first}; in its replacement: {second}")
    })
}
