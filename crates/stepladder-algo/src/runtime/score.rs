//! Log-probabilities of reply tokens, and losses linear in them, on one shard of a step: by libtorch, or by `stepladder-cpu`
//! in f32 on the CPU, which is faster for small models.

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
    /// Log-probability of each target of the batch: `[N]`.
    pub logprobs: Vec<f32>,
}

/// Result of one shard.
pub struct Scored {
    /// Loss of the shard.
    pub loss: f64,
    /// Log-probability of each target: `[N]`.
    pub logprobs: Vec<f32>,
}

/// Computes the weighted loss over the targets of a batch, −Σ wₜ lpₜ; with the batch's weights, the row mean or token mean.
///
/// # Errors
/// From libtorch: ids outside the vocabulary, rows longer than the context window, out of memory.
pub fn weighted_nll(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let ids = index(&batch.ids).view([batch.rows as i64, batch.len as i64]).to_device(device); // [B, T]
    let targets = Tensor::from_slice(&batch.targets).to_device(device); // [N]
    let weights = Tensor::from_slice(&batch.weights).to_device(device); // [N]
    let logprobs = decoder.logprobs(&ids, &targets)?; // [N]
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

/// Adds loss and gradient of a batch.
fn score_natively(scorer: &mut Scorer, batch: &Batch, scored: &mut Scored) -> Result<(), AlgoError> {
    let Batch { len, ids, targets, weights, .. } = batch;
    let mut weights = weights.iter();
    let row_of = |target: i64| target as usize / len;
    let mut rows = targets.chunk_by(|&a, &b| row_of(a) == row_of(b)).peekable();
    while rows.peek().is_some() {
        // Tokens between the replies of a row are scored too, with weight 0.
        let mut branches = Vec::new();
        let mut places = Vec::new();
        let (mut first_score, mut tokens) = (0, 0);
        while let Some(row) = rows.next_if(|row| tokens == 0 || tokens + cost(row, *len) <= TOGETHER) {
            let (start, first, last) = (row_of(row[0]) * len, row[0] as usize, row[row.len() - 1] as usize);
            branches.push(Branch { prompt: &ids[start..first], replies: vec![&ids[first..=last]] });
            places.extend(row.iter().map(|&target| first_score + target as usize - first));
            first_score += last + 1 - first;
            tokens += cost(row, *len);
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

/// Returns the number of tokens to compute for a row with these targets.
fn cost(targets: &[i64], len: usize) -> usize {
    targets.last().map_or(0, |&last| last as usize % len)
}
