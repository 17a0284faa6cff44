//! Settings of forward and backward passes: dtype, and measures against their memory.

use stepladder_model::{Frame, Weights};
use tch::Kind;

/// How gradients are computed. None of it changes a loss: recomputation and micro-batches change gradients by rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// Dtype of matrix products.
    pub dtype: Kind,
    /// Computes each block again for its gradient, so that only its input must be kept. Ignored by `stepladder-cpu`, whose passes
    /// are small.
    pub recompute: bool,
    /// Tokens of a pass (computed ones in cloning with groups, else padded ones): a shard of a step with more is divided into micro-batches, whose gradients are summed in order.
    /// 0 for no limit. A longer row is a micro-batch by itself.
    pub micro_tokens: usize,
}

impl From<Kind> for Passes {
    /// Products in this dtype, without recomputation and micro-batches.
    fn from(dtype: Kind) -> Self {
        Self { dtype, recompute: false, micro_tokens: 0 }
    }
}

impl Passes {
    /// Creates the frame of a worker.
    pub(crate) fn frame(self, weights: &Weights) -> Frame {
        Frame::new(weights, self.dtype).recomputing(self.recompute)
    }

    /// Returns the largest number of tokens of a pass.
    pub(crate) fn limit(self) -> usize {
        if self.micro_tokens == 0 { usize::MAX } else { self.micro_tokens }
    }
}
