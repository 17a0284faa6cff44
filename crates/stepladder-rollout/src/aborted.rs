//! Aborted episodes: episodes that an error of their environment or of one of their requests aborted. They are dropped and
//! counted; more than half of a rollout ends the run.
//!
//! A damaged game, a crashed simulator or a lost reply must not cost the other episodes. If most episodes are aborted, the
//! environment or the generator is at fault, and the remaining tasks are no sample of the requested set. Training and data
//! collection use this rule. The evaluations of a run have the same limit, but keep aborted episodes and count them as failed.

use std::fmt;

use serde::{Deserialize, Serialize};
use stepladder_core::trace::Episode;

/// Maximum fraction of the episodes of one rollout that may be aborted.
pub const MOST: f64 = 0.5;

/// Counts of the aborted episodes of one or more rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Number of aborted episodes.
    pub episodes: usize,
    /// Number of all episodes, aborted ones included.
    pub of: usize,
    /// Task and error of the first aborted episode.
    pub first: Option<String>,
}

/// Error of a rollout of which more than [`MOST`] of the episodes were aborted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of {} episodes aborted, more than half; the first, {}", .0.episodes, .0.of, .0.first.as_deref().unwrap_or("unknown"))]
pub struct TooManyAborted(Dropped);

impl Dropped {
    /// Counts the aborted episodes of a rollout.
    ///
    /// # Errors
    /// [`TooManyAborted`] if they are more than [`MOST`] of it.
    pub fn count(episodes: &[Episode]) -> Result<Self, TooManyAborted> {
        let mut aborted = episodes.iter().filter_map(|episode| Some((episode, episode.error.as_ref()?)));
        let first = aborted.next().map(|(episode, error)| format!("{}: {error}", episode.task));
        let count = usize::from(first.is_some()) + aborted.count();
        let counted = Self { episodes: count, of: episodes.len(), first };
        if count as f64 > MOST * episodes.len() as f64 { Err(TooManyAborted(counted)) } else { Ok(counted) }
    }

    /// Removes the aborted episodes from a rollout.
    ///
    /// # Errors
    /// [`TooManyAborted`] if they are more than [`MOST`] of it.
    pub fn take_from(episodes: &mut Vec<Episode>) -> Result<Self, TooManyAborted> {
        let dropped = Self::count(episodes)?;
        episodes.retain(|episode| episode.error.is_none());
        Ok(dropped)
    }

    /// Adds the counts of another rollout.
    pub fn add(&mut self, other: Self) {
        self.episodes += other.episodes;
        self.of += other.of;
        if self.first.is_none() {
            self.first = other.first;
        }
    }

    /// Whether no episode was dropped.
    pub fn is_none(&self) -> bool {
        self.episodes == 0
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} episodes aborted and dropped", self.episodes, self.of)?;
        match &self.first {
            Some(first) => write!(f, "; the first, {first}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(aborted: usize, of: usize) -> Vec<Episode> {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let error = |number: usize| (number < aborted).then(|| format!("failure {number}"));
        (0..of).map(|number| Episode { error: error(number), ..episode.clone() }).collect()
    }

    #[test]
    fn up_to_half_of_a_rollout_is_dropped_and_counted() {
        let mut episodes = rollout(2, 4);
        let mut dropped = Dropped::take_from(&mut episodes).unwrap();
        assert_eq!((episodes.len(), dropped.episodes, dropped.of), (2, 2, 4));
        assert!(dropped.to_string().ends_with(": failure 0"), "{dropped}");
        assert!(Dropped::take_from(&mut rollout(0, 3)).unwrap().is_none());
        assert!(Dropped::take_from(&mut Vec::new()).unwrap().is_none());
        dropped.add(Dropped::take_from(&mut rollout(1, 3)).unwrap());
        assert_eq!((dropped.episodes, dropped.of), (3, 7));
    }

    #[test]
    fn more_than_half_is_an_error() {
        let error = Dropped::take_from(&mut rollout(3, 5)).unwrap_err().to_string();
        assert!(error.starts_with("3 of 5 episodes aborted, more than half; the first, "), "{error}");
        assert!(error.ends_with(": failure 0"), "{error}");
    }
}
