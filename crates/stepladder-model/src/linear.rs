//! Linear layers: a matrix with an optional gain of its input, a bias, and low-rank adapters.

use tch::{Kind, TchError, Tensor};

use crate::dropout::Dropout;

/// Products of at most this many vectors use a transposed copy of the matrix on a CPU. MKL repacks the other form in every
/// call, which costs as much as such a product (docs/benchmarks.md).
const FEW: i64 = 200;

/// Low-rank adapter of consecutive rows of a matrix.
pub(crate) struct Adapter {
    /// Rows of the matrix that it adapts.
    pub(crate) rows: i64,
    /// A `[rank, in]` and B `[rows, rank]`, B times the scale; none where these rows have no adapter.
    pub(crate) factors: Option<(Tensor, Tensor)>,
    /// Dropout of the input; only in training.
    pub(crate) dropout: Option<Dropout>,
}

/// Adapters of a matrix as one: s · B A, with the A factors below each other and the B factors as diagonal blocks.
struct Adapters {
    /// `[R, in]`
    a: Tensor,
    /// `[out, R]`, times the scale.
    b: Tensor,
    /// Rows of `a` of each adapter and the dropout of its input; empty without dropout.
    dropouts: Vec<(i64, Dropout)>,
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
    adapters: Option<Adapters>,
    /// `[in, out]`, contiguous; only in decoders without gradients.
    transposed: Option<Tensor>,
}

impl Linear {
    /// Creates a layer from its matrix `[out, in]`.
    pub(crate) fn new(weight: Tensor) -> Self {
        Self { weight, frozen: false, gain: None, bias: None, adapters: None, transposed: None }
    }

    /// Creates a layer from a matrix `[out, in]` that is not trained.
    pub(crate) fn frozen(weight: Tensor) -> Self {
        Self { frozen: true, ..Self::new(weight) }
    }

    /// Returns a layer over what `change` returns for each tensor.
    pub(crate) fn map(&self, change: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        let adapters = self.adapters.as_ref().map(|Adapters { a, b, dropouts }| Adapters {
            a: change(a),
            b: change(b),
            dropouts: dropouts.clone(),
        });
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
        Self { bias: bias.map(|bias| bias.to_kind(self.weight.kind())), ..self }
    }

    /// Adds adapters, which together cover all rows, in their order; none if no row has one.
    pub(crate) fn with_adapters(self, adapters: Vec<Adapter>) -> Self {
        let kind = self.weight.kind();
        let factors = adapters.iter().filter_map(|adapter| adapter.factors.as_ref());
        let a: Vec<Tensor> = factors.map(|(a, _)| a.to_kind(kind)).collect();
        if a.is_empty() {
            return self;
        }
        let block = |Adapter { rows, factors, .. }: &Adapter| match factors {
            Some((_, b)) => b.to_kind(kind),
            None => Tensor::zeros([*rows, 0], (kind, self.weight.device())),
        };
        let b: Vec<Tensor> = adapters.iter().map(block).collect();
        let dropout = |adapter: &Adapter| Some((adapter.factors.as_ref()?.0.size()[0], adapter.dropout?));
        let dropouts = adapters.iter().filter_map(dropout).collect();
        // Most matrices have one adapter, which needs no copies.
        let joined = |mut parts: Vec<Tensor>, join: fn(&[Tensor]) -> Tensor| match parts.len() {
            1 => parts.remove(0),
            _ => join(&parts),
        };
        let a = joined(a, |parts| Tensor::cat(parts, 0));
        let b = joined(b, Tensor::block_diag);
        Self { adapters: Some(Adapters { a, b, dropouts }), ..self }
    }

