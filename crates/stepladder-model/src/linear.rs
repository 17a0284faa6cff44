//! Linear layers: a matrix with an optional gain of its input, a bias, and low-rank adapters.

use tch::{Kind, TchError, Tensor};

use crate::dropout::Dropout;

/// Products of at most this many vectors use a transposed copy of the matrix on a CPU. MKL repacks the other form in every
/// call, which costs as much as such a product (docs/benchmarks.md).
const FEW: i64 = 200;

/// Low-rank adapter of consecutive rows of a matrix: s · B A.
pub(crate) struct Adapter {
    /// Rows of the matrix that it adapts.
    pub(crate) rows: i64,
    /// A `[rank, in]` and B `[rows, rank]`, B times the scale; none where these rows have no adapter.
    pub(crate) factors: Option<(Tensor, Tensor)>,
    /// Dropout of the input; only in training.
    pub(crate) dropout: Option<Dropout>,
}

/// Linear layer y = z Wᵀ + b + s · z Aᵀ Bᵀ with z = x ⊙ gain.
pub(crate) struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// Whether the matrix is frozen. It is then shared with the weights of the model, not copied, and may have another dtype
    /// than the vectors; the product has the matrix's dtype.
    frozen: bool,
    /// Gain of the norm before this layer, `[in]`; absent where it is part of `weight`.
    gain: Option<Tensor>,
    /// `[out]`
    bias: Option<Tensor>,
    /// Adapters of all rows in order; empty without any.
    adapters: Vec<Adapter>,
    /// `[in, out]`, contiguous; only in decoders without gradients.
    transposed: Option<Tensor>,
}

impl Linear {
    /// Creates a layer from its matrix `[out, in]`.
    pub(crate) fn new(weight: Tensor) -> Self {
        Self { weight, frozen: false, gain: None, bias: None, adapters: Vec::new(), transposed: None }
    }

    /// Creates a layer from a matrix `[out, in]` that is not trained.
    pub(crate) fn frozen(weight: Tensor) -> Self {
        Self { frozen: true, ..Self::new(weight) }
    }

    /// Returns a layer over what `change` returns for each tensor.
    pub(crate) fn map(&self, change: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        let mut adapters = Vec::with_capacity(self.adapters.len());
        for Adapter { rows, factors, dropout } in &self.adapters {
            let factors = factors.as_ref().map(|(a, b)| (change(a), change(b)));
            adapters.push(Adapter { rows: *rows, factors, dropout: *dropout });
        }
        Self {
            weight: change(&self.weight),
            frozen: self.frozen,
            gain: self.gain.as_ref().map(&mut *change),
            bias: self.bias.as_ref().map(&mut *change),
            adapters,
            transposed: self.transposed.as_ref().map(&mut *change),
        }
    }

    /// Adds the gain of the norm before this layer, in f32.
    pub(crate) fn with_gain(self, gain: Option<Tensor>) -> Self {
        Self { gain, ..self }
    }

    /// Adds a bias.
    pub(crate) fn with_bias(self, bias: Option<Tensor>) -> Self {
        Self { bias, ..self }
    }

    /// Adds adapters, which together cover all rows.
    pub(crate) fn with_adapters(self, adapters: Vec<Adapter>) -> Self {
        Self { adapters, ..self }
    }

    /// Returns the matrix that applies to vectors before the gain, adapters included: `[out, in]`.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub(crate) fn effective(&self) -> Result<Tensor, TchError> {
        let mut weight = self.weight.shallow_clone();
        if !self.adapters.is_empty() {
            let columns = weight.size()[1];
            let delta = |Adapter { rows, factors, .. }: &Adapter| match factors {
                Some((a, b)) => b.f_matmul(a),
                None => Tensor::f_zeros([*rows, columns], (weight.kind(), weight.device())),
            };
            let deltas = self.adapters.iter().map(delta).collect::<Result<Vec<_>, _>>()?;
            weight = weight.f_add(&Tensor::f_cat(&deltas, 0)?)?;
        }
        match &self.gain {
            None => Ok(weight),
            Some(gain) => weight.f_to_kind(Kind::Float)?.f_mul(gain),
        }
    }

    /// Divides all outputs by `divisor`; only for layers without bias and adapters.
    pub(crate) fn divided(self, divisor: f64) -> Self {
        match self.gain {
            None => Self::new(&self.weight / divisor),
            Some(gain) => Self { gain: Some(gain / divisor), ..self },
        }
    }

    /// Returns a layer with the first `rows` outputs only; only for layers without bias and adapters.
    pub(crate) fn first_rows(self, rows: i64) -> Self {
        Self { weight: self.weight.narrow(0, 0, rows), ..self }
    }

    /// Stores a transposed copy for products of few vectors. Products in bf16 gain nothing from it.
    pub(crate) fn transpose(&mut self) {
        if self.weight.kind() == Kind::Float {
            self.transposed = Some(self.weight.transpose(0, 1).contiguous());
        }
    }

    /// Returns the size of the matrix in bytes if it is frozen, 0 otherwise.
    pub(crate) fn frozen_bytes(&self) -> usize {
        if self.frozen { self.weight.numel() * self.weight.kind().elt_size_in_bytes() } else { 0 }
    }

    /// Whether the matrix is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Returns the addresses of the matrix and, if there is one, of its transposed copy.
    #[cfg(test)]
    pub(crate) fn matrices(&self) -> Vec<*mut std::ffi::c_void> {
        [Some(&self.weight), self.transposed.as_ref()].into_iter().flatten().map(Tensor::data_ptr).collect()
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
            _ if self.weight.kind() != x.kind() => {
                let product = x.f_to_kind(self.weight.kind())?.f_linear(&self.weight, None::<Tensor>)?;
                product.f_to_kind(x.kind())?
            }
            _ => x.f_linear(&self.weight, None::<Tensor>)?,
        };
        let y = match &self.bias {
            None => y,
            Some(bias) => y.f_add(bias)?,
        };
        if self.adapters.is_empty() {
            return Ok(y);
        }
        y.f_add(&self.adapted(x)?)
    }

    /// Computes the sum of the adapters' outputs: `[…, in]` → `[…, out]`
    fn adapted(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let output = |Adapter { rows, factors, dropout }: &Adapter| match factors {
            Some((a, b)) => {
                let dropped = dropout.map(|dropout| dropout.apply(x)).transpose()?;
                dropped.as_ref().unwrap_or(x).f_linear(a, None::<Tensor>)?.f_linear(b, None::<Tensor>)
            }
            None => {
                let mut size = x.size();
                if let Some(last) = size.last_mut() {
                    *last = *rows;
                }
                Tensor::f_zeros(size, (x.kind(), x.device()))
            }
        };
        let outputs = self.adapters.iter().map(output).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&outputs, -1)
    }
}
