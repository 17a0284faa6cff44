//! PPO's critic: a copy of the policy's transformer with a linear head.
//!
//! ```text
//! V(t) = w · h(t) + b        h: last-layer vector after the final norm
//! ```

use stepladder_model::{Factors, Layout, Params};
use tch::{Kind, Tensor};

use super::PpoNumbers;
use crate::AlgoError;
use crate::online::rows::{Chunk, chunks};
use crate::online::samples::Sample;
use crate::ops::surrogate::{Aggregate, value_loss};
use crate::runtime::optimiser::AdamW;
use crate::runtime::pool::{Frame, Pool, sum_in_order};

/// The critic's numbers and their optimiser.
#[derive(Debug)]
pub struct ValueModel {
    /// The transformer's parameters in the policy's layout, then w `[d]` and b `[1]`.
    pub flat: Tensor,
    /// Moments.
    pub optimiser: AdamW,
}

/// Numbers of a critic for models of this layout.
pub fn count(layout: &Layout) -> i64 {
    layout.total() + layout.config().shape.width + 1
}

impl ValueModel {
    /// A copy of the policy with a head of zeros.
    pub fn of(params: &Params, optimiser: crate::runtime::optimiser::AdamWConfig) -> Self {
        let head = params.layout.config().shape.width + 1;
        let zeros = Tensor::zeros([head], (Kind::Float, params.flat.device()));
        let flat = tch::no_grad(|| Tensor::cat(&[&params.flat, &zeros], 0));
        Self { optimiser: AdamW::new(optimiser, &flat), flat }
    }
}

struct Job {
    flat: Tensor,
    chunks: Vec<Chunk>,
    /// The clip range, if the chunks are to be learnt: then `old` holds the values before and `advantage` the returns.
    learn: Option<f64>,
}

struct Answer {
    values: Vec<f32>,
    loss: f64,
    gradient: Option<Tensor>,
}

/// A fixed set of worker threads for the critic.
pub struct Values {
    pool: Pool<Job, Answer>,
}

impl Values {
    /// `count` workers for critics of models like `params`.
    pub fn new(count: usize, params: &Params, factors: &Factors, kind: Kind) -> Self {
        let (total, width) = (params.layout.total(), params.layout.config().shape.width);
        let pool = Pool::new(count, || {
            let frame = Frame::new(params, factors, kind);
            move |job| compute(&frame, total, width, job)
        });
        Self { pool }
    }

    /// The value before each reply token of each sample.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Shape`] if a worker died.
    pub fn evaluate(
        &self,
        model: &ValueModel,
        samples: &[Sample],
        (tokens, pad): (usize, u32),
    ) -> Result<Vec<Vec<f32>>, AlgoError> {
        // Chunks are sorted by length: the samples' own order is found again through the same sort.
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|&index| samples[index].ids.len());
        let sorted: Vec<&Sample> = order.iter().map(|&index| &samples[index]).collect();
        let jobs = chunks(&sorted, Aggregate::TokenMean, tokens, pad, self.pool.count())
            .into_iter()
            .map(|chunks| Job { flat: model.flat.detach(), chunks, learn: None })
            .collect();
        let mut found = self.pool.run(jobs)?.into_iter().flat_map(|answer| answer.values);
        let mut values = vec![Vec::new(); samples.len()];
        for index in order {
            values[index] = found.by_ref().take(samples[index].len()).collect();
        }
        Ok(values)
    }

    /// One optimiser step on samples with the values before and the returns of their reply tokens; its loss and the norm of
    /// its gradient.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Shape`] if a worker died.
    pub fn step(
        &self,
        model: &mut ValueModel,
        members: &[(&Sample, &[f32], &[f32])],
        numbers: PpoNumbers,
        (tokens, pad): (usize, u32),
    ) -> Result<(f64, f64), AlgoError> {
        let targets: Vec<Sample> = members
            .iter()
            .map(|(sample, old, returns)| Sample {
                old: old.to_vec(),
                advantage: returns.to_vec(),
                ..(*sample).clone()
            })
            .collect();
        let targets: Vec<&Sample> = targets.iter().collect();
        let jobs = chunks(&targets, Aggregate::TokenMean, tokens, pad, self.pool.count())
            .into_iter()
            .map(|chunks| Job { flat: model.flat.detach(), chunks, learn: Some(numbers.value_clip) })
            .collect();
        let mut loss = 0.0;
        let mut gradients = Vec::new();
        for answer in self.pool.run(jobs)? {
            loss += answer.loss;
            gradients.extend(answer.gradient);
        }
        let gradient = sum_in_order(gradients).unwrap_or_else(|| model.flat.zeros_like());
        let norm = model.optimiser.step(&mut model.flat, &gradient, numbers.learning_rate);
        Ok((loss, norm))
    }
}

fn compute(frame: &Frame, total: i64, width: i64, job: Job) -> Result<Answer, AlgoError> {
    let device = job.flat.device();
    let leaf = job.flat.set_requires_grad(job.learn.is_some());
    let values_of = |chunk: &Chunk| -> Tensor {
        let decoder = frame.decoder(&leaf.narrow(0, 0, total));
        let hidden = decoder.hidden_at(&chunk.ids(device), &(chunk.targets(device) - 1));
        let (w, b) = (leaf.narrow(0, total, width), leaf.narrow(0, total + width, 1));
        decoder.features(&hidden).mv(&w) + b
    };
    let mut answer = Answer { values: Vec::new(), loss: 0.0, gradient: None };
    for chunk in &job.chunks {
        let Some(clip) = job.learn else {
            let values = tch::no_grad(|| values_of(chunk));
            answer.values.extend(Vec::<f32>::try_from(values)?);
            continue;
        };
        let on_device = |values: &[f32]| Tensor::from_slice(values).to_device(device);
        let (old, returns) = (on_device(&chunk.old), on_device(&chunk.advantage));
        let loss = value_loss(&values_of(chunk), &old, &returns, &on_device(&chunk.weights), clip)?;
        loss.f_backward()?;
        answer.loss += loss.f_double_value(&[])?;
    }
    if job.learn.is_some() {
        answer.gradient = Some(leaf.grad());
    }
    Ok(answer)
}