    /// Returns the matrix that applies to vectors before the gain, adapters included: `[out, in]`.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub(crate) fn effective(&self) -> Result<Tensor, TchError> {
        let mut weight = self.weight.shallow_clone();
        if let Some(Adapters { a, b, .. }) = &self.adapters {
            weight = weight.f_add(&b.f_matmul(a)?)?;
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

    /// Returns the dtype of the matrix.
    pub(crate) fn kind(&self) -> Kind {
        self.weight.kind()
    }

    /// Returns the number of outputs.
    pub(crate) fn outputs(&self) -> i64 {
        self.weight.size()[0]
    }

    /// Returns the gain of the norm before this layer.
    pub(crate) fn gain(&self) -> Option<&Tensor> {
        self.gain.as_ref()
    }

    /// Computes the output of vectors that are multiplied by the gain already, without gradient: `[N, in]` into y `[N, out]`, both
    /// in the dtype of the matrix.
    pub(crate) fn write(&self, x: &Tensor, y: &Tensor) -> Result<(), TchError> {
        let mut y = x.f_mm_out(y, &self.columns(x.size()[0])?)?;
        self.complete(x, &mut y)
    }

    /// Adds the output of vectors that are multiplied by the gain already to y, without gradient: `[N, in]`, `[N, out]`
    pub(crate) fn add_to(&self, x: &Tensor, y: &mut Tensor) -> Result<(), TchError> {
        let x = x.f_to_kind(self.weight.kind())?;
        let columns = self.columns(x.size()[0])?;
        if y.kind() == self.weight.kind() {
            let _ = y.f_addmm_(&x, &columns)?;
            return self.complete(&x, y);
        }
        let mut own = x.f_mm(&columns)?;
        self.complete(&x, &mut own)?;
        y.f_add_(&own).map(drop)
    }

    /// Returns the matrix `[in, out]` for a product with `count` vectors.
    fn columns(&self, count: i64) -> Result<Tensor, TchError> {
        match &self.transposed {
            Some(transposed) if count <= FEW => Ok(transposed.shallow_clone()),
            _ => self.weight.f_transpose(0, 1),
        }
    }

    /// Adds bias and adapters to the product of the matrix.
    fn complete(&self, x: &Tensor, y: &mut Tensor) -> Result<(), TchError> {
        if let Some(bias) = &self.bias {
            let _ = y.f_add_(bias)?;
        }
        if let Some(adapters) = &self.adapters {
            let _ = y.f_addmm_(&adapters.inner(x)?, &adapters.b.f_transpose(0, 1)?)?;
        }
        Ok(())
    }

    /// Computes the output in the dtype of the matrix: `[…, in]` → `[…, out]`
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let kind = self.weight.kind();
        let scaled = match &self.gain {
            None => x.f_to_kind(kind)?,
            Some(gain) => x.f_mul(gain)?.f_to_kind(kind)?,
        };
        let mut size = scaled.size();
        let columns = size.pop().unwrap_or_default();
        let x = scaled.f_reshape([-1, columns])?;
        let mut y = x.f_linear(&self.weight, None::<Tensor>)?;
        if let Some(bias) = &self.bias {
            y = y.f_add(bias)?;
        }
        if let Some(adapters) = &self.adapters {
            // In place: no operation before this needs its own output for a gradient.
            y = y.f_addmm_(&adapters.inner(&x)?, &adapters.b.f_transpose(0, 1)?)?;
        }
        size.push(y.size()[1]);
        y.f_view(size.as_slice())
    }
}

impl Adapters {
    /// Computes x Aᵀ, with dropout: `[N, in]` → `[N, R]`
    fn inner(&self, x: &Tensor) -> Result<Tensor, TchError> {
        if self.dropouts.is_empty() {
            return x.f_linear(&self.a, None::<Tensor>);
        }
        let ranks: Vec<i64> = self.dropouts.iter().map(|(rank, _)| *rank).collect();
        let factors = self.a.f_split_with_sizes(ranks, 0)?;
        let pairs = self.dropouts.iter().zip(&factors);
        let inner = pairs.map(|((_, dropout), a)| dropout.apply(x)?.f_linear(a, None::<Tensor>));
        Tensor::f_cat(&inner.collect::<Result<Vec<_>, TchError>>()?, 1)
    }
}
