//! Sessions: environments that a caller outside this program drives (the environment server, the Python wheel).
//!
//! [`SharedTasks`] holds the tasks of one environment, opened once. Each [`Session`] is one environment on them: it chooses
//! tasks, applies the step limit, and keeps the score.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use rand::{Rng as _, RngExt as _};
use stepladder_core::seed::{self, Rng};
use stepladder_core::{End, Start, Step, TaskKey};

use crate::contract::{Env, EnvError, EnvSpec, TaskSet};
use crate::names::shorten;
use crate::wrappers::TimeLimit;

/// Tasks of one environment, shared by its sessions; the list of a split is read once. Only threads of a rayon pool that ask for
/// it before it is read each read it for themselves.
pub struct SharedTasks {
    tasks: Box<dyn TaskSet>,
    splits: RwLock<HashMap<String, Arc<Split>>>,
    /// Splits that are being read. The lock of a split is held meanwhile.
    reading: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// Tasks of one split.
#[derive(Debug)]
pub struct Split {
    name: String,
    keys: Vec<TaskKey>,
    positions: HashMap<String, usize>,
    max_steps: u32,
}

impl Split {
    /// Returns the name of the split.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lists the tasks, in a fixed order.
    pub fn keys(&self) -> &[TaskKey] {
        &self.keys
    }

    /// Returns the step limit of its episodes.
    pub fn max_steps(&self) -> u32 {
        self.max_steps
    }
}

impl SharedTasks {
    /// Shares opened tasks.
    pub fn new(tasks: Box<dyn TaskSet>) -> Arc<Self> {
        Arc::new(Self { tasks, splits: RwLock::default(), reading: Mutex::default() })
    }

    /// Returns the description of the environment.
    pub fn spec(&self) -> &EnvSpec {
        self.tasks.spec()
    }

    /// Returns the opened tasks.
    pub fn tasks(&self) -> &dyn TaskSet {
        &*self.tasks
    }

    /// Returns the tasks of a split. The first call reads them, and others wait for it; a failure is not kept.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`]; [`EnvError::Data`] if its data are absent or it has no task.
    pub fn split(&self, name: &str) -> Result<Arc<Split>, EnvError> {
        if let Some(split) = self.ready(name) {
            return Ok(split);
        }
        let turn = {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            reading.entry(name.to_owned()).or_default().clone()
        };
        let _held = if rayon::current_thread_index().is_none() {
            Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
        } else {
            // The thread that reads may wait for work of this thread, which must not wait for it in turn.
            match turn.try_lock() {
                Ok(held) => Some(held),
                Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        };
        if let Some(split) = self.ready(name) {
            return Ok(split);
        }
        let read = self.read(name).map(|split| {
            let mut splits = self.splits.write().unwrap_or_else(PoisonError::into_inner);
            splits.entry(name.to_owned()).or_insert_with(|| Arc::new(split)).clone()
        });
        // Names that are no split must not pile up.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        read
    }

    fn ready(&self, name: &str) -> Option<Arc<Split>> {
        self.splits.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn read(&self, name: &str) -> Result<Split, EnvError> {
        let keys = self.tasks.tasks(name)?;
        if keys.is_empty() {
            let text = format!("{} has no task in the split `{name}`", self.spec().id);
            return Err(EnvError::Usage(text));
        }
        let positions = keys.iter().enumerate().map(|(position, key)| (key.id.clone(), position)).collect();
        let max_steps = self.tasks.max_steps(name);
        Ok(Split { name: name.to_owned(), keys, positions, max_steps })
    }
}

impl std::fmt::Debug for SharedTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedTasks").field("env", &self.spec().id).finish_non_exhaustive()
    }
}

/// Choice of the next episode. What is not given is drawn, or stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reset {
    /// Seed of the episode, which draws the task and seeds the environment. Without it the session draws a seed below 2^63
    /// from its own stream.
    pub seed: Option<u64>,
    /// Split of this episode and the following ones.
    pub split: Option<String>,
    /// Task of the split, by its id or its position (from 0).
    pub task: Option<TaskChoice>,
}

/// Choice of a task inside its split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskChoice {
    /// Position in the list of the split, from 0.
    Index(u64),
    /// [`TaskKey::id`].
    Id(String),
}

