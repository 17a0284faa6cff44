//! GRPO and RLOO on whole episodes of a flat agent (spec/algorithms 6.1, 6.2).
//!
//! ```text
//! Aᵢ = (Rᵢ − mean_j R_j) / (std_j R_j + 1e-6)        GRPO; `norm = "mean"` leaves the division out
//! Aᵢ = Rᵢ − mean_{j ≠ i} R_j                          RLOO
//! ```
//! R is the return of an episode with the penalties of its invalid replies; all tokens of all replies of episode i carry
//! Aᵢ. The loss is the clipped surrogate with a divergence from the starting policy (5.5, `ops::surrogate`).
//!
//! **Departure from the reference code.** Mean and deviation are taken over episodes; there they are taken over turns, so
//! that long episodes weigh more (`cross_step_stats`).

use stepladder_core::Role;

use crate::AlgoError;
use crate::online::Session;
use crate::online::samples::{Sample, of_role};
use crate::online::world::{Group, Sampled};
use crate::ops::group::{GroupRule, relative};

/// Advantages of the episodes of a group; with `per_step` an episode counts once for each of its steps.
///
/// ```
/// use stepladder_algo::grpo::episode_advantages;
/// use stepladder_algo::ops::group::{GroupMode, GroupRule};
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

/// Returns with penalties, of every episode of a group.
pub(crate) fn returns(session: &Session<'_>, group: &Group) -> Vec<f64> {
    let config = session.config;
    let sum = |rewards: Vec<f64>| rewards.iter().sum();
    group.episodes.iter().map(|episode| sum(config.reward.penalised(episode, config.penalty))).collect()
}

/// One iteration: every task is played `group` times, then learnt from.
///
/// # Errors
/// From playing or from the update.
pub(crate) fn iterate(session: &mut Session<'_>, rule: GroupRule) -> Result<(), AlgoError> {
    let sampled = Sampled { temperature: session.config.temperature, only: None };
    let groups = session.play_groups(sampled, session.config.group)?;
    let mut samples: Vec<Sample> = Vec::new();
    for group in &groups {
        let returns = returns(session, group);
        session.count_group(&returns);
        let lens: Vec<usize> = group.episodes.iter().map(|episode| episode.len()).collect();
        let advantages = episode_advantages(&returns, &lens, rule, session.config.cross_step_stats);
        for (episode, advantage) in group.episodes.iter().zip(advantages) {
            samples.extend(of_role(episode, Role::Flat, advantage)?);
        }
    }
    session.update(&samples)
}
