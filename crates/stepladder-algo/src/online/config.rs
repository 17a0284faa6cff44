//! Hyperparameters that the online methods share.

use stepladder_core::section::Bound;
use stepladder_core::{choices, section};

use super::reward::{Reward, RewardRule};
use crate::ops::group::{GroupMode, GroupRule};
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::runtime::budget::Budget;

choices! {
    /// Normalisation of the returns of a group.
    pub enum Norm {
        /// Centred and divided by the standard deviation.
        MeanStd = "mean_std",
        /// Centred.
        Mean = "mean",
    }
}

section! {
    /// Hyperparameters that the online methods share; those of one method are in the method's file.
    pub struct OnlineConfig {
        /// End of training; overridden by an agent's own setting. Iterations count as `epochs`.
        pub budget: Budget = Budget::EnvSteps(300_000) => [Bound::Positive],
        /// Padded tokens of a forward pass; overridden by an agent's own setting.
        pub batch_tokens: usize = 2048 => [Bound::Between(16, 4_194_304)],
        /// Learning rate; overridden by an agent's own setting.
        pub learning_rate: f64 = 5e-4 => [Bound::Positive],
        /// `ENV/SPLIT` of the tasks for rollouts; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks per iteration (docs/spec/algorithms.md 5.6).
        pub tasks_per_iteration: usize = 16 => [Bound::AtLeast(1), Bound::NewAtMost(10_000)],
        /// Episodes of each task.
        pub group: usize = 8 => [Bound::AtLeastSince(2, "one episode cannot be compared"), Bound::NewAtMost(1000)],
        /// Sampling temperature of rollouts, and of the trained distribution.
        pub temperature: f64 = 1.0 => [Bound::Positive],
        /// Reward of an episode: `success_reward` if it is solved, or the rewards of the environment (docs/spec/algorithms.md 4).
        pub reward: Reward = Reward::Success,
        /// Reward of a solved task where `reward` is `success` (docs/spec/algorithms.md 4).
        pub success_reward: f64 = 10.0 => [Bound::Positive],
        /// Penalty for every reply that is unreadable or not understood.
        pub penalty: f64 = 0.1 => [Bound::NotNegative],
        /// Normalisation of the returns of a group; RLOO does not use it.
        pub norm: Norm = Norm::MeanStd,
        /// Mean and deviation of a group over steps instead of episodes, so that long episodes weigh more, as in a released code.
        pub cross_step_stats: bool = false,
        /// Clip range of the probability ratio below 1 (docs/spec/algorithms.md 5.5).
        pub clip_low: f64 = 0.2 => [Bound::BelowOne],
        /// Clip range of the probability ratio above 1.
        pub clip_high: f64 = 0.2 => [Bound::Positive],
        /// Weight of the KL term to the starting policy.
        pub kl: f64 = 0.01 => [Bound::NotNegative],
        /// Mean over the tokens of a mini-batch.
        pub aggregate: Aggregate = Aggregate::TokenMean,
        /// Replies per optimiser step. The default is usually one step per phase: small models gain more from a low-noise gradient than from more steps.
        pub mini_batch: usize = 2048 => [Bound::AtLeast(1)],
    }
}

impl OnlineConfig {
    /// Returns the normalisation of the returns of a group.
    pub fn rule(&self) -> GroupRule {
        GroupRule::new(match self.norm {
            Norm::MeanStd => GroupMode::MeanStd,
            Norm::Mean => GroupMode::Mean,
        })
    }

    /// Returns the reward definition.
    pub fn reward_rule(&self) -> RewardRule {
        RewardRule { source: self.reward, success: self.success_reward, penalty: self.penalty }
    }

    /// Returns clip ranges and weight of the KL term.
    pub fn surrogate(&self) -> SurrogateRule {
        SurrogateRule { clip_low: self.clip_low, clip_high: self.clip_high, beta: self.kl }
    }
}
