//! A few JVMs that share all worlds between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::failure::Failure;
use crate::jar::Jar;
use crate::java::Launch;
use crate::wire::{Op, Reply, Request, whole_list};
use crate::worker::{Trouble, Worker};

/// How simulators are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// JVMs; each uses one core.
    pub workers: usize,
    /// The `java` to run; looked for if absent.
    pub java: Option<PathBuf>,
    /// Most memory that the objects of one JVM may take, in megabytes (docs/scienceworld.md says how it was measured).
    pub heap_mb: u32,
    /// How long one call may take; a JVM that takes longer is replaced.
    pub patience: Duration,
    /// The same for generating a gold path.
    pub gold_patience: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            java: None,
            heap_mb: 768,
            patience: Duration::from_secs(60),
            gold_patience: Duration::from_secs(300),
        }
    }
}

/// JVMs with the simulator, started when they are first needed. Clones share them; they end with the last clone.
#[derive(Debug, Clone)]
pub struct Pool(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    jar: Jar,
    pub(crate) options: PoolOptions,
    launch: Mutex<Option<Launch>>,
    slots: Vec<Slot>,
    /// Living instances of each slot.
    living: Mutex<Vec<usize>>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct Slot {
    seat: Mutex<Seat>,
    /// Instances that ended: their worlds are given up with the next call.
    ended: Mutex<Vec<u32>>,
    /// Of the JVM there; 0 without one.
    pid: AtomicU32,
}

/// A place for one JVM after another.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    worker: Option<Worker>,
    /// Goes up with every JVM: a world exists only in the one that it was loaded in. 0 before the first.
    pub(crate) generation: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread leaves is either whole or a JVM that answers the wrong call, which is noticed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool over a simulator. Nothing is started yet.
    pub fn new(jar: Jar, options: PoolOptions) -> Self {
        let workers = options.workers.max(1);
        Self(Arc::new(Shared {
            jar,
            options,
            launch: Mutex::new(None),
            slots: (0..workers).map(|_| Slot::default()).collect(),
            living: Mutex::new(vec![0; workers]),
            next: AtomicU32::new(1),
        }))
    }

    /// The simulator.
    pub fn jar(&self) -> &Jar {
        &self.0.jar
    }

    /// How many JVMs there are at most.
    pub fn workers(&self) -> usize {
        self.0.slots.len()
    }

    /// Process ids of the JVMs that run now. Does not wait for calls.
    pub fn pids(&self) -> Vec<u32> {
        let all = self.0.slots.iter().map(|slot| slot.pid.load(Ordering::Relaxed));
        all.filter(|pid| *pid != 0).collect()
    }

    /// The simulator's own solution of a task, generated on a world of its own; takes about a second.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn gold(&self, task: &str, variation: u32, simplification: &str) -> Result<Vec<String>, Failure> {
        let request = Request::new(Op::Gold).text(task).int(variation).text(simplification);
        Ok(self.0.ask(request, self.0.options.gold_patience, whole_list)?.to_vec())
    }

    /// Names of the simulator's tasks.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn tasks(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.ask(Request::new(Op::Tasks), self.0.options.patience, whole_list)?.to_vec())
    }

    /// Variations of a task: how many, and those of the simulator's train, dev and test sets.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn variations(&self, task: &str) -> Result<(u32, [Vec<String>; 3]), Failure> {
        self.0.ask(Request::new(Op::Variations).text(task), self.0.options.patience, |mut reply| {
            let count = reply.int()?;
            let sets = [reply.list()?.to_vec(), reply.list()?.to_vec(), reply.list()?.to_vec()];
            reply.end((count, sets))
        })
    }
}

impl Shared {
    /// A place for a new instance, where there are fewest, and a number for it.
    pub(crate) fn admit(&self) -> (usize, u32) {
        let mut living = lock(&self.living);
        let place = (0..living.len()).min_by_key(|place| living[*place]).unwrap_or(0);
        living[place] += 1;
        (place, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Gives a place up. Does not wait.
    pub(crate) fn dismiss(&self, place: usize, id: u32) {
        lock(&self.living)[place] -= 1;
        lock(&self.slots[place].ended).push(id);
    }

    /// The place's JVM for as long as the guard lives; other calls to it wait.
    pub(crate) fn seat(&self, place: usize) -> MutexGuard<'_, Seat> {
        lock(&self.slots[place].seat)
    }

    /// A call to the JVM of a place, which is started if there is none. A JVM that breaks is ended.
    pub(crate) fn call<T>(
        &self,
        place: usize,
        seat: &mut Seat,
        request: &mut Request,
        patience: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<Result<T, Trouble>, Failure> {
        self.start(place, seat)?;
        let Some(worker) = &mut seat.worker else {
            return Err(Failure::Start("no simulator".to_owned()));
        };
        let ended = std::mem::take(&mut *lock(&self.slots[place].ended));
        let mut result = Ok(());
        if !ended.is_empty() {
            let mut forget = ended.into_iter().fold(Request::new(Op::Forget), Request::int);
            result = worker.call(&mut forget, patience, |reply| reply.end(()));
        }
        let result = match result {
            Ok(()) => worker.call(request, patience, read),
            Err(trouble) => Err(trouble),
        };
        if matches!(result, Err(Trouble::Broken(_))) {
            // Killed and waited for.
            seat.worker = None;
            self.slots[place].pid.store(0, Ordering::Relaxed);
        }
        Ok(result)
    }

    /// Sees to it that a seat has a JVM.
    pub(crate) fn start(&self, place: usize, seat: &mut Seat) -> Result<(), Failure> {
        if seat.worker.is_none() {
            let launch = {
                let mut prepared = lock(&self.launch);
                if prepared.is_none() {
                    let options = &self.options;
                    *prepared = Some(Launch::prepare(&self.jar, options.java.as_deref(), options.heap_mb)?);
                }
                prepared.clone()
            };
            seat.worker = launch.map(|launch| Worker::start(&launch)).transpose()?;
            seat.generation += 1;
            let pid = seat.worker.as_ref().map_or(0, Worker::pid);
            self.slots[place].pid.store(pid, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A call that needs no particular world: any free JVM answers, a broken one is replaced once.
    fn ask<T>(
        &self,
        mut request: Request,
        patience: Duration,
        read: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut first = None;
        loop {
            let (place, mut seat) = self.free();
            match (self.call(place, &mut seat, &mut request, patience, &read)?, &first) {
                (Ok(answer), _) => return Ok(answer),
                (Err(Trouble::Threw(what)), _) => return Err(Failure::Simulator(what)),
                (Err(Trouble::Broken(what)), None) => first = Some(what),
                (Err(Trouble::Broken(what)), Some(first)) => return Err(twice(first, &what)),
            }
        }
    }

    /// An unused place, or else the one with fewest instances, once it is free.
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

/// What is said when the replacement broke as well.
pub(crate) fn twice(first: &str, second: &str) -> Failure {
    Failure::Broken(if first == second {
        format!("{first}, twice")
    } else {
        format!("{first}; then {second}")
    })
}
