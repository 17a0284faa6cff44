//! Hyperparameters of the methods that learn by playing.

use stepladder_core::section::Bound;
use stepladder_core::{choices, section};

use super::reward::{Reward, RewardRule};
use crate::ops::group::{GroupMode, GroupRule};
use crate::ops::returns::Gae;
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::runtime::progress::Budget;

choices! {
    /// Comparison of the episodes of a group.
    pub enum Norm {
        /// Centred and divided by the standard deviation.
        MeanStd = "mean_std",
        /// Centred.
        Mean = "mean",
    }
}

section! {
    /// Hyperparameters of learning by playing.
    pub struct OnlineConfig {
        /// End of training, of agents that do not set their own. Iterations count as `epochs`.
        pub budget: Budget = Budget::EnvSteps(300_000) => [Bound::Positive],
        /// Padded tokens of a forward pass, of agents that do not set their own.
        pub batch_tokens: usize = 2048 => [Bound::Between(16, 4_194_304)],
        /// Learning rate of agents that do not set their own.
        pub learning_rate: f64 = 5e-4 => [Bound::Positive],
        /// `ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that are played in an iteration (docs/spec/algorithms.md 5.6).
        pub tasks_per_iteration: usize = 16 => [Bound::AtLeast(1), Bound::NewAtMost(10_000)],
        /// Episodes of each task.
        pub group: usize = 8 => [Bound::AtLeastSince(2, "one episode cannot be compared"), Bound::NewAtMost(1000)],
        /// Sampling temperature while playing, and of the probabilities that are learnt.
        pub temperature: f64 = 1.0 => [Bound::Positive],
        /// Reward of an episode: `success_reward` if it is solved, or the rewards of the environment (docs/spec/algorithms.md 4).
        pub reward: Reward = Reward::Success,
        /// Reward of a solved task where `reward` is `success` (docs/spec/algorithms.md 4).
        pub success_reward: f64 = 10.0 => [Bound::Positive],
        /// Taken off for every reply that cannot be read or is not understood.
        pub penalty: f64 = 0.1 => [Bound::NotNegative],
        /// Advantages inside a group; RLOO has a rule of its own.
        pub norm: Norm = Norm::MeanStd,
        /// Mean and deviation of a group over steps, so that long episodes weigh more, as a released code has it.
        pub cross_step_stats: bool = false,
        /// How far a ratio of probabilities may fall below 1 (docs/spec/algorithms.md 5.5).
        pub clip_low: f64 = 0.2 => [Bound::BelowOne],
        /// How far it may rise above 1.
        pub clip_high: f64 = 0.2 => [Bound::Positive],
        /// Weight of the divergence from the starting policy.
        pub kl: f64 = 0.01 => [Bound::NotNegative],
        /// The mean behind the loss of a mini-batch.
        pub aggregate: Aggregate = Aggregate::TokenMean,
        /// Replies of an optimiser step; by default one step per phase, since a small model needs a clear gradient more than many.
        pub mini_batch: usize = 2048 => [Bound::AtLeast(1)],
        /// `gigpo`: discount of the steps' returns (docs/spec/algorithms.md 6.4).
        pub gamma: f64 = 0.95 => [Bound::Between(0, 1)],
        /// `gigpo`: weight of the comparison of steps.
        pub omega: f64 = 1.0 => [Bound::NotNegative],
        /// `ppo`: discount (docs/spec/algorithms.md 6.3).
        pub gae_gamma: f64 = 1.0 => [Bound::Between(0, 1)],
        /// `ppo`: λ of the advantages.
        pub gae_lambda: f64 = 1.0 => [Bound::Between(0, 1)],
        /// `ppo`: how far a value may move from where it was.
        pub value_clip: f64 = 0.5 => [Bound::Positive],
        /// `ppo`: learning rate of the critic.
        pub critic_learning_rate: f64 = 5e-4 => [Bound::Positive],
    }
}

impl OnlineConfig {
    /// Comparison of the episodes of a group.
    pub fn rule(&self) -> GroupRule {
        GroupRule::new(match self.norm {
            Norm::MeanStd => GroupMode::MeanStd,
            Norm::Mean => GroupMode::Mean,
        })
    }

    /// Reward of each step of an episode.
    pub fn reward_rule(&self) -> RewardRule {
        RewardRule { source: self.reward, success: self.success_reward, penalty: self.penalty }
    }

    /// Clip ranges and weight of the divergence.
    pub fn surrogate(&self) -> SurrogateRule {
        SurrogateRule { clip_low: self.clip_low, clip_high: self.clip_high, beta: self.kl }
    }

    /// γ and λ of PPO.
    pub fn gae(&self) -> Gae {
        Gae { gamma: self.gae_gamma, lambda: self.gae_lambda }
    }
}
