//! GRPO and RLOO on whole episodes of a flat agent (docs/spec/algorithms.md 6.1, 6.2).
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
use crate::online::rollouts::Sampled;
use crate::online::samples::{Sample, of_role};
use crate::online::{Iteration, Method};
use crate::ops::group::{GroupMode, GroupRule, episode_advantages};

/// GRPO or RLOO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grpo {
    /// Compares the episodes of a group by the configuration's `norm`.
    Grpo,
    /// Compares each episode with the mean of the others.
    Rloo,
}

impl Method for Grpo {
    /// Plays every task `group` times, then learns from all of it.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError> {
        let config = iteration.config;
        let rule = match self {
            Self::Grpo => config.rule(),
            Self::Rloo => GroupRule::new(GroupMode::Rloo),
        };
        let sampled = Sampled { temperature: config.temperature, only: None };
        let groups = iteration.play_groups(sampled, config.group)?;
        let mut samples: Vec<Sample> = Vec::new();
        for group in &groups {
            let returns = group.returns(config.reward_rule());
            iteration.count_group(&returns);
            let lens: Vec<usize> = group.episodes.iter().map(|episode| episode.len()).collect();
            let advantages = episode_advantages(&returns, &lens, rule, config.cross_step_stats);
            for (episode, advantage) in group.episodes.iter().zip(advantages) {
                samples.extend(of_role(episode, Role::Flat, advantage)?);
            }
        }
        iteration.update(&samples)
    }
}
