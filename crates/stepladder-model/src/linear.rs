//! Linear layers: a matrix with an optional gain of its input, a bias, and low-rank adapters.

use tch::{Kind, TchError, Tensor};

/// Products of at most this many vectors use a transposed copy of the matrix on a CPU. MKL repacks the other form in every
/// call, which costs as much as such a product (docs/benchmarks.md).
const FEW: i64 = 200;

/// Linear layer y = (x ⊙ gain) Wᵀ + b.
pub(crate) struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// Gain of the norm before this layer, `[in]`; absent where it is part of `weight`.
    gain: Option<Tensor>,
    /// `[out]`
    bias: Option<Tensor>,
    /// `[in, out]`, contiguous; only in decoders without gradients.
    transposed: Option<Tensor>,
}

impl Linear {
    /// Creates a layer from its matrix `[out, in]`.
    pub(crate) fn new(weight: Tensor) -> Self {
        Self { weight, gain: None, bias: None, transposed: None }
    }

    /// Adds the gain of the norm before this layer, in f32.
    pub(crate) fn with_gain(self, gain: Option<Tensor>) -> Self {
        Self { gain, ..self }
    }

    /// Adds a bias.
    pub(crate) fn with_bias(self, bias: Option<Tensor>) -> Self {
        Self { bias, ..self }
    }

    /// Returns the matrix that applies to vectors before the gain: `[out, in]`.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub(crate) fn effective(&self) -> Result<Tensor, TchError> {
        match &self.gain {
            None => Ok(self.weight.shallow_clone()),
            Some(gain) => self.weight.f_to_kind(Kind::Float)?.f_mul(gain),
        }
    }

    /// Divides all outputs by `divisor`; only for layers without a bias.
    pub(crate) fn divided(self, divisor: f64) -> Self {
        match self.gain {
            None => Self::new(&self.weight / divisor),
            Some(gain) => Self { gain: Some(gain / divisor), ..self },
        }
    }

    /// Returns a layer with the first `rows` outputs only.
    pub(crate) fn first_rows(self, rows: i64) -> Self {
        Self { weight: self.weight.narrow(0, 0, rows), ..self }
    }

    /// Stores a transposed copy for products of few vectors.
    pub(crate) fn transpose(&mut self) {
        self.transposed = Some(self.weight.transpose(0, 1).contiguous());
    }

    /// `[…, in]` → `[…, out]`
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let scaled = match &self.gain {
            None => None,
            Some(gain) => Some(x.f_mul(gain)?.f_to_kind(x.kind())?),
        };
        let x = scaled.as_ref().unwrap_or(x);
        let y = match &self.transposed {
            Some(transposed) if x.size().iter().rev().skip(1).product::<i64>() <= FEW => {
                x.f_matmul(transposed)?
            }
            _ => x.f_linear(&self.weight, None::<Tensor>)?,
        };
        match &self.bias {
            None => Ok(y),
            Some(bias) => y.f_add(bias),
        }
    }
}
