//! The traits an environment implements.

use std::path::PathBuf;

use stepladder_core::{Start, Step, TaskKey};

/// Static description of an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvSpec {
    /// Registered id, for example `alfworld`.
    pub id: &'static str,
    /// One line for `env list`.
    pub summary: &'static str,
    /// Behaviour version: goes up when the same actions may lead to another episode.
    pub version: u32,
    /// The project and version whose behaviour this reproduces.
    pub upstream: &'static str,
    /// Licence of the data the environment reads.
    pub data_licence: &'static str,
    /// Registered splits, in the order of `env list`.
    pub splits: &'static [&'static str],
    /// Published step limit; a wrapper applies it, never the environment.
    pub max_steps: u32,
    /// Smallest and largest possible reward of one step.
    pub reward_range: (f64, f64),
    /// Least and largest score of an episode, where the benchmark reports the mean score beside the success rate.
    pub score_range: Option<(f64, f64)>,
    /// The episode is a function of task and actions, independent of the seed.
    pub deterministic: bool,
}

impl EnvSpec {
    /// Checks that a split is registered.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`].
    pub fn known_split(&self, split: &str) -> Result<(), EnvError> {
        if self.splits.contains(&split) {
            return Ok(());
        }
        Err(EnvError::UnknownSplit { env: self.id, split: split.to_owned(), known: self.split_list() })
    }

    /// Lists the splits; names that differ in a consecutive last number are folded, `dev-goals-1 to 8`.
    pub fn split_list(&self) -> String {
        let mut folded: Vec<(&str, Option<(u32, u32)>)> = Vec::new();
        for &name in self.splits {
            let numbered =
                name.rsplit_once('-').and_then(|(stem, number)| Some((stem, number.parse::<u32>().ok()?)));
            match (numbered, folded.last_mut()) {
                (Some((stem, number)), Some((before, Some((_, last)))))
                    if *before == stem && *last + 1 == number =>
                {
                    *last = number;
                }
                (Some((stem, number)), _) => folded.push((stem, Some((number, number)))),
                (None, _) => folded.push((name, None)),
            }
        }
        let words = folded.into_iter().map(|(name, numbers)| match numbers {
            None => name.to_owned(),
            Some((first, last)) if first == last => format!("{name}-{first}"),
            Some((first, last)) => format!("{name}-{first} to {last}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Error of an environment. An action that the environment does not understand is not an error: the answer is an
/// observation, as in the original.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// `step` was called before `reset`.
    #[error("{env}: step before reset")]
    StepBeforeReset {
        /// Environment id.
        env: &'static str,
    },
    /// `step` was called after the episode had ended.
    #[error("{env}: the episode is over; reset before the next step")]
    EpisodeOver {
        /// Environment id.
        env: &'static str,
    },
    /// The task does not exist.
    #[error("unknown task {task}: {reason}")]
    UnknownTask {
        /// The key.
        task: TaskKey,
        /// Reason, with the known tasks.
        reason: String,
    },
    /// The split name is not registered.
    #[error("{env} has no split `{split}`; it has {known}")]
    UnknownSplit {
        /// Environment id.
        env: &'static str,
        /// Requested name.
        split: String,
        /// Registered names, comma separated.
        known: String,
    },
    /// The environment reads data, and no directory of data sets is known.
    #[error("{env}: {reason}")]
    NoDataRoot {
        /// Environment id.
        env: &'static str,
        /// Remedy.
        reason: String,
    },
    /// A data file is missing or broken.
    #[error("{path}: {reason}", path = path.display())]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// Fault and remedy.
        reason: String,
    },
    /// A reward that is NaN or infinite.
    #[error("{env}: the reward of the action `{action}` is {reward}; a reward must be a finite number")]
    Reward {
        /// Environment id.
        env: &'static str,
        /// Action.
        action: String,
        /// Reward.
        reward: f64,
    },
    /// The simulator behind the environment failed.
    #[error("{env}: {reason}")]
    Backend {
        /// Environment id.
        env: &'static str,
        /// Fault.
        reason: String,
    },
    /// A request that the environment cannot serve: an option or a capability that it does not have.
    #[error("{0}")]
    Usage(String),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A text environment.
///
/// An episode is a function of (spec, task, seed, actions), bit for bit. `step` before `reset` and after the end is an
/// error; there is no hidden reset.
pub trait Env: Send {
    /// Returns the description of the environment.
    fn spec(&self) -> &EnvSpec;

    /// Starts an episode.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`], [`EnvError::Backend`].
    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError>;

    /// Plays one action.
    ///
    /// # Errors
    /// [`EnvError::StepBeforeReset`], [`EnvError::EpisodeOver`], [`EnvError::Backend`].
    fn step(&mut self, action: &str) -> Result<Step, EnvError>;

    /// Gives access to the admissible actions, where the environment can list them. The list is computed on request.
    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        None
    }

    /// Gives access to a known solution, where the task has one.
    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        None
    }
}

/// Capability: admissible actions of the current state.
pub trait Admissible {
    /// Lists the actions: sorted, unique, non-empty; `step` accepts each in the current state.
    fn admissible_actions(&mut self) -> Vec<String>;
}

/// Capability: a recorded solution of the current task.
pub trait Walkthrough {
    /// Returns actions that solve the task from its start.
    fn solution(&self) -> Vec<String>;
}

/// The tasks of one environment, by split, and the environments that play them.
pub trait TaskSet: Send + Sync {
    /// Returns the description of the environment.
    fn spec(&self) -> &EnvSpec;

    /// Lists all tasks of a split, in a fixed order.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`], or [`EnvError::Data`] when the data are absent (the message names the remedy).
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError>;

    /// Returns the family of a task (`Start::family`) without loading it; none if it is not known before. Samples of a
    /// split are stratified by it ([`crate::Subset`]).
    fn family(&self, _task: &TaskKey) -> Option<String> {
        None
    }

    /// Returns the step limit of a split, which a wrapper applies: [`EnvSpec::max_steps`] unless its tasks are longer.
    fn max_steps(&self, _split: &str) -> u32 {
        self.spec().max_steps
    }

    /// Whether `step` takes microseconds and never waits for a file, a process or the network. A server plays such steps on the
    /// threads that serve connections, others on a pool.
    fn has_fast_steps(&self) -> bool {
        false
    }

    /// Makes an environment that can play any task of any split, without a step limit.
    ///
    /// # Errors
    /// [`EnvError::Data`], [`EnvError::Backend`].
    fn make(&self) -> Result<Box<dyn Env>, EnvError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_splits_are_folded() {
        let spec = |splits| EnvSpec {
            id: "toy",
            summary: "",
            version: 1,
            upstream: "",
            data_licence: "",
            splits,
            max_steps: 1,
            reward_range: (0.0, 1.0),
            score_range: None,
            deterministic: true,
        };
        let list = |splits| spec(splits).split_list();
        assert_eq!(list(&["train", "train_dev"]), "train, train_dev");
        assert_eq!(list(&["dev", "dev-1", "dev-2", "dev-4", "test-5"]), "dev, dev-1 to 2, dev-4, test-5");
    }
}
