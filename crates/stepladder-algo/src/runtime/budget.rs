//! Budget that ends a phase.

use serde::{Deserialize, Serialize};
use stepladder_core::section::{self, KeyType};

use crate::runtime::counters::{Counters, PhaseStart};

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
    const TYPE: section::ValueType = section::ValueType::Other(
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
    pub fn fraction(self, counters: &Counters, steps_per_epoch: usize) -> f64 {
        let PhaseStart { step, epoch, seconds, tokens: tokens_before } = counters.phase_start;
        match self {
            Self::Minutes(minutes) => (counters.seconds - seconds) / (60.0 * minutes),
            Self::Epochs(epochs) => (counters.passes(steps_per_epoch) - epoch as f64) / epochs,
            Self::Steps(steps) => (counters.step - step) as f64 / steps.max(1) as f64,
            Self::EnvSteps(steps) => counters.env_steps as f64 / steps.max(1) as f64,
            Self::Tokens { tokens, .. } => {
                counters.tokens.saturating_sub(tokens_before) as f64 / tokens.max(1) as f64
            }
        }
    }

    /// Whether the current phase, which has used this fraction, is over. Sets `counters.capped` if a cap ends it.
    pub fn is_over(self, fraction: f64, counters: &mut Counters) -> bool {
        if fraction >= 1.0 {
            return true;
        }
        let capped = self.until_cap(counters).is_some_and(|seconds| seconds <= 0.0);
        counters.capped |= capped;
        capped
    }

    /// Estimates the remaining seconds of the current phase; 0 at its beginning.
    pub fn left(self, fraction: f64, counters: &Counters) -> f64 {
        let spent = counters.seconds - counters.phase_start.seconds;
        let left = if fraction > 0.0 { spent / fraction - spent } else { 0.0 };
        self.until_cap(counters).map_or(left, |seconds| left.min(seconds.max(0.0)))
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
    fn until_cap(self, counters: &Counters) -> Option<f64> {
        let Self::Tokens { cap: Some(minutes), .. } = self else { return None };
        Some(60.0 * minutes - (counters.seconds - counters.phase_start.seconds))
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
        let mut counters = Counters { tokens: 5000, seconds: 90.0, ..Counters::start() };
        counters.next_phase();
        let mut at = |tokens: u64, seconds: f64| {
            let now = &mut counters;
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
        assert!(!budget.is_over(budget.fraction(&counters, 10), &mut counters));
    }
}
