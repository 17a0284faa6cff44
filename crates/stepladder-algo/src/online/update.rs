//! One optimiser step of the clipped surrogate: its gradient is computed by worker threads, each on its part of the
//! mini-batch, with weights that make the parts add up to the loss of the whole.

use stepladder_model::{Decoder, Factors, Params};
use tch::{Device, Kind, Tensor};

use crate::AlgoError;
use crate::online::samples::Sample;
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::runtime::plan::shares;
use crate::runtime::pool::{Frame, Pool, sum_in_order};

/// Rows of a forward pass: token ids and the reply tokens that carry a loss.
pub(crate) struct Chunk {
    rows: i64,
    len: i64,
    ids: Vec<i64>,
    /// Flat indices into `ids`.
    targets: Vec<i64>,
    pub(crate) weights: Vec<f32>,
    pub(crate) old: Vec<f32>,
    pub(crate) advantage: Vec<f32>,
}

impl Chunk {
    fn collate(samples: &[(&Sample, f64)], pad: u32) -> Self {
        let len = samples.iter().map(|(sample, _)| sample.ids.len()).max().unwrap_or(0);
        let mut chunk = Self {
            rows: samples.len() as i64,
            len: len as i64,
            ids: Vec::with_capacity(samples.len() * len),
            targets: Vec::new(),
            weights: Vec::new(),
            old: Vec::new(),
            advantage: Vec::new(),
        };
        for (row, (sample, weight)) in samples.iter().enumerate() {
            let base = row * len;
            chunk.ids.extend(sample.ids.iter().map(|&id| i64::from(id)));
            chunk.ids.resize(base + len, i64::from(pad));
            chunk.targets.extend((0..sample.len()).map(|token| (base + sample.start + token) as i64));
            chunk.weights.extend(std::iter::repeat_n(*weight as f32, sample.len()));
            chunk.old.extend(&sample.old);
            chunk.advantage.extend(&sample.advantage);
        }
        chunk
    }

    pub(crate) fn ids(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.ids).view([self.rows, self.len]).to_device(device)
    }

    pub(crate) fn targets(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.targets).to_device(device)
    }
}

/// Samples in chunks of about `tokens` padded tokens, one list for each of at most `parts` workers, and the weight of each
/// sample's tokens in the mean over all of them.
pub(crate) fn chunks(
    samples: &[&Sample],
    aggregate: Aggregate,
    tokens: usize,
    pad: u32,
    parts: usize,
) -> Vec<Vec<Chunk>> {
    let replies: Vec<(usize, f64)> = samples.iter().map(|sample| (sample.len(), sample.count)).collect();
    let weighted: Vec<(&Sample, f64)> = samples.iter().copied().zip(aggregate.weights(&replies)).collect();
    let shares = shares(weighted, parts, |(sample, _)| sample.ids.len());
    shares
        .into_iter()
        .map(|share| {
            let mut chunks = Vec::new();
            let mut from = 0;
            // Neighbours are of similar length, the last of a chunk is its longest.
            for place in 0..share.len() {
                let rows = place + 1 - from;
                let next = share.get(place + 1).map_or(usize::MAX, |(sample, _)| sample.ids.len());
                if next == usize::MAX || (rows + 1) * next > tokens {
                    chunks.push(Chunk::collate(&share[from..=place], pad));
                    from = place + 1;
                }
            }
            chunks
        })
        .collect()
}

/// Sums over the tokens of an update; those with weights are parts of its loss.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Loss.
    pub loss: f64,
    /// Its part from the advantages.
    pub pg_loss: f64,
    /// Mean divergence from the reference (k3).
    pub kl: f64,
    /// Clipped tokens.
    pub clipped: f64,
    /// Σ |lp recomputed − lp recorded|.
    pub gap: f64,
    /// The largest of them.
    pub gap_max: f64,
    /// Reply tokens.
    pub tokens: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.pg_loss += other.pg_loss;
        self.kl += other.kl;
        self.clipped += other.clipped;
        self.gap += other.gap;
        self.gap_max = self.gap_max.max(other.gap_max);
        self.tokens += other.tokens;
    }
}

struct Job {
    flat: Tensor,
    reference: Tensor,
    rule: SurrogateRule,
    chunks: Vec<Chunk>,
}

/// A fixed set of worker threads for the surrogate.
pub struct Learners {
    pool: Pool<Job, (Sums, Tensor)>,
}

impl Learners {
    /// `count` workers for a model like `params`.
    pub fn new(count: usize, params: &Params, factors: &Factors, kind: Kind) -> Self {
        let pool = Pool::new(count, || {
            let frame = Frame::new(params, factors, kind);
            move |job| compute(&frame, job)
        });
        Self { pool }
    }

    /// Loss and gradient of a mini-batch.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Shape`] if a worker died.
    pub fn gradient(
        &self,
        params: &Params,
        reference: &Tensor,
        samples: &[&Sample],
        (rule, aggregate): (SurrogateRule, Aggregate),
        (tokens, pad): (usize, u32),
    ) -> Result<(Sums, Tensor), AlgoError> {
        let jobs = chunks(samples, aggregate, tokens, pad, self.pool.count())
            .into_iter()
            .map(|chunks| Job {
                flat: params.flat.detach(),
                reference: reference.shallow_clone(),
                rule,
                chunks,
            })
            .collect();
        let mut sums = Sums::default();
        let mut gradients = Vec::new();
        for (part, gradient) in self.pool.run(jobs)? {
            sums.add(&part);
            gradients.push(gradient);
        }
        Ok((sums, sum_in_order(gradients).unwrap_or_else(|| params.flat.zeros_like())))
    }
}

fn compute(frame: &Frame, job: Job) -> Result<(Sums, Tensor), AlgoError> {
    let device = job.flat.device();
    let leaf = job.flat.set_requires_grad(true);
    let reference: Option<Decoder> =
        (job.rule.beta != 0.0).then(|| tch::no_grad(|| frame.decoder(&job.reference)));
    let mut sums = Sums::default();
    for chunk in &job.chunks {
        let (ids, targets) = (chunk.ids(device), chunk.targets(device));
        let on_device = |values: &[f32]| Tensor::from_slice(values).to_device(device);
        let new = frame.decoder(&leaf).logprobs(&ids, &targets);
        // Without a divergence term the reference is never looked at.
        let far = match &reference {
            Some(decoder) => tch::no_grad(|| decoder.logprobs(&ids, &targets)),
            None => new.detach(),
        };
        let old = on_device(&chunk.old);
        let found =
            job.rule.evaluate(&new, &old, &far, &on_device(&chunk.advantage), &on_device(&chunk.weights))?;
        found.total.f_backward()?;
        let gap = (new.detach() - old).abs();
        sums.add(&Sums {
            loss: found.total.f_double_value(&[])?,
            pg_loss: found.pg_loss.f_double_value(&[])?,
            kl: found.kl.f_double_value(&[])?,
            clipped: found.clip_frac.f_double_value(&[])? * chunk.targets.len() as f64,
            gap: gap.sum(Kind::Double).f_double_value(&[])?,
            gap_max: gap.max().f_double_value(&[])?,
            tokens: chunk.targets.len() as u64,
        });
    }
    Ok((sums, leaf.grad()))
}
