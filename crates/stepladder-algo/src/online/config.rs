//! Hyperparameters that the methods share that learn by playing.

use stepladder_agent::AgentSpec;

use super::reward::Reward;
use crate::ops::group::GroupRule;
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::runtime::progress::Budget;

/// Hyperparameters of learning by playing.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineConfig {
    /// Agent that plays.
    pub agent: AgentSpec,
    /// Tasks of an iteration (B).
    pub tasks: usize,
    /// Episodes of a task (N).
    pub group: usize,
    /// Sampling temperature; the logits of ratios and divergences are divided by it as well.
    pub temperature: f64,
    /// Reward of a step.
    pub reward: Reward,
    /// Subtracted from the reward of a step whose reply could not be read or whose action is unknown.
    pub penalty: f64,
    /// How episodes of a group are compared.
    pub rule: GroupRule,
    /// Statistics of a group over steps instead of episodes (the reference code of GiGPO).
    pub cross_step_stats: bool,
    /// Clip ranges and weight of the divergence.
    pub surrogate: SurrogateRule,
    /// The mean behind the loss of a mini-batch.
    pub aggregate: Aggregate,
    /// Samples of an optimiser step.
    pub mini_batch: usize,
    /// Padded tokens of a forward pass.
    pub batch_tokens: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// When to stop.
    pub budget: Budget,
}
