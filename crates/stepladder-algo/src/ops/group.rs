//! Group-relative advantages (docs/spec/algorithms.md 6.1, 6.2, 6.7; GRPO, arXiv:2402.03300; RLOO, arXiv:2402.14740).
//!
//! | mode | advantage |
//! |---|---|
//! | `mean_std` | Aᵢ = (Rᵢ − mean) / (std + ε) |
//! | `mean` | Aᵢ = Rᵢ − mean |
//! | `rloo` | Aᵢ = Rᵢ − mean of the others = N/(N−1) · (Rᵢ − mean) |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Normalisation of the values of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupMode {
    /// Centred and divided by the standard deviation (GRPO).
    MeanStd,
    /// Centred.
    Mean,
    /// Minus the mean of the other values (RLOO).
    Rloo,
}

/// Hyperparameters of group-relative advantages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupRule {
    /// Normalisation.
    pub mode: GroupMode,
    /// 1: sample standard deviation, 0: population standard deviation.
    pub ddof: u32,
    /// ε, added to the standard deviation.
    pub eps: f64,
}

impl GroupRule {
    /// Returns the rule with sample standard deviation and ε = 1e-6.
    pub fn new(mode: GroupMode) -> Self {
        Self { mode, ddof: 1, eps: 1e-6 }
    }
}

/// Groups whose values differ by at most this are degenerate.
const DEGENERATE: f64 = 1e-8;

/// Whether a group gives no signal: fewer than two values, or all equal.
pub fn is_degenerate(values: &[f64]) -> bool {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.len() < 2 || high - low <= DEGENERATE
}

/// Computes the advantages within one group; exact zeros if [`is_degenerate`].
///
/// ```
/// use stepladder_algo::ops::group::{GroupMode, GroupRule, relative};
/// let rule = GroupRule::new(GroupMode::Rloo);
/// assert_eq!(relative(&[3.0, 1.0, 2.0], rule), [1.5, -1.5, 0.0]);
/// assert_eq!(relative(&[4.0], rule), [0.0]);
/// ```
pub fn relative(values: &[f64], rule: GroupRule) -> Vec<f64> {
    if is_degenerate(values) {
        return vec![0.0; values.len()];
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let scale = match rule.mode {
        GroupMode::Mean => 1.0,
        GroupMode::Rloo => count / (count - 1.0),
        GroupMode::MeanStd => {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let std = (squares / (count - f64::from(rule.ddof)).max(1.0)).sqrt();
            1.0 / (std + rule.eps)
        }
    };
    values.iter().map(|value| (value - mean) * scale).collect()
}

/// Computes [`relative`] for several groups; `groups` has the group of each value, in any order.
///
/// ```
/// use stepladder_algo::ops::group::{GroupMode, GroupRule, group_relative};
/// let rule = GroupRule::new(GroupMode::Mean);
/// assert_eq!(group_relative(&[1.0, 5.0, 0.0], &["a", "b", "a"], rule), [0.5, 0.0, -0.5]);
/// ```
pub fn group_relative<G: Ord>(values: &[f64], groups: &[G], rule: GroupRule) -> Vec<f64> {
    let mut members: BTreeMap<&G, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate().take(values.len()) {
        members.entry(group).or_default().push(index);
    }
    let mut advantages = vec![0.0; values.len()];
    for places in members.into_values() {
        let own: Vec<f64> = places.iter().map(|&place| values[place]).collect();
        for (place, advantage) in places.into_iter().zip(relative(&own, rule)) {
            advantages[place] = advantage;
        }
    }
    advantages
}

/// Computes the advantages of a group's episodes; with `per_step` an episode counts once for each of its steps.
///
/// ```
/// use stepladder_algo::ops::group::{GroupMode, GroupRule, episode_advantages};
/// let rule = GroupRule::new(GroupMode::Mean);
/// assert_eq!(episode_advantages(&[10.0, 0.0], &[2, 3], rule, false), [5.0, -5.0]);
/// assert_eq!(episode_advantages(&[10.0, 0.0], &[2, 3], rule, true), [6.0, -4.0]);
/// ```
pub fn episode_advantages(returns: &[f64], lens: &[usize], rule: GroupRule, per_step: bool) -> Vec<f64> {
    if !per_step {
        return relative(returns, rule);
    }
    let counted = returns.iter().zip(lens).flat_map(|(&value, &len)| std::iter::repeat_n(value, len));
    let all = relative(&counted.collect::<Vec<f64>>(), rule);
    let mut at = 0;
    lens.iter()
        .map(|&len| {
            let advantage = if len > 0 { all[at] } else { 0.0 };
            at += len;
            advantage
        })
        .collect()
}
