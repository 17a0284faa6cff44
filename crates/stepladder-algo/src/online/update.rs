//! Gradient of the clipped surrogate on a mini-batch. SurrogateWorker threads compute one shard each; token weights make the losses of
//! the shards sum to the loss of the mini-batch.

use stepladder_cpu::gradient::Scorer;
use stepladder_model::engine::is_native;
use stepladder_model::{Decoder, Frame, Params, Weights};
use tch::{Device, Kind, TchError, Tensor};

use crate::AlgoError;
use crate::online::branches::{Node, PassTokens, pass_tokens};
use crate::online::rows::Chunk;
use crate::online::samples::Sample;
use crate::online::work::{Work, shards};
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::runtime::passes::Passes;
use crate::runtime::pool::{Pool, refreshed, sum_in_order};

/// Sums over the tokens of a mini-batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Loss.
    pub loss: f64,
    /// Policy-gradient part of the loss.
    pub pg_loss: f64,
    /// KL estimate to the reference policy (k3), weighted mean.
    pub kl: f64,
    /// Number of clipped tokens.
    pub clipped: f64,
    /// Σ |lp recomputed − lp recorded|.
    pub gap: f64,
    /// Largest |lp recomputed − lp recorded|.
    pub gap_max: f64,
    /// Number of reply tokens.
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

struct Shard {
    buffer: Tensor,
    reference: Tensor,
    rule: SurrogateRule,
    work: Work,
}

/// Pool of worker threads for the surrogate.
pub struct SurrogateWorkers {
    pool: Pool<Shard, (Sums, Tensor)>,
    /// Whether the CPU engine computes gradients.
    native: bool,
    passes: Passes,
}

impl SurrogateWorkers {
    /// Starts `count` workers for a model like `weights`; the policy is its distribution at `temperature`.
    pub fn new(count: usize, weights: &Weights, passes: impl Into<Passes>, temperature: f64) -> Self {
        let passes = passes.into();
        let native = is_native(weights, passes.dtype);
        let pool = Pool::new(count, || {
            let mut worker =
                SurrogateWorker { frame: passes.frame(weights), temperature, scorers: [None, None] };
            move |shard| worker.answer(shard)
        });
        Self { pool, native, passes }
    }

    /// Switches to libtorch on any device.
    pub fn with_libtorch(self) -> Self {
        Self { native: false, ..self }
    }

    /// Computes loss and gradient of a mini-batch. `layout` is the number of tokens per pass, if micro-batches are not smaller, and
    /// the padding id.
    ///
    /// # Errors
    /// From libtorch or the CPU engine, or [`AlgoError::Worker`] if a worker panicked.
    pub fn gradient(
        &self,
        params: &Params,
        reference: &Tensor,
        samples: &[&Sample],
        (rule, aggregate): (SurrogateRule, Aggregate),
        (tokens, pad): (usize, u32),
    ) -> Result<(Sums, Tensor), AlgoError> {
        let layout = (tokens.min(self.passes.limit()), pad);
        let work = shards(self.native, samples, aggregate, layout, self.pool.count());
        let shard =
            |work| Shard { buffer: params.buffer.detach(), reference: reference.shallow_clone(), rule, work };
        let mut sums = Sums::default();
        let mut gradients = Vec::new();
        for (shard, gradient) in self.pool.run(work.into_iter().map(shard).collect())? {
            sums.add(&shard);
            gradients.push(gradient);
        }
        Ok((sums, sum_in_order(gradients).unwrap_or_else(|| params.buffer.zeros_like())))
    }
}

struct SurrogateWorker {
    frame: Frame,
    temperature: f64,
    /// Scorers of the policy and of the reference policy.
    scorers: [Option<Scorer>; 2],
}

/// Inputs of the surrogate for the tokens of a pass.
struct TokenInputs<'a> {
    old: &'a [f32],
    advantage: &'a [f32],
    weight: &'a [f32],
}