/// A running or finished episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Task of the episode.
    pub task: TaskKey,
    /// Position of the task in the list of its split.
    pub index: usize,
    /// Seed of the episode. The same seed, split and task lead to the same episode.
    pub seed: u64,
    /// First text, task sentence, family. Its context is that of the first step.
    pub start: Start,
    /// Current context.
    pub context: String,
    /// Steps played.
    pub steps: u32,
    /// Step limit.
    pub max_steps: u32,
    /// Sum of rewards; where the benchmark has a range of scores, clamped to it.
    pub score: f64,
    /// The task is solved.
    pub won: bool,
    /// Set once the episode is over.
    pub end: Option<End>,
    rewards: f64,
}

/// One environment that plays episodes on demand.
///
/// ```
/// # use std::sync::Arc;
/// # use stepladder_core::{Start, Step, TaskKey};
/// # use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};
/// # static SPEC: EnvSpec = EnvSpec { id: "toy", summary: "", version: 1, upstream: "", data_licence: "", splits: &["train"],
/// #     max_steps: 2, reward_range: (0.0, 1.0), score_range: None, deterministic: true };
/// # struct Toy;
/// # impl Env for Toy {
/// #     fn spec(&self) -> &EnvSpec { &SPEC }
/// #     fn reset(&mut self, task: &TaskKey, _: u64) -> Result<Start, EnvError> {
/// #         Ok(Start { text: task.id.clone(), task: String::new(), context: String::new(), family: String::new() })
/// #     }
/// #     fn step(&mut self, _: &str) -> Result<Step, EnvError> {
/// #         Ok(Step { observation: String::new(), reward: 0.5, won: false, unknown_action: false, context: None, end: None })
/// #     }
/// # }
/// # struct Toys;
/// # impl TaskSet for Toys {
/// #     fn spec(&self) -> &EnvSpec { &SPEC }
/// #     fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
/// #         SPEC.known_split(split)?;
/// #         Ok(["a", "b", "c"].iter().map(|id| TaskKey::new("toy", split, *id)).collect())
/// #     }
/// #     fn make(&self) -> Result<Box<dyn Env>, EnvError> { Ok(Box::new(Toy)) }
/// # }
/// use stepladder_env::session::{Reset, Session, SharedTasks, TaskChoice};
/// let mut session = Session::new(SharedTasks::new(Box::new(Toys)), "train", 7)?;
/// let reset = Reset { task: Some(TaskChoice::Index(1)), ..Reset::default() };
/// assert_eq!(session.reset(&reset)?.task.id, "b");
/// session.step("go")?;
/// session.step("go")?; // the limit of two steps
/// let episode = session.episode().unwrap();
/// assert_eq!((episode.score, episode.end), (1.0, Some(stepladder_core::End::Truncated)));
/// # Ok::<(), EnvError>(())
/// ```
pub struct Session {
    shared: Arc<SharedTasks>,
    split: Arc<Split>,
    max_steps: Option<u32>,
    rng: Rng,
    env: Option<TimeLimit<Box<dyn Env>>>,
    episode: Option<Episode>,
}

impl Session {
    /// Creates a session on a split. `seed` names the stream from which episodes without a seed draw theirs.
    ///
    /// # Errors
    /// As [`SharedTasks::split`].
    pub fn new(shared: Arc<SharedTasks>, split: &str, seed: u64) -> Result<Self, EnvError> {
        let split = shared.split(split)?;
        let rng = seed::stream(seed, "session", &[]);
        Ok(Self { shared, split, max_steps: None, rng, env: None, episode: None })
    }

    /// Sets the step limit in place of that of the split, from the next reset on.
    pub fn limited(self, max_steps: Option<u32>) -> Self {
        Self { max_steps, ..self }
    }

    /// Seeds the stream from which episodes without a seed draw theirs.
    pub fn reseed(&mut self, seed: u64) {
        self.rng = seed::stream(seed, "session", &[]);
    }

    /// Returns the description of the environment.
    pub fn spec(&self) -> &EnvSpec {
        self.shared.spec()
    }

    /// Returns the tasks behind the session.
    pub fn shared(&self) -> &Arc<SharedTasks> {
        &self.shared
    }

    /// Returns the split of the next episode.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Returns the current episode; none before the first reset and after a failure of the environment.
    pub fn episode(&self) -> Option<&Episode> {
        self.episode.as_ref()
    }

    /// Makes the environment, which the first reset otherwise does.
    ///
    /// # Errors
    /// [`EnvError::Data`] and [`EnvError::Backend`] of the environment.
    pub fn prepare(&mut self) -> Result<(), EnvError> {
        if self.env.is_none() {
            self.env = Some(self.make()?);
        }
        Ok(())
    }

