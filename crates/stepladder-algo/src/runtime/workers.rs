//! Data-parallel gradients on one machine. Each worker thread runs forward and backward on its shard of a step, with its own
//! leaf over the shared parameter storage; gradients are summed in the order of the shards.
//!
//! On small matrices two workers with one libtorch thread each are faster than one worker with two (docs/benchmarks.md).
//! Behaviour cloning in f32 on the CPU runs its passes without libtorch ([`Workers::cloning`]).

use stepladder_core::seed::derive;
use stepladder_data::Batch;
use stepladder_model::engine::is_native;
use stepladder_model::{Params, Weights};
use tch::Tensor;

use crate::AlgoError;
use crate::runtime::passes::Passes;
use crate::runtime::pool::{Pool, sum_in_order};
use crate::runtime::score::{Loss, Scored, by_libtorch, natively, weighted_nll};

struct Shard {
    buffer: Tensor,
    batches: Vec<Batch>,
    dropout: u64,
}

/// Pool of worker threads for one loss.
pub struct Workers {
    pool: Pool<Shard, (Scored, Tensor)>,
    passes: Passes,
}

impl Workers {
    /// Starts `count` workers for a model.
    pub fn new(count: usize, weights: &Weights, passes: impl Into<Passes>, loss: Loss) -> Self {
        let passes = passes.into();
        let pool = Pool::new(count, || {
            let frame = passes.frame(weights);
            move |Shard { buffer, batches, dropout }| by_libtorch(&frame, loss, buffer, &batches, dropout)
        });
        Self { pool, passes }
    }

    /// Starts `count` workers for [`weighted_nll`], by `stepladder-cpu` in f32 on the CPU and by libtorch otherwise.
    pub fn cloning(count: usize, weights: &Weights, passes: impl Into<Passes>) -> Self {
        let passes = passes.into();
        if !is_native(weights, passes.dtype) {
            return Self::new(count, weights, passes, weighted_nll);
        }
        let pool = Pool::new(count, || {
            let frame = passes.frame(weights);
            let mut scorer = None;
            move |Shard { buffer, batches, .. }| natively(&frame, &mut scorer, buffer, &batches)
        });
        Self { pool, passes }
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    /// Returns the settings of the passes.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// Computes the result of each shard, given as its micro-batches, and the sum of their gradients; at most one shard per worker.
    /// `dropout` is the seed of the step's masks.
    ///
    /// # Errors
    /// From the loss, or [`AlgoError::Worker`] if a worker panicked.
    pub fn gradient(
        &self,
        params: &Params,
        shards: Vec<Vec<Batch>>,
        dropout: u64,
    ) -> Result<(Vec<Scored>, Tensor), AlgoError> {
        let shard = |(batches, index)| {
            let dropout = derive(dropout, "shard", &[index]);
            Shard { buffer: params.buffer.detach(), batches, dropout }
        };
        let shards = shards.into_iter().zip(0..).map(shard).collect();
        let (done, gradients): (Vec<Scored>, Vec<Tensor>) = self.pool.run(shards)?.into_iter().unzip();
        let gradient = sum_in_order(gradients).unwrap_or_else(|| params.buffer.zeros_like());
        Ok((done, gradient))
    }
}
