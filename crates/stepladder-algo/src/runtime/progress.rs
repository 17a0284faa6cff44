//! Position of a run, and the budget that ends a phase.

use serde::{Deserialize, Serialize};
use stepladder_core::section::{self, KeyType};

/// Counters of [`Progress`] at the beginning of a phase. A checkpoint stores them as `since` (step, epoch, seconds) and
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

/// Position of a run; together with the tensors, its whole state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
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
}

impl Progress {
    /// Returns the position at the beginning of a run.
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

/// End of training. Serialised as a table with one key, `{ steps = 1000 }`, or with `tokens` and `minutes`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BudgetKeys", into = "BudgetKeys")]
pub enum Budget {
    /// Minutes of training time; evaluation and saving do not count.
    Minutes(f64),
    /// Passes over the rows; iterations of an online method.
    Epochs(f64),
    /// Optimiser steps.
    Steps(u64),
    /// Environment steps; for online methods.
    EnvSteps(u64),
    /// Trained tokens without padding.
    Tokens {
        /// Number of tokens; training ends with the step that reaches it.
        tokens: u64,
        /// Limit on minutes of training time. The schedule follows the tokens, so a run that the cap does not end is the same on
        /// every machine.
        cap: Option<f64>,
    },
}

/// Serialised form of [`Budget`].
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetKeys {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epochs: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env_steps: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minutes: Option<f64>,
}

impl TryFrom<BudgetKeys> for Budget {
    type Error = &'static str;

    fn try_from(keys: BudgetKeys) -> Result<Self, Self::Error> {
        match keys {
            BudgetKeys {
                minutes: Some(minutes),
                epochs: None,
                steps: None,
                env_steps: None,
                tokens: None,
            } => Ok(Self::Minutes(minutes)),
            BudgetKeys {
                epochs: Some(epochs),
                minutes: None,
                steps: None,
                env_steps: None,
                tokens: None,
            } => Ok(Self::Epochs(epochs)),
            BudgetKeys { steps: Some(steps), minutes: None, epochs: None, env_steps: None, tokens: None } => {
                Ok(Self::Steps(steps))
            }
            BudgetKeys { env_steps: Some(steps), minutes: None, epochs: None, steps: None, tokens: None } => {
                Ok(Self::EnvSteps(steps))
            }
            BudgetKeys { tokens: Some(tokens), minutes: cap, epochs: None, steps: None, env_steps: None } => {
                Ok(Self::Tokens { tokens, cap })
            }
            _ => Err(
                "a budget has one of minutes, epochs, steps, env_steps and tokens; only tokens may be combined with minutes",
            ),
        }
    }
}

impl From<Budget> for BudgetKeys {
    fn from(budget: Budget) -> Self {
        let none = Self::default();
        match budget {
            Budget::Minutes(minutes) => Self { minutes: Some(minutes), ..none },
            Budget::Epochs(epochs) => Self { epochs: Some(epochs), ..none },
            Budget::Steps(steps) => Self { steps: Some(steps), ..none },
            Budget::EnvSteps(steps) => Self { env_steps: Some(steps), ..none },
            Budget::Tokens { tokens, cap } => Self { tokens: Some(tokens), minutes: cap, ..none },
        }
    }
}

impl KeyType for Budget {
    const KIND: section::Kind = section::Kind::Other(
        "budget",
        "one of { minutes = 4.0 }, { epochs = 5.0 }, { steps = 1000 }, { env_steps = 100000 }, { tokens = 5000000 } and \
         { tokens = 5000000, minutes = 4.0 }, with your values",
    );

    fn measures(&self) -> Vec<(f64, String)> {
        let of = |amount: f64, unit: &str| (amount, format!("{amount} {unit}"));
        match *self {
            Self::Minutes(minutes) => vec![of(minutes, "minutes")],
            Self::Epochs(epochs) => vec![of(epochs, "epochs")],
            Self::Steps(steps) => vec![of(steps as f64, "steps")],
            Self::EnvSteps(steps) => vec![of(steps as f64, "env_steps")],
            Self::Tokens { tokens, cap } => {
                let cap = cap.map(|minutes| of(minutes, "minutes"));
                std::iter::once(of(tokens as f64, "tokens")).chain(cap).collect()
            }
        }
    }
}

impl Budget {
    /// Returns the fraction of the budget that the current phase has used, given `steps_per_epoch`. A cap on minutes does not
    /// count.
    pub fn fraction(self, progress: &Progress, steps_per_epoch: usize) -> f64 {
        let PhaseStart { step, epoch, seconds, tokens: tokens_before } = progress.phase_start;
        match self {
            Self::Minutes(minutes) => (progress.seconds - seconds) / (60.0 * minutes),
            Self::Epochs(epochs) => (progress.passes(steps_per_epoch) - epoch as f64) / epochs,
            Self::Steps(steps) => (progress.step - step) as f64 / steps.max(1) as f64,
            Self::EnvSteps(steps) => progress.env_steps as f64 / steps.max(1) as f64,
            Self::Tokens { tokens, .. } => {
                progress.tokens.saturating_sub(tokens_before) as f64 / tokens.max(1) as f64
            }
        }
    }