    /// Starts an episode. A request that is refused leaves the session as it was.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`] and [`EnvError::UnknownTask`] of the request; [`EnvError::Data`] and [`EnvError::Backend`] of
    /// the environment, after which the next reset makes a new environment.
    pub fn reset(&mut self, request: &Reset) -> Result<&Episode, EnvError> {
        let split = match &request.split {
            Some(name) => self.shared.split(name)?,
            None => self.split.clone(),
        };
        let given = request.task.as_ref().map(|task| self.position(&split, task)).transpose()?;
        let seed = request.seed.unwrap_or_else(|| {
            // Callers hold seeds in signed integers of 64 bits, as Gymnasium's vector environments do.
            self.rng.next_u64() >> 1
        });
        let index = given
            .unwrap_or_else(|| seed::stream(seed, "session task", &[]).random_range(0..split.keys.len()));
        self.split = split;
        self.episode = None;
        let limit = self.max_steps.unwrap_or(self.split.max_steps).max(1);
        let mut env = match self.env.take() {
            Some(env) => env,
            None => self.make()?,
        };
        env.set_limit(limit);
        let task = self.split.keys[index].clone();
        let start = env.reset(&task, seed)?;
        self.env = Some(env);
        let context = start.context.clone();
        let episode = Episode {
            task,
            index,
            seed,
            start,
            context,
            steps: 0,
            max_steps: limit,
            score: 0.0,
            won: false,
            end: None,
            rewards: 0.0,
        };
        Ok(self.episode.insert(episode))
    }

    /// Plays one action.
    ///
    /// # Errors
    /// [`EnvError::StepBeforeReset`], [`EnvError::EpisodeOver`]; any other error of the environment ends the episode, and the
    /// next reset makes a new environment.
    pub fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let env_id = self.shared.tasks.spec().id;
        let (Some(env), Some(episode)) = (&mut self.env, &mut self.episode) else {
            return Err(EnvError::StepBeforeReset { env: env_id });
        };
        let step = match env.step(action) {
            Ok(step) => step,
            Err(error @ EnvError::EpisodeOver { .. }) => return Err(error),
            Err(error) => {
                self.env = None;
                self.episode = None;
                return Err(error);
            }
        };
        episode.steps += 1;
        episode.rewards += step.reward;
        episode.score = match self.shared.tasks.spec().score_range {
            Some((low, high)) => episode.rewards.clamp(low, high),
            None => episode.rewards,
        };
        episode.won = step.won;
        episode.end = step.end;
        if let Some(context) = &step.context {
            episode.context.clone_from(context);
        }
        Ok(step)
    }

    /// Drops environment and episode, for a caller that caught a panic of the environment; the next reset makes a new environment.
    pub fn abandon(&mut self) {
        self.episode = None;
        self.env = None;
    }

    /// Lists the admissible actions of the current state; none if the environment cannot list them, there is no episode, or it
    /// is over.
    pub fn admissible_actions(&mut self) -> Option<Vec<String>> {
        self.episode.as_ref().filter(|episode| episode.end.is_none())?;
        Some(self.env.as_mut()?.admissible()?.admissible_actions())
    }

    /// Returns actions that solve the current task from its start, where the task has them.
    pub fn solution(&mut self) -> Option<Vec<String>> {
        self.episode.as_ref()?;
        Some(self.env.as_mut()?.walkthrough()?.solution())
    }

    fn make(&self) -> Result<TimeLimit<Box<dyn Env>>, EnvError> {
        Ok(TimeLimit::new(self.shared.tasks.make()?, 1))
    }

    fn position(&self, split: &Split, task: &TaskChoice) -> Result<usize, EnvError> {
        let unknown = |id: String, reason: String| {
            Err(EnvError::UnknownTask { task: TaskKey::new(self.spec().id, &split.name, id), reason })
        };
        let count = split.keys.len();
        match task {
            TaskChoice::Index(index) => match usize::try_from(*index).ok().filter(|index| *index < count) {
                Some(index) => Ok(index),
                None => unknown(index.to_string(), format!("the split has {count} tasks, counted from 0")),
            },
            TaskChoice::Id(id) => match split.positions.get(id) {
                Some(index) => Ok(*index),
                None => unknown(
                    shorten(id),
                    format!("no task of the split has this id; the first is {}", split.keys[0].id),
                ),
            },
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("env", &self.spec().id)
            .field("split", &self.split.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
