//! Data-parallel gradients on one machine: each worker thread runs forward and backward on its shard of a step with its
//! own leaf over the same parameter storage; gradients are added in the order of the shards.
//!
//! On small matrices two workers with one libtorch thread each beat one worker with two (docs/benchmarks.md). Behaviour
//! cloning in f32 on the CPU needs no libtorch for its passes ([`Workers::cloning`]).

use stepladder_data::Batch;
use stepladder_model::engine::is_native;
use stepladder_model::{Factors, Frame, Params, Weights};
use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::runtime::pool::{Pool, sum_in_order};
use crate::runtime::score::{Loss, Scored, by_libtorch, natively, weighted_nll};

struct Shard {
    flat: Tensor,
    batch: Batch,
}

/// A fixed set of worker threads for one loss.
pub struct Workers {
    pool: Pool<Shard, (Scored, Tensor)>,
}

impl Workers {
    /// `count` workers for a model.
    pub fn new(count: usize, weights: &Weights, factors: &Factors, dtype: Kind, loss: Loss) -> Self {
        let pool = Pool::new(count, || {
            let frame = Frame::new(weights, factors, dtype);
            move |Shard { flat, batch }| by_libtorch(&frame, loss, flat, &batch)
        });
        Self { pool }
    }

    /// `count` workers for [`weighted_nll`], by the fastest way there is on this device.
    pub fn cloning(count: usize, weights: &Weights, factors: &Factors, dtype: Kind) -> Self {
        if !is_native(weights.device(), dtype) {
            return Self::new(count, weights, factors, dtype, weighted_nll);
        }
        let pool = Pool::new(count, || {
            let frame = Frame::new(weights, factors, dtype);
            let mut scorer = None;
            move |Shard { flat, batch }| natively(&frame, &mut scorer, flat, &batch)
        });
        Self { pool }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    /// Results and the summed gradient of all shards; at most one shard per worker.
    ///
    /// # Errors
    /// Whatever the loss answers, or [`AlgoError::Worker`] if a worker died.
    pub fn gradient(&self, params: &Params, shards: Vec<Batch>) -> Result<(Vec<Scored>, Tensor), AlgoError> {
        let shards = shards.into_iter().map(|batch| Shard { flat: params.flat.detach(), batch }).collect();
        let (done, gradients): (Vec<Scored>, Vec<Tensor>) = self.pool.run(shards)?.into_iter().unzip();
        let gradient = sum_in_order(gradients).unwrap_or_else(|| params.flat.zeros_like());
        Ok((done, gradient))
    }
}
