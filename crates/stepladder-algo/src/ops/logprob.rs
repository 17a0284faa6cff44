//! Log-probabilities of replies and the behaviour-cloning loss (spec/algorithms 1.2, 3.2, 3.3).

use tch::{Kind, Tensor};

use crate::AlgoError;

/// Label of tokens that carry no loss.
pub const IGNORE: i64 = -100;

fn same(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(), AlgoError> {
    if a.size() == b.size() {
        return Ok(());
    }
    Err(AlgoError::Shape { op, reason: format!("shapes {:?} and {:?} differ", a.size(), b.size()) })
}

/// Log-probability of every labelled token:  lpₜ₊₁ = log softmax(logitsₜ)[labelₜ₊₁]      (spec 1.2)
///
/// Row t of the logits predicts token t+1; the last row predicts nothing. Computed in f32 whatever the input's kind.
///
/// # Shapes
/// logits: `[B, T, V]` · labels: `[B, T]` (i64, [`IGNORE`] where nothing is learnt) → (`[B, T−1]`, mask `[B, T−1]`);
/// masked positions hold 0.
/// # Gradient
/// flows to the logits.
/// # Errors
/// [`AlgoError::Shape`] if the batch or time axes differ.
pub fn token_logprobs(logits: &Tensor, labels: &Tensor) -> Result<(Tensor, Tensor), AlgoError> {
    let sizes = logits.size();
    let [batch, len, _] = sizes[..] else {
        return Err(AlgoError::Shape {
            op: "token_logprobs",
            reason: format!("logits {sizes:?}; [B, T, V] needed"),
        });
    };
    if labels.size() != [batch, len] {
        return Err(AlgoError::Shape {
            op: "token_logprobs",
            reason: format!("labels {:?} do not fit logits {sizes:?}", labels.size()),
        });
    }
    let shifted = labels.narrow(1, 1, len - 1);
    let mask = shifted.ne(IGNORE);
    let index = shifted.clamp_min(0).unsqueeze(2);
    let logprobs =
        logits.narrow(1, 0, len - 1).log_softmax(-1, Kind::Float).gather(2, &index, false).squeeze_dim(2);
    Ok((logprobs.where_scalarother(&mask, 0.0), mask))
}

/// Row log-probability  LP = Σₜ maskₜ lpₜ / Σₜ maskₜ      (spec 3.2)
///
/// # Shapes
/// lp, mask: `[B, T]` → `[B]`; a row without tokens gives NaN-free 0 and is left out by [`behaviour_cloning`].
/// # Gradient
/// flows to lp.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn row_logprobs(logprobs: &Tensor, mask: &Tensor) -> Result<Tensor, AlgoError> {
    same("row_logprobs", logprobs, mask)?;
    let mask = mask.to_kind(Kind::Float);
    let count = mask.sum_dim_intlist(-1, false, Kind::Float);
    let sum = (logprobs * &mask).sum_dim_intlist(-1, false, Kind::Float);
    Ok(sum / count.clamp_min(1.0))
}

/// Behaviour cloning  L = −mean over rows with tokens of LP(y|x)      (spec 3.3)
///
/// ```
/// # use tch::Tensor;
/// use stepladder_algo::ops::behaviour_cloning;
/// let lp = Tensor::from_slice2(&[[-1.0f32, -3.0], [-0.5, -9.0]]);
/// let mask = Tensor::from_slice2(&[[1.0f32, 1.0], [1.0, 0.0]]);
/// let loss = behaviour_cloning(&lp, &mask).unwrap().double_value(&[]);
/// assert!((loss - 1.25).abs() < 1e-6); // −(−2 + −0.5)/2
/// ```
/// # Shapes
/// lp, mask: `[B, T]` → scalar; 0 if no row has tokens.
/// # Gradient
/// flows to lp.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn behaviour_cloning(logprobs: &Tensor, mask: &Tensor) -> Result<Tensor, AlgoError> {
    let rows = row_logprobs(logprobs, mask)?;
    let valid =
        mask.to_kind(Kind::Float).sum_dim_intlist(-1, false, Kind::Float).gt(0.0).to_kind(Kind::Float);
    let count = valid.sum(Kind::Float).clamp_min(1.0);
    Ok(-(rows * &valid).sum(Kind::Float) / count)
}