    /// Whether the current phase, which has used this fraction, is over. Sets `progress.capped` if a cap ends it.
    pub fn is_over(self, fraction: f64, progress: &mut Progress) -> bool {
        if fraction >= 1.0 {
            return true;
        }
        let capped = self.until_cap(progress).is_some_and(|seconds| seconds <= 0.0);
        progress.capped |= capped;
        capped
    }

    /// Estimates the remaining seconds of the current phase; 0 at its beginning.
    pub fn left(self, fraction: f64, progress: &Progress) -> f64 {
        let spent = progress.seconds - progress.phase_start.seconds;
        let left = if fraction > 0.0 { spent / fraction - spent } else { 0.0 };
        self.until_cap(progress).map_or(left, |seconds| left.min(seconds.max(0.0)))
    }

    /// Scales the budget to a fraction of the rows; passes and environment steps do not change.
    pub fn scaled(self, fraction: f64) -> Self {
        let part = |count: u64| ((count as f64 * fraction).round() as u64).max(1);
        match self {
            Self::Minutes(minutes) => Self::Minutes(minutes * fraction),
            Self::Epochs(_) | Self::EnvSteps(_) => self,
            Self::Steps(steps) => Self::Steps(part(steps)),
            Self::Tokens { tokens, cap } => {
                Self::Tokens { tokens: part(tokens), cap: cap.map(|minutes| minutes * fraction) }
            }
        }
    }

    /// Returns the seconds until the cap ends the current phase; none without a cap.
    fn until_cap(self, progress: &Progress) -> Option<f64> {
        let Self::Tokens { cap: Some(minutes), .. } = self else { return None };
        Some(60.0 * minutes - (progress.seconds - progress.phase_start.seconds))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_budget_is_one_measure_or_tokens_with_a_cap() {
        let capped = Budget::Tokens { tokens: 9, cap: Some(1.5) };
        for (budget, written) in [
            (Budget::Minutes(4.4), json!({ "minutes": 4.4 })),
            (Budget::Epochs(2.0), json!({ "epochs": 2.0 })),
            (Budget::Steps(7), json!({ "steps": 7 })),
            (Budget::EnvSteps(7), json!({ "env_steps": 7 })),
            (Budget::Tokens { tokens: 9, cap: None }, json!({ "tokens": 9 })),
            (capped, json!({ "tokens": 9, "minutes": 1.5 })),
        ] {
            assert_eq!(serde_json::to_value(budget).unwrap(), written);
            assert_eq!(serde_json::from_value::<Budget>(written).unwrap(), budget);
        }
        for written in [json!({}), json!({ "steps": 1, "minutes": 1 }), json!({ "tokens": 1, "epochs": 1 })] {
            assert!(serde_json::from_value::<Budget>(written).is_err());
        }
        assert_eq!(capped.scaled(1.0 / 3.0), Budget::Tokens { tokens: 3, cap: Some(0.5) });
        assert_eq!(Budget::Epochs(2.0).scaled(0.5), Budget::Epochs(2.0));
    }

    #[test]
    fn a_cap_ends_a_phase_but_does_not_move_its_schedule() {
        let budget = Budget::Tokens { tokens: 1000, cap: Some(1.0) };
        let mut progress = Progress { tokens: 5000, seconds: 90.0, ..Progress::start() };
        progress.next_phase();
        let mut at = |tokens: u64, seconds: f64| {
            let now = &mut progress;
            (now.tokens, now.seconds) = (5000 + tokens, 90.0 + seconds);
            let fraction = budget.fraction(now, 10);
            (fraction, budget.left(fraction, now), budget.is_over(fraction, now), now.capped)
        };
        assert_eq!(at(0, 0.0), (0.0, 0.0, false, false));
        assert_eq!(at(250, 10.0), (0.25, 30.0, false, false));
        assert_eq!(at(250, 30.0), (0.25, 30.0, false, false));
        assert_eq!(at(1000, 59.0), (1.0, 0.0, true, false));
        assert_eq!(at(999, 60.0), (0.999, 0.0, true, true));
        // Without a cap, time has no effect.
        let budget = Budget::Tokens { tokens: 1000, cap: None };
        assert!(!budget.is_over(budget.fraction(&progress, 10), &mut progress));
    }

    #[test]
    fn a_phase_start_is_written_as_in_older_checkpoints() {
        let written = json!({
            "step": 7, "epoch": 2, "cursor": 1, "seconds": 0.5, "tokens": 90, "phase": 1, "since": [4, 1, 0.25],
            "since_tokens": 50, "capped": false, "env_steps": 0, "generated": 0
        });
        let progress: Progress = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(progress.phase_start, PhaseStart { step: 4, epoch: 1, seconds: 0.25, tokens: 50 });
        assert_eq!(serde_json::to_value(&progress).unwrap(), written);
        // The first version had no phases.
        let oldest = json!({ "step": 7, "epoch": 2, "cursor": 1, "seconds": 0.5, "tokens": 90 });
        let progress: Progress = serde_json::from_value(oldest).unwrap();
        assert_eq!(progress.phase_start, PhaseStart::default());
    }
}
