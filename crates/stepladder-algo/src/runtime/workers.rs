//! Data-parallel gradients on one machine: each worker thread runs forward and backward on its share of a step with its
//! own leaf over the same parameter storage; gradients are added in the order of the shares.
//!
//! On small matrices two workers with one libtorch thread each beat one worker with two (docs/benchmarks.md).

use stepladder_data::Batch;
use stepladder_model::{Decoder, Factors, Params};
use tch::{Device, Kind, Tensor};

use crate::AlgoError;
use crate::runtime::pool::{Frame, Pool, sum_in_order};

/// A loss of one share; shares add up to the loss of the step.
pub type Loss = fn(&Decoder, &Batch, Device) -> Result<LossParts, AlgoError>;

/// A loss and the token log-probabilities behind it.
pub struct LossParts {
    /// Scalar with gradient.
    pub loss: Tensor,
    /// Log-probability of each target of the batch.
    pub logprobs: Vec<f32>,
}

/// What a share came to.
pub struct Share {
    /// Its part of the loss.
    pub loss: f64,
    /// Log-probability of each target.
    pub logprobs: Vec<f32>,
}

struct Job {
    flat: Tensor,
    batch: Batch,
}

/// A fixed set of worker threads for one loss.
pub struct Workers {
    pool: Pool<Job, (Share, Tensor)>,
}

impl Workers {
    /// `count` workers for a model.
    pub fn new(count: usize, params: &Params, factors: &Factors, kind: Kind, loss: Loss) -> Self {
        let pool = Pool::new(count, || {
            let frame = Frame::new(params, factors, kind);
            move |job| compute(&frame, loss, job)
        });
        Self { pool }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    /// Losses and the summed gradient of all shares; at most one share per worker.
    ///
    /// # Errors
    /// Whatever the loss answers, or [`AlgoError::Shape`] if a worker died.
    pub fn gradient(&self, params: &Params, shares: Vec<Batch>) -> Result<(Vec<Share>, Tensor), AlgoError> {
        let jobs = shares.into_iter().map(|batch| Job { flat: params.flat.detach(), batch }).collect();
        let (done, gradients): (Vec<Share>, Vec<Tensor>) = self.pool.run(jobs)?.into_iter().unzip();
        let gradient = sum_in_order(gradients).unwrap_or_else(|| params.flat.zeros_like());
        Ok((done, gradient))
    }
}

fn compute(frame: &Frame, loss: Loss, job: Job) -> Result<(Share, Tensor), AlgoError> {
    let device = job.flat.device();
    let leaf = job.flat.set_requires_grad(true);
    let parts = loss(&frame.decoder(&leaf), &job.batch, device)?;
    parts.loss.f_backward()?;
    let share = Share { loss: parts.loss.f_double_value(&[])?, logprobs: parts.logprobs };
    Ok((share, leaf.grad()))
}
