//! Episodes that broke off, by an error of their environment or of one of their requests: they are dropped and counted,
//! and end the run only where they are many.
//!
//! One damaged game, one simulator that died or one lost reply must not cost what all other episodes played. Where most
//! episodes break off, the environment or the generator itself is at fault, and what is left would be another set of tasks
//! than the one that was asked for. Everything that learns from episodes or writes them as data follows this policy;
//! evaluations count broken episodes as failed instead.

use std::fmt;

use serde::{Deserialize, Serialize};
use stepladder_core::trace::Episode;

/// Largest share of the episodes of one rollout that may break off.
pub const MOST: f64 = 0.5;

/// What was dropped of one or more rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Episodes that broke off.
    pub episodes: usize,
    /// Episodes that were played, those included.
    pub of: usize,
    /// Task and error of the first.
    pub first: Option<String>,
}

/// More than [`MOST`] of the episodes broke off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of {} episodes broke off, more than half; the first, {}", .0.episodes, .0.of, .0.first.as_deref().unwrap_or("unknown"))]
pub struct TooManyBroken(Dropped);

impl Dropped {
    /// Takes the broken episodes out of a rollout.
    ///
    /// # Errors
    /// [`TooManyBroken`] if they are more than [`MOST`] of it.
    pub fn take_from(episodes: &mut Vec<Episode>) -> Result<Self, TooManyBroken> {
        let of = episodes.len();
        let mut first = None;
        episodes.retain(|episode| match &episode.error {
            Some(error) => {
                first.get_or_insert_with(|| format!("{}: {error}", episode.task));
                false
            }
            None => true,
        });
        let dropped = Self { episodes: of - episodes.len(), of, first };
        if dropped.episodes as f64 > MOST * of as f64 { Err(TooManyBroken(dropped)) } else { Ok(dropped) }
    }

    /// Adds what another rollout lost.
    pub fn add(&mut self, other: Self) {
        self.episodes += other.episodes;
        self.of += other.of;
        if self.first.is_none() {
            self.first = other.first;
        }
    }

    /// Whether nothing was dropped.
    pub fn is_none(&self) -> bool {
        self.episodes == 0
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} episodes broke off and were dropped", self.episodes, self.of)?;
        match &self.first {
            Some(first) => write!(f, "; the first, {first}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(broken: usize, of: usize) -> Vec<Episode> {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let error = |number: usize| (number < broken).then(|| format!("failure {number}"));
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
        assert!(error.starts_with("3 of 5 episodes broke off, more than half; the first, "), "{error}");
        assert!(error.ends_with(": failure 0"), "{error}");
    }
}
