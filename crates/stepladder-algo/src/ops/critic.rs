//! Losses of critics (docs/spec/algorithms.md 3.4; IQL, arXiv:2110.06169): the target of Q, the expectile loss of V, target
//! networks.
//!
//! Losses are per row; the caller averages over the rows of all shards.

use tch::Tensor;

use crate::AlgoError;
use crate::ops::same;

/// Computes the TD target of Q:  yᵢ = rᵢ + Γᵢ V̄(xᵢ′)      (Eq. 1; docs/spec/algorithms.md 3.4)
///
/// Γᵢ is a discount per row: (1 − dᵢ) γ, or (1 − dᵢ) γ^n for a decision that lasted n steps.
///
/// ```
/// # use tch::Tensor;
/// use stepladder_algo::ops::critic::td_target;
/// let target = td_target(
///     &Tensor::from_slice(&[1.0f32, 0.0]),
///     &Tensor::from_slice(&[0.0f32, 0.99]), // the first is done
///     &Tensor::from_slice(&[9.0f32, 0.4]),
/// );
/// let target: Vec<f32> = Vec::try_from(target.unwrap()).unwrap();
/// assert_eq!(target, [1.0, 0.396]);
/// ```
/// # Shapes
/// all `[B]` → `[B]`
/// # Gradient
/// none: the target is detached.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn td_target(reward: &Tensor, discount: &Tensor, next_value: &Tensor) -> Result<Tensor, AlgoError> {
    same("td_target", reward, discount)?;
    same("td_target", reward, next_value)?;
    Ok((reward + discount * next_value).detach())
}

/// Computes the loss of Q per row:  (Qᵢ − yᵢ)²      (Eq. 2; docs/spec/algorithms.md 3.4)
///
/// # Shapes
/// all `[B]` → `[B]`
/// # Gradient
/// flows to `q` only.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn td_loss(q: &Tensor, target: &Tensor) -> Result<Tensor, AlgoError> {
    same("td_loss", q, target)?;
    Ok((q - target.detach()).square())
}

/// Computes the loss of V per row:  w(uᵢ) uᵢ²,  uᵢ = Vᵢ − qᵢ,  w(u) = 1 − ω where u < 0, else ω      (Eq. 3; docs/spec/algorithms.md 3.4)
///
/// ω weights *over*-estimation: ω > ½ makes V pessimistic (low expectiles of q), ω < ½ optimistic; ω = ½ is half the squared
/// error. IQL's expectile is 1 − ω.
///
/// ```
/// # use tch::Tensor;
/// use stepladder_algo::ops::critic::expectile_loss;
/// let q = Tensor::from_slice(&[0.0f32, 0.0]);
/// let v = Tensor::from_slice(&[1.0f32, -1.0]); // one above q, one below
/// let loss: Vec<f32> = Vec::try_from(expectile_loss(&v, &q, 0.95).unwrap()).unwrap();
/// assert!((loss[0] - 0.95).abs() < 1e-6 && (loss[1] - 0.05).abs() < 1e-6);
/// ```
/// # Shapes
/// all `[B]` → `[B]`
/// # Gradient
/// flows to `v` only.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn expectile_loss(v: &Tensor, q: &Tensor, omega: f64) -> Result<Tensor, AlgoError> {
    same("expectile_loss", v, q)?;
    let error = v - q.detach();
    let below = error.lt(0.0).to_kind(error.kind());
    let weight = below * (1.0 - 2.0 * omega) + omega;
    Ok(error.square() * weight)
}

/// Moves a target network towards the trained one, in place:  θ̄ ← (1 − τ) θ̄ + τ θ      (Eq. 4; docs/spec/algorithms.md 3.4)
///
/// # Shapes
/// any, but equal.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn polyak(target: &mut Tensor, online: &Tensor, tau: f64) -> Result<(), AlgoError> {
    same("polyak", target, online)?;
    tch::no_grad(|| {
        let _ = target.lerp_(online, tau);
    });
    Ok(())
}
