//! Counters of a run.

use serde::{Deserialize, Serialize};

use crate::ops::actor::RunningMean;

/// Values of some [`Counters`] at the beginning of a phase. A checkpoint stores them as `since` (step, epoch, seconds) and
/// `since_tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Since", into = "Since")]
pub struct PhaseStart {
    /// Optimiser steps.
    pub step: u64,
    /// Pass over the data.
    pub epoch: u64,
    /// Training seconds.
    pub seconds: f64,
    /// Tokens trained.
    pub tokens: u64,
}

/// Serialised form of [`PhaseStart`].
#[derive(Serialize, Deserialize)]
struct Since {
    #[serde(default)]
    since: (u64, u64, f64),
    #[serde(default)]
    since_tokens: u64,
}

impl From<Since> for PhaseStart {
    fn from(Since { since: (step, epoch, seconds), since_tokens: tokens }: Since) -> Self {
        Self { step, epoch, seconds, tokens }
    }
}

impl From<PhaseStart> for Since {
    fn from(PhaseStart { step, epoch, seconds, tokens }: PhaseStart) -> Self {
        Self { since: (step, epoch, seconds), since_tokens: tokens }
    }
}

/// Counters of a run; together with the tensors, its whole state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Optimiser steps taken.
    pub step: u64,
    /// Current pass over the data.
    pub epoch: u64,
    /// Completed steps of the current pass.
    pub cursor: u64,
    /// Training seconds used.
    pub seconds: f64,
    /// Tokens trained, without padding.
    pub tokens: u64,
    /// Completed phases.
    #[serde(default)]
    pub phase: u64,
    /// Beginning of the current phase.
    #[serde(flatten)]
    pub phase_start: PhaseStart,
    /// Whether a cap on minutes ended a phase before its budget was used up.
    #[serde(default)]
    pub capped: bool,
    /// Environment steps of rollouts; online methods only.
    #[serde(default)]
    pub env_steps: u64,
    /// Tokens generated in rollouts.
    #[serde(default)]
    pub generated: u64,
    /// Running means of the actor's weights: planner, executor, progress; offline actor-critic only.
    #[serde(default, skip_serializing_if = "none")]
    pub weight_means: [RunningMean; 3],
}

fn none(means: &[RunningMean; 3]) -> bool {
    means.iter().all(|mean| mean.count == 0.0)
}

impl Counters {
    /// Returns the counters at the beginning of a run.
    pub fn start() -> Self {
        Self {
            step: 0,
            epoch: 0,
            cursor: 0,
            seconds: 0.0,
            tokens: 0,
            phase: 0,
            phase_start: PhaseStart::default(),
            capped: false,
            env_steps: 0,
            generated: 0,
            weight_means: Default::default(),
        }
    }

    /// Completes the current phase; the next one begins with a new pass over its rows.
    pub fn next_phase(&mut self) {
        self.phase += 1;
        self.epoch += u64::from(self.cursor > 0);
        self.cursor = 0;
        let &mut Self { step, epoch, seconds, tokens, .. } = self;
        self.phase_start = PhaseStart { step, epoch, seconds, tokens };
    }

    /// Whether the run is at the first step of this phase.
    pub fn begins(&self, phase: u64) -> bool {
        self.phase == phase && self.step == self.phase_start.step
    }

    /// Returns the passes over the data with fraction, given `steps` per pass.
    pub fn passes(&self, steps: usize) -> f64 {
        self.epoch as f64 + self.cursor as f64 / steps.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_phase_start_is_written_as_in_older_checkpoints() {
        let written = json!({
            "step": 7, "epoch": 2, "cursor": 1, "seconds": 0.5, "tokens": 90, "phase": 1, "since": [4, 1, 0.25],
            "since_tokens": 50, "capped": false, "env_steps": 0, "generated": 0
        });
        let counters: Counters = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(counters.phase_start, PhaseStart { step: 4, epoch: 1, seconds: 0.25, tokens: 50 });
        assert_eq!(serde_json::to_value(&counters).unwrap(), written);
        // The first version had no phases.
        let oldest = json!({ "step": 7, "epoch": 2, "cursor": 1, "seconds": 0.5, "tokens": 90 });
        let counters: Counters = serde_json::from_value(oldest).unwrap();
        assert_eq!(counters.phase_start, PhaseStart::default());
        assert_eq!(counters.weight_means, <[RunningMean; 3]>::default());
    }

    #[test]
    fn running_means_are_written_to_the_last_bit() {
        let mut counters = Counters::start();
        let mean = RunningMean { factor: 1.0 / 3.0, count: 0.1 + 0.2 };
        counters.weight_means[1] = mean;
        let text = serde_json::to_string(&counters).unwrap();
        let read: Counters = serde_json::from_str(&text).unwrap();
        assert_eq!(read.weight_means, [RunningMean::default(), mean, RunningMean::default()]);
    }
}
