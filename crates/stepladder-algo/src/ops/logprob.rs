//! Weighted negative log-likelihood, the loss of behaviour cloning (docs/spec/algorithms.md 3.3) and of the actor (3.5).

use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::ops::same;

/// Computes the weighted negative log-likelihood  L = − Σₜ wₜ lpₜ
///
/// wₜ = 1 / (rows · |y|) gives the row mean, wₜ = 1 / tokens the token mean; the actor's weight of a row is divided by |y|.
///
/// ```
/// # use tch::Tensor;
/// use stepladder_algo::ops::logprob::nll;
/// // Behaviour cloning with a reply of two tokens and one of one token: −(−2 + −0.5) / 2.
/// let logprobs = Tensor::from_slice(&[-1.0f32, -3.0, -0.5]);
/// let weights = Tensor::from_slice(&[0.25f32, 0.25, 0.5]);
/// assert_eq!(nll(&logprobs, &weights)?.double_value(&[]), 1.25);
/// # Ok::<(), stepladder_algo::AlgoError>(())
/// ```
/// # Shapes
/// logprobs, weights: `[N]` → scalar; 0 for no tokens.
/// # Gradient
/// flows to `logprobs`.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn nll(logprobs: &Tensor, weights: &Tensor) -> Result<Tensor, AlgoError> {
    same("nll", logprobs, weights)?;
    Ok(-(logprobs * weights).sum(Kind::Float))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let zeros = |count: i64| Tensor::zeros([count], (Kind::Float, Device::Cpu));
        assert!(matches!(nll(&zeros(2), &zeros(3)), Err(AlgoError::Shape { op: "nll", .. })));
        assert_eq!(nll(&zeros(0), &zeros(0)).unwrap().double_value(&[]), 0.0);
    }
}
