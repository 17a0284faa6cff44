//! Log-probabilities of reply tokens, and losses linear in them, on one shard of a step: by libtorch, or by `stepladder-cpu`
//! in f32 on the CPU, which is faster for small models.

use std::borrow::Cow;

use stepladder_core::seed::derive;
use stepladder_cpu::gradient::{Branch, Scorer};
use stepladder_data::Batch;
use stepladder_model::decoder::index;
use stepladder_model::{Decoder, Frame};
use tch::{Device, Tensor};

use crate::AlgoError;
use crate::ops::logprob::nll;
use crate::runtime::pool::refreshed;

/// Loss function of one shard; the losses of all shards sum to the loss of the step.
pub type Loss = fn(&Decoder, &Batch, Device) -> Result<LossParts, AlgoError>;

/// Loss and the token log-probabilities behind it.
pub struct LossParts {
    /// Scalar with gradient.
    pub loss: Tensor,
    /// Log-probability of each target of the batch: `[M]`.
    pub logprobs: Vec<f32>,
}

/// Result of one shard.
pub struct Scored {
    /// Loss of the shard.
    pub loss: f64,
    /// Log-probability of each target: `[M]`.
    pub logprobs: Vec<f32>,
}

/// Computes the weighted loss over the targets of a batch, −Σ wₜ lpₜ; with the batch's weights, the row mean or token mean.
///
/// # Errors
/// From libtorch: ids outside the vocabulary, rows longer than the context window, out of memory.
pub fn weighted_nll(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let to = |ids: &[u32]| index(ids).to_device(device);
    let before = Tensor::from_slice(&batch.before).to_device(device); // [M]
    let weights = Tensor::from_slice(&batch.weights).to_device(device); // [M]
    let logprobs = decoder.packed_logprobs(&to(&batch.ids), &batch.groups, &before, &to(&batch.targets))?; // [M]
    let loss = nll(&logprobs, &weights)?;
    let logprobs = Vec::try_from(logprobs.detach().to_device(Device::Cpu))?;
    Ok(LossParts { loss, logprobs })
}

/// Computes `loss` of the micro-batches of a shard and the sum of their gradients with libtorch. `dropout` is the seed of the
/// masks.
pub(super) fn by_libtorch(
    frame: &Frame,
    loss: Loss,
    buffer: Tensor,
    batches: &[Batch],
    dropout: u64,
) -> Result<(Scored, Tensor), AlgoError> {
    let device = buffer.device();
    let leaf = buffer.set_requires_grad(true);
    let mut scored = Scored { loss: 0.0, logprobs: Vec::new() };
    for (batch, index) in batches.iter().zip(0..) {
        // One graph per micro-batch, so that its memory is freed after each.
        let decoder = frame.decoder_in_training(&leaf, derive(dropout, "micro-batch", &[index]));
        let parts = loss(&decoder, batch, device)?;
        decoder.backward(&parts.loss)?;
        scored.loss += parts.loss.f_double_value(&[])?;
        scored.logprobs.extend(parts.logprobs);
    }
    Ok((scored, leaf.grad()))
}

/// Upper bound on tokens that are scored together.
const TOGETHER: usize = 2048;

/// Computes [`weighted_nll`] of the micro-batches of a shard and its gradient without libtorch: dL/dlp is minus the weight.
pub(super) fn natively(
    frame: &Frame,
    scorer: &mut Option<Scorer>,
    buffer: Tensor,
    batches: &[Batch],
) -> Result<(Scored, Tensor), AlgoError> {
    let leaf = buffer.set_requires_grad(true);
    let decoder = frame.decoder(&leaf);
    let scorer = refreshed(scorer, &decoder)?;
    let mut scored = Scored { loss: 0.0, logprobs: Vec::new() };
    for batch in batches {
        score_natively(scorer, batch, &mut scored)?;
    }
    decoder.pull_back(&scorer.gradient())?;
    Ok((scored, leaf.grad()))
}

/// A row of a batch with targets, as it is scored.
struct Scoring<'a> {
    /// Tokens up to the one before the first target.
    prompt: Cow<'a, [u32]>,
    /// Tokens from the first target to the last.
    reply: Cow<'a, [u32]>,
    /// Place of each target in `reply`.
    places: Vec<usize>,
}

impl Scoring<'_> {
    /// Returns the number of tokens to compute.
    fn cost(&self) -> usize {
        self.prompt.len() + self.reply.len() - 1
    }
}

/// Returns the rows of a batch that have targets. Rows of a group with a prefix are copied.
fn scorings(batch: &Batch) -> Vec<Scoring<'_>> {
    let (mut start, mut from) = (0, 0);
    let mut found = Vec::new();
    for group in &batch.groups {
        let prefix = start..start + group.prefix;
        let mut rest = prefix.end;
        for row in &group.rows {
            let own = &batch.ids[rest..rest + row.rest];
            let place = |&before: &i64| {
                let before = before as usize;
                if before < prefix.end { before + 1 - start } else { before + 1 - rest + group.prefix }
            };
            let targets: Vec<usize> = batch.before[from..from + row.targets].iter().map(place).collect();
            if let (Some(&first), Some(&last)) = (targets.first(), targets.last()) {
                let cut = |from: usize, to: usize| match group.prefix {
                    0 => Cow::Borrowed(&own[from..to]),
                    _ => Cow::Owned([&batch.ids[prefix.clone()], own].concat()[from..to].to_vec()),
                };
                let places = targets.iter().map(|target| target - first).collect();
                found.push(Scoring { prompt: cut(0, first), reply: cut(first, last + 1), places });
            }
            rest += row.rest;
            from += row.targets;
        }
        start = rest;
    }
    found
}

/// Adds loss and gradient of a batch.
fn score_natively(scorer: &mut Scorer, batch: &Batch, scored: &mut Scored) -> Result<(), AlgoError> {
    let mut weights = batch.weights.iter();
    let rows = scorings(batch);
    let mut rows = rows.iter().peekable();
    while rows.peek().is_some() {
        // Tokens between the replies of a row are scored too, with weight 0.
        let mut branches = Vec::new();
        let mut places = Vec::new();
        let (mut first_score, mut tokens) = (0, 0);
        while let Some(row) = rows.next_if(|row| tokens == 0 || tokens + row.cost() <= TOGETHER) {
            branches.push(Branch { prompt: &row.prompt, replies: vec![&row.reply] });
            places.extend(row.places.iter().map(|place| first_score + place));
            first_score += row.reply.len();
            tokens += row.cost();
        }
        let scores = scorer.logprobs(&branches)?;
        let mut slopes = vec![0.0; scores.len()];
        for (&place, &weight) in places.iter().zip(&mut weights) {
            slopes[place] = -weight;
            scored.loss -= f64::from(weight) * f64::from(scores[place]);
        }
        scored.logprobs.extend(places.iter().map(|&place| scores[place]));
        scorer.backward(&slopes)?;
    }
    Ok(())
}
