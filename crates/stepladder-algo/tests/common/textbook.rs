//! Losses as in the papers, from the logits of all positions and one row per sample. Training computes the same from
//! log-probabilities of reply tokens only; tests compare both.

use stepladder_algo::ops::actor::{ActorMode, ActorRule};
use tch::{Kind, Tensor};

/// Label of tokens without a loss.
pub(crate) const IGNORE: i64 = -100;

/// Log-probability of every labelled token,  lpₜ₊₁ = log softmax(logitsₜ)[labelₜ₊₁]  (docs/spec/algorithms.md 1.2), and which
/// positions have a label; the others hold 0.
///
/// logits: `[B, T, V]` · labels: `[B, T]` → `[B, T−1]` twice.
pub(crate) fn token_logprobs(logits: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
    let last = logits.size()[1] - 1;
    let shifted = labels.narrow(1, 1, last);
    let mask = shifted.ne(IGNORE);
    let index = shifted.clamp_min(0).unsqueeze(2);
    let logprobs =
        logits.narrow(1, 0, last).log_softmax(-1, Kind::Float).gather(2, &index, false).squeeze_dim(2);
    (logprobs.where_scalarother(&mask, 0.0), mask)
}

/// Row log-probability  LP = Σₜ maskₜ lpₜ / Σₜ maskₜ  (3.2): `[B, T]` twice → `[B]`; 0 for a row without tokens.
pub(crate) fn row_logprobs(logprobs: &Tensor, mask: &Tensor) -> Tensor {
    let mask = mask.to_kind(Kind::Float);
    let count = mask.sum_dim_intlist(-1, false, Kind::Float);
    (logprobs * &mask).sum_dim_intlist(-1, false, Kind::Float) / count.clamp_min(1.0)
}

/// Behaviour cloning  L = −mean over rows with tokens of LP  (3.3): `[B, T]` twice → scalar.
pub(crate) fn behaviour_cloning(logprobs: &Tensor, mask: &Tensor) -> Tensor {
    let rows = row_logprobs(logprobs, mask);
    let tokens = mask.to_kind(Kind::Float).sum_dim_intlist(-1, false, Kind::Float);
    let valid = tokens.gt(0.0).to_kind(Kind::Float);
    -(rows * &valid).sum(Kind::Float) / valid.sum(Kind::Float).clamp_min(1.0)
}

/// The loss of an actor (Eq. 5 and 6; 3.5) over rows with `weight` merged samples each: `[B]` → scalar. Its gradient
/// flows to the log-probabilities only.
pub(crate) fn actor_loss(
    rule: &ActorRule,
    q: &Tensor,
    v: &Tensor,
    logprobs: &Tensor,
    weight: &Tensor,
) -> Tensor {
    let mean = |values: &Tensor| (values * weight).sum(Kind::Float) / weight.sum(Kind::Float);
    let (q, v) = (q.detach(), v.detach());
    let advantage = &q - &v;
    match rule.mode {
        ActorMode::Awr => {
            let raw = (&advantage / rule.temperature).exp().clamp_max(rule.clip);
            let normalised = &raw / (mean(&raw) + 1e-8);
            -mean(&(normalised * logprobs))
        }
        ActorMode::Linear => -mean(&(advantage * logprobs)),
        ActorMode::LinearOuter => -mean(&advantage) * mean(logprobs),
        ActorMode::QLinear => -mean(&(q * logprobs)),
        ActorMode::Oracle => panic!("an oracle's advantage is not one of Q and V"),
    }
}
