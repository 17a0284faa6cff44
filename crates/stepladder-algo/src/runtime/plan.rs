//! Which rows a step takes, and which worker takes which of them.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::batch::bucket_lens;
use stepladder_data::mixing::{epoch_len, level_row};
use stepladder_data::offline_batch::LEVELS;

use crate::runtime::checkpoint::Progress;

/// How the streams share the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixture {
    /// All rows in one pool, in their natural proportion, bucketed by length.
    Pooled,
    /// The same number of rows of each level in every step (spec/algorithms 3.3, 3.6).
    Levels,
}

/// When training ends. Serialised as a table with one key, `{ steps = 1000 }`, or with `tokens` and `minutes`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BudgetKeys", into = "BudgetKeys")]
pub enum Budget {
    /// Minutes of training time; evaluation and saving do not count.
    Minutes(f64),
    /// Passes over the rows; iterations of a method that learns by playing.
    Epochs(f64),
    /// Optimiser steps.
    Steps(u64),
    /// Environment steps; for methods that learn by playing.
    EnvSteps(u64),
    /// Trained tokens without padding.
    Tokens {
        /// How many; training ends with the step that reaches them.
        tokens: u64,
        /// Minutes of training time after which it ends in any case. The clock decides nothing else: the schedule follows the
        /// tokens, so runs that the cap does not end are equal, whatever the speed of the machine.
        cap: Option<f64>,
    },
}

/// A budget as it is written.
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
                "a budget has one of minutes, epochs, steps, env_steps and tokens; minutes may stand beside tokens",
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

impl Budget {
    /// Share of the budget that the current phase has used, where an epoch has `steps_per_epoch` steps. A cap on minutes has
    /// no part in it.
    pub fn fraction(self, progress: &Progress, steps_per_epoch: usize) -> f64 {
        let (step, epoch, seconds) = progress.since;
        match self {
            Self::Minutes(minutes) => (progress.seconds - seconds) / (60.0 * minutes),
            Self::Epochs(epochs) => (progress.passes(steps_per_epoch) - epoch as f64) / epochs,
            Self::Steps(steps) => (progress.step - step) as f64 / steps.max(1) as f64,
            Self::EnvSteps(steps) => progress.env_steps as f64 / steps.max(1) as f64,
            Self::Tokens { tokens, .. } => {
                progress.tokens.saturating_sub(progress.since_tokens) as f64 / tokens.max(1) as f64
            }
        }
    }

    /// Whether the current phase, which has used this fraction, is over. A cap that ends it is noted in `progress`.
    pub fn is_over(self, fraction: f64, progress: &mut Progress) -> bool {
        if fraction >= 1.0 {
            return true;
        }
        let capped = self.until_cap(progress).is_some_and(|seconds| seconds <= 0.0);
        progress.capped |= capped;
        capped
    }

    /// Seconds that the current phase will probably take from here, 0 at its beginning.
    pub fn left(self, fraction: f64, progress: &Progress) -> f64 {
        let spent = progress.seconds - progress.since.2;
        let left = if fraction > 0.0 { spent / fraction - spent } else { 0.0 };
        self.until_cap(progress).map_or(left, |seconds| left.min(seconds.max(0.0)))
    }

    /// This share of it; passes and environment steps are the same for a part of the rows.
    pub fn share(self, share: f64) -> Self {
        let part = |count: u64| ((count as f64 * share).round() as u64).max(1);
        match self {
            Self::Minutes(minutes) => Self::Minutes(minutes * share),
            Self::Epochs(_) | Self::EnvSteps(_) => self,
            Self::Steps(steps) => Self::Steps(part(steps)),
            Self::Tokens { tokens, cap } => {
                Self::Tokens { tokens: part(tokens), cap: cap.map(|minutes| minutes * share) }
            }
        }
    }

    /// Seconds until the cap ends the current phase; none without a cap.
    fn until_cap(self, progress: &Progress) -> Option<f64> {
        let Self::Tokens { cap: Some(minutes), .. } = self else { return None };
        Some(60.0 * minutes - (progress.seconds - progress.since.2))
    }
}

/// How steps are cut from the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How the streams share the steps.
    pub mixture: Mixture,
    /// Padded tokens of a step (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a step (mixture `levels`).
    pub batch_rows: usize,
    /// Run seed.
    pub seed: u64,
}

impl Plan {
    /// Steps of one epoch: which rows each takes. A function of the rows' roles and lengths, the plan and the epoch alone.
    pub fn epoch(&self, rows: &[(Role, usize)], epoch: u64) -> Vec<Vec<usize>> {
        let mut rng = stream(self.seed, "shuffle", &[epoch]);
        match self.mixture {
            Mixture::Pooled => {
                let lens: Vec<usize> = rows.iter().map(|&(_, len)| len).collect();
                bucket_lens(&lens, self.batch_tokens, 32, &mut rng)
            }
            Mixture::Levels => {
                let levels = LEVELS.map(|level| -> Vec<usize> {
                    (0..rows.len()).filter(|&index| rows[index].0 == level).collect()
                });
                let lens = levels.each_ref().map(Vec::len);
                let mut order: Vec<usize> = (0..epoch_len(lens)).collect();
                order.shuffle(&mut rng);
                order
                    .chunks(self.batch_rows.max(1))
                    .map(|chunk| {
                        let mut group = Vec::with_capacity(3 * chunk.len());
                        for &i in chunk {
                            for (level, index) in levels.iter().zip(level_row(lens, i)) {
                                group.extend(index.map(|index| level[index]));
                            }
                        }
                        group
                    })
                    .collect()
            }
        }
    }
}

/// Splits the rows of a step into at most `parts` non-empty shares of similar size, keeping neighbours of similar length
/// together.
pub fn shares<T>(mut rows: Vec<T>, parts: usize, len: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    rows.sort_by_key(|row| len(row));
    let total: usize = rows.iter().map(&len).sum();
    let mut shares: Vec<Vec<T>> = Vec::with_capacity(parts);
    let mut used = 0;
    for row in rows {
        let wanted = (used * parts / total.max(1)).min(parts - 1);
        while shares.len() <= wanted {
            shares.push(Vec::new());
        }
        used += len(&row);
        if let Some(last) = shares.last_mut() {
            last.push(row);
        }
    }
    shares.retain(|share| !share.is_empty());
    shares
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
        assert_eq!(capped.share(1.0 / 3.0), Budget::Tokens { tokens: 3, cap: Some(0.5) });
        assert_eq!(Budget::Epochs(2.0).share(0.5), Budget::Epochs(2.0));
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
        // Without a cap, time has no part in it.
        let budget = Budget::Tokens { tokens: 1000, cap: None };
        assert!(!budget.is_over(budget.fraction(&progress, 10), &mut progress));
    }
}