/// Backpropagates the loss of a pass to `new` by `backward`. Without a reference the KL term is 0.
fn surrogate(
    rule: SurrogateRule,
    new: &Tensor,
    reference: Option<Tensor>,
    given: &TokenInputs<'_>,
    backward: impl FnOnce(&Tensor) -> Result<(), TchError>,
) -> Result<Sums, AlgoError> {
    let on_device = |values: &[f32]| Tensor::from_slice(values).to_device(new.device());
    let old = on_device(given.old);
    let reference = reference.unwrap_or_else(|| new.detach());
    let found =
        rule.evaluate(new, &old, &reference, &on_device(given.advantage), &on_device(given.weight))?;
    backward(&found.total)?;
    let gap = (new.detach() - old).abs();
    let tokens = given.old.len();
    Ok(Sums {
        loss: found.total.f_double_value(&[])?,
        pg_loss: found.pg_loss.f_double_value(&[])?,
        kl: found.kl.f_double_value(&[])?,
        clipped: found.clip_frac.f_double_value(&[])? * tokens as f64,
        gap: gap.sum(Kind::Double).f_double_value(&[])?,
        gap_max: gap.max().f_double_value(&[])?,
        tokens: tokens as u64,
    })
}

impl SurrogateWorker {
    fn answer(&mut self, shard: Shard) -> Result<(Sums, Tensor), AlgoError> {
        let leaf = shard.buffer.set_requires_grad(true);
        let decoder = |values: &Tensor| self.frame.decoder(values).at_temperature(self.temperature);
        // Without a KL term the reference policy is not needed.
        let reference = (shard.rule.beta != 0.0).then(|| tch::no_grad(|| decoder(&shard.reference)));
        let sums = match &shard.work {
            Work::Rows(chunks) => {
                rows(chunks, leaf.device(), || decoder(&leaf), reference.as_ref(), shard.rule)?
            }
            Work::Branches(passes) => {
                let policy = decoder(&leaf);
                branches(passes, &policy, reference.as_ref(), &mut self.scorers, shard.rule)?
            }
        };
        Ok((sums, leaf.grad()))
    }
}

fn rows(
    chunks: &[Chunk],
    device: Device,
    policy: impl Fn() -> Decoder,
    reference: Option<&Decoder>,
    rule: SurrogateRule,
) -> Result<Sums, AlgoError> {
    let mut sums = Sums::default();
    for chunk in chunks {
        // One graph per chunk, so that its memory is freed after each.
        let policy = policy();
        let (ids, targets) = (chunk.ids(device), chunk.targets(device));
        let new = policy.logprobs(&ids, &targets)?;
        let far = reference.map(|decoder| tch::no_grad(|| decoder.logprobs(&ids, &targets))).transpose()?;
        let given = TokenInputs { old: &chunk.old, advantage: &chunk.advantage, weight: &chunk.weights };
        sums.add(&surrogate(rule, &new, far, &given, |loss| policy.backward(loss))?);
    }
    Ok(sums)
}

fn branches(
    passes: &[Vec<Node>],
    policy: &Decoder,
    reference: Option<&Decoder>,
    [own, fixed]: &mut [Option<Scorer>; 2],
    rule: SurrogateRule,
) -> Result<Sums, AlgoError> {
    let scorer = refreshed(own, policy)?;
    let mut fixed = reference.map(|reference| refreshed(fixed, reference)).transpose()?;
    let mut sums = Sums::default();
    for pass in passes {
        let branches: Vec<_> = pass.iter().map(Node::branch).collect();
        let PassTokens { place, old, advantage, weight } = pass_tokens(pass);
        let of_entries = |scores: &[f32]| {
            let values: Vec<f32> = place.iter().map(|&place| scores[place]).collect();
            Tensor::from_slice(&values)
        };
        let far = match &mut fixed {
            Some(fixed) => Some(of_entries(&fixed.score(&branches)?)),
            None => None,
        };
        let scores = scorer.logprobs(&branches)?;
        let new = of_entries(&scores).set_requires_grad(true);
        let given = TokenInputs { old: &old, advantage: &advantage, weight: &weight };
        sums.add(&surrogate(rule, &new, far, &given, Tensor::f_backward)?);
        let mut slopes = vec![0.0; scores.len()];
        for (&place, slope) in place.iter().zip(Vec::<f32>::try_from(new.grad())?) {
            slopes[place] += slope;
        }
        scorer.backward(&slopes)?;
    }
    policy.pull_back(&scorer.gradient())?;
    Ok(sums)
}
