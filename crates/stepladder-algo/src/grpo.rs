//! GRPO (arXiv:2402.03300) and RLOO (arXiv:2402.14740) on whole episodes of a flat agent (docs/spec/algorithms.md 6.1, 6.2).
//!
//! ```text
//! Aᵢ = (Rᵢ − mean_j R_j) / (std_j R_j + 1e-6)        GRPO; without the division for `norm = "mean"`
//! Aᵢ = Rᵢ − mean_{j ≠ i} R_j                          RLOO
//! ```
//! R is the return of an episode including penalties of invalid replies; all reply tokens of episode i have advantage Aᵢ. The loss
//! is the clipped surrogate with a KL term to the starting policy (5.5, `ops::surrogate`).
//!
//! **Departure from the reference code.** Mean and deviation are over episodes, not over turns, which would weight long episodes
//! more (`cross_step_stats`).

use stepladder_core::Role;

use crate::AlgoError;
use crate::online::rollouts::Sampled;
use crate::online::samples::{Sample, of_role};
use crate::online::{Iteration, Method};
use crate::ops::group::{GroupMode, GroupRule, episode_advantages};

/// GRPO or RLOO as an online method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grpo {
    /// Normalises the returns of a group by the configuration's `norm`.
    Grpo,
    /// Subtracts the mean return of the other episodes.
    Rloo,
}

impl Method for Grpo {
    /// Plays every task `group` times, then trains on all episodes.
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
