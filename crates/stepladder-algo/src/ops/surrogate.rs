//! Clipped surrogate with a KL term to the reference policy (docs/spec/algorithms.md 5.5), and the clipped value loss of PPO
//! (6.3; arXiv:1707.06347).
//!
//! ```text
//! ρₜ   = exp(lpₙₑᵥ − lpₒₗd)                                        exponent clamped to ±20
//! pgₜ  = − min(ρₜ Aₜ, clip(ρₜ, 1 − ε_low, 1 + ε_high) Aₜ)
//! k3ₜ  = exp(d) − d − 1,   d = lp_ref − lpₙₑᵥ                      d clamped to ±20
//! L    = Σₜ wₜ (pgₜ + β k3ₜ)
//! ```
//! The weights w implement the mean of [`Aggregate`] over all reply tokens of a mini-batch, so the losses of its shards sum to
//! the loss of the whole.

use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::ops::same;

/// Bound on the exponents.
const EXPONENT: f64 = 20.0;

stepladder_core::choices! {
    /// Mean over the tokens of a mini-batch.
    pub enum Aggregate {
        /// Over all tokens.
        TokenMean = "token_mean",
        /// Over replies, of the mean over a reply's tokens.
        SeqMeanTokenMean = "seq_mean_token_mean",
        /// Over replies, of the sum over a reply's tokens.
        SeqMeanTokenSum = "seq_mean_token_sum",
    }
}

impl Aggregate {
    /// Computes the weight of a token in each reply, from the length of each reply and the number of samples merged into it. A
    /// reply without tokens has weight 0.
    ///
    /// ```
    /// use stepladder_algo::ops::surrogate::Aggregate;
    /// assert_eq!(Aggregate::TokenMean.weights(&[(3, 1.0), (1, 1.0), (0, 1.0)]), [0.25, 0.25, 0.0]);
    /// assert_eq!(Aggregate::SeqMeanTokenMean.weights(&[(5, 1.0), (1, 1.0), (0, 1.0)]), [0.1, 0.5, 0.0]);
    /// assert_eq!(Aggregate::SeqMeanTokenSum.weights(&[(5, 3.0), (1, 1.0)]), [0.75, 0.25]);
    /// ```
    pub fn weights(self, replies: &[(usize, f64)]) -> Vec<f64> {
        let tokens: f64 = replies.iter().map(|&(len, count)| len as f64 * count).sum();
        let all: f64 = replies.iter().filter(|(len, _)| *len > 0).map(|(_, count)| count).sum();
        let weight = |(len, count): (usize, f64)| match self {
            Self::TokenMean => count / tokens,
            Self::SeqMeanTokenMean => count / (all * len as f64),
            Self::SeqMeanTokenSum => count / all,
        };
        replies.iter().map(|&reply| if reply.0 == 0 { 0.0 } else { weight(reply) }).collect()
    }
}

/// Hyperparameters of the surrogate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurrogateRule {
    /// ε_low: clip range of the ratio below 1.
    pub clip_low: f64,
    /// ε_high: clip range above 1.
    pub clip_high: f64,
    /// β: weight of the KL term.
    pub beta: f64,
}

/// Value of the surrogate and its parts.
#[derive(Debug)]
pub struct Surrogate {
    /// L.
    pub total: Tensor,
    /// Σ w pg.
    pub pg_loss: Tensor,
    /// Σ w k3.
    pub kl: Tensor,
    /// Unweighted fraction of clipped tokens: those whose clipped term is strictly smaller.
    pub clip_frac: Tensor,
}

impl SurrogateRule {
    /// Computes the loss of N tokens; `weight` comes from [`Aggregate::weights`].
    ///
    /// # Shapes
    /// all: `[N]` → scalars
    /// # Gradient
    /// flows to `new` only.
    /// # Errors
    /// [`AlgoError::Shape`] if the shapes differ.
    pub fn evaluate(
        &self,
        new: &Tensor,
        old: &Tensor,
        reference: &Tensor,
        advantage: &Tensor,
        weight: &Tensor,
    ) -> Result<Surrogate, AlgoError> {
        for other in [old, reference, advantage, weight] {
            same("surrogate", new, other)?;
        }
        let ratio = (new - old.detach()).clamp(-EXPONENT, EXPONENT).exp();
        let plain = &ratio * advantage;
        let clipped = ratio.clamp(1.0 - self.clip_low, 1.0 + self.clip_high) * advantage;
        let pg = -plain.minimum(&clipped);
        let distance = (reference.detach() - new).clamp(-EXPONENT, EXPONENT);
        let k3 = distance.exp() - &distance - 1.0;
        let sum = |x: &Tensor| (x * weight).sum(Kind::Float);
        let (pg_loss, kl) = (sum(&pg), sum(&k3));
        Ok(Surrogate {
            total: &pg_loss + &kl * self.beta,
            clip_frac: clipped.lt_tensor(&plain).to_kind(Kind::Float).sum(Kind::Float)
                / (new.numel().max(1) as f64),
            pg_loss,
            kl,
        })
    }
}

/// Computes PPO's value loss  L = ½ Σ w max((V − ret)², (V_clip − ret)²),  V_clip = V_old + clip(V − V_old, ±ε)      (docs/spec/algorithms.md 6.3)
///
/// # Shapes
/// values, old, returns, weight: `[N]` → scalar
/// # Gradient
/// flows to `values` only.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn value_loss(
    values: &Tensor,
    old: &Tensor,
    returns: &Tensor,
    weight: &Tensor,
    clip: f64,
) -> Result<Tensor, AlgoError> {
    for other in [old, returns, weight] {
        same("value loss", values, other)?;
    }
    let near = old + (values - old).clamp(-clip, clip);
    let squared = (values - returns).square().maximum(&(near - returns).square());
    Ok((squared * weight).sum(Kind::Float) * 0.5)
}
