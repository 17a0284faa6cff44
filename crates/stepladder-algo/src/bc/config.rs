//! Hyperparameters of behaviour cloning.

use stepladder_data::batch::Reduction;
use tch::Kind;

use crate::runtime::plan::Mixture;
use crate::runtime::progress::Budget;
use crate::runtime::schedule::Schedule;

/// Hyperparameters of behaviour cloning.
#[derive(Debug, Clone, PartialEq)]
pub struct BcConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// Fraction of the run that warms up.
    pub warmup: f64,
    /// Final learning rate as a fraction of the peak.
    pub floor: f64,
    /// Averaging inside a loss.
    pub reduction: Reduction,
    /// How a step mixes the streams.
    pub mixture: Mixture,
    /// Padded tokens of a step (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a step (mixture `levels`).
    pub batch_rows: usize,
    /// The planner's loss counts in every n-th step (mixture `levels`).
    pub planner_every: u64,
    /// When to stop.
    pub budget: Budget,
    /// Run seed.
    pub seed: u64,
    /// Dtype of the matrix products.
    pub kind: Kind,
}
