//! Data-parallel gradients on one machine. Each worker thread runs forward and backward on its shard of a step, with its own
//! leaf over the shared parameter storage; gradients are summed in the order of the shards.
//!
//! On small matrices two workers with one libtorch thread each are faster than one worker with two (docs/benchmarks.md).
//! Behaviour cloning in f32 on the CPU runs its passes without libtorch ([`Workers::cloning`]).

use stepladder_data::Batch;
use stepladder_model::engine::is_native;
use stepladder_model::{Frame, Params, Weights};
use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::runtime::pool::{Pool, sum_in_order};
use crate::runtime::score::{Loss, Scored, by_libtorch, natively, weighted_nll};

struct Shard {
    buffer: Tensor,
    batch: Batch,
}

/// Pool of worker threads for one loss.
pub struct Workers {
    pool: Pool<Shard, (Scored, Tensor)>,
}

impl Workers {
    /// Starts `count` workers for a model with matrix products in `dtype`.
    pub fn new(count: usize, weights: &Weights, dtype: Kind, loss: Loss) -> Self {
        let pool = Pool::new(count, || {
            let frame = Frame::new(weights, dtype);
            move |Shard { buffer, batch }| by_libtorch(&frame, loss, buffer, &batch)
        });
        Self { pool }
    }

    /// Starts `count` workers for [`weighted_nll`], by `stepladder-cpu` in f32 on the CPU and by libtorch otherwise.
    pub fn cloning(count: usize, weights: &Weights, dtype: Kind) -> Self {
        if !is_native(weights, dtype) {
            return Self::new(count, weights, dtype, weighted_nll);
        }
        let pool = Pool::new(count, || {
            let frame = Frame::new(weights, dtype);
            let mut scorer = None;
            move |Shard { buffer, batch }| natively(&frame, &mut scorer, buffer, &batch)
        });
        Self { pool }
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    /// Computes the result of each shard and the sum of their gradients; at most one shard per worker.
    ///
    /// # Errors
    /// From the loss, or [`AlgoError::Worker`] if a worker panicked.
    pub fn gradient(&self, params: &Params, shards: Vec<Batch>) -> Result<(Vec<Scored>, Tensor), AlgoError> {
        let shards =
            shards.into_iter().map(|batch| Shard { buffer: params.buffer.detach(), batch }).collect();
        let (done, gradients): (Vec<Scored>, Vec<Tensor>) = self.pool.run(shards)?.into_iter().unzip();
        let gradient = sum_in_order(gradients).unwrap_or_else(|| params.buffer.zeros_like());
        Ok((done, gradient))
    }
}
