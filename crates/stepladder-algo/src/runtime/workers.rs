//! Data-parallel gradients on one machine: each worker thread runs forward and backward on its share of a step with its
//! own leaf over the same parameter storage; gradients are added in the order of the shares.
//!
//! On small matrices two workers with one libtorch thread each beat one worker with two (docs/benchmarks.md). Behaviour
//! cloning in f32 on the CPU needs no libtorch for its passes ([`Workers::cloning`]).

use stepladder_data::Batch;
use stepladder_model::cpu::gradient::{Branch, Scorer};
use stepladder_model::{Decoder, Factors, Params};
use tch::{Device, Kind, Tensor};

use crate::AlgoError;
use crate::bc::weighted_nll;
use crate::online::work::is_native;
use crate::runtime::pool::{Frame, Pool, refreshed, sum_in_order};

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

    /// `count` workers for [`weighted_nll`], by the fastest way there is on this device.
    pub fn cloning(count: usize, params: &Params, factors: &Factors, kind: Kind) -> Self {
        if !is_native(&params.flat, kind) {
            return Self::new(count, params, factors, kind, weighted_nll);
        }
        let pool = Pool::new(count, || {
            let frame = Frame::new(params, factors, kind);
            let mut scorer = None;
            move |job| Ok(clone_natively(&frame, &mut scorer, job))
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
    /// Whatever the loss answers, or [`AlgoError::Worker`] if a worker died.
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

/// Tokens that are scored together.
const TOGETHER: usize = 2048;

/// [`weighted_nll`] and its gradient: dL/dlp is minus the weight.
fn clone_natively(frame: &Frame, scorer: &mut Option<Scorer>, job: Job) -> (Share, Tensor) {
    let leaf = job.flat.set_requires_grad(true);
    let decoder = frame.decoder(&leaf);
    let scorer = refreshed(scorer, &decoder);
    let Batch { len, ids, targets, weights, .. } = &job.batch;
    let words: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
    let mut share = Share { loss: 0.0, logprobs: Vec::with_capacity(targets.len()) };
    let row_of = |target: i64| target as usize / len;
    let mut rows = targets.chunk_by(|&a, &b| row_of(a) == row_of(b)).peekable();
    while rows.peek().is_some() {
        // What stands between the replies of a row is scored along with them, and weighs nothing.
        let mut branches = Vec::new();
        let mut places = Vec::new();
        let (mut scored, mut tokens) = (0, 0);
        while let Some(row) = rows.next_if(|row| tokens == 0 || tokens + cost(row, *len) <= TOGETHER) {
            let (start, first, last) = (row_of(row[0]) * len, row[0] as usize, row[row.len() - 1] as usize);
            branches.push(Branch { prompt: &words[start..first], replies: vec![&words[first..=last]] });
            places.extend(row.iter().map(|&target| scored + target as usize - first));
            scored += last + 1 - first;
            tokens += cost(row, *len);
        }
        let scores = scorer.logprobs(&branches);
        let mut slopes = vec![0.0; scores.len()];
        for (&place, &weight) in places.iter().zip(&weights[share.logprobs.len()..]) {
            slopes[place] = -weight;
            share.loss -= f64::from(weight) * f64::from(scores[place]);
        }
        share.logprobs.extend(places.iter().map(|&place| scores[place]));
        scorer.backward(&slopes);
    }
    decoder.pull_back(&scorer.gradient());
    (share, leaf.grad())
}

/// Tokens that a row with these targets costs.
fn cost(targets: &[i64], len: usize) -> usize {
    targets.last().map_or(0, |&last| last as usize % len)
}
