//! A decoder as plain matrices in f32.

use crate::error::CpuError;

/// Dimensions of a decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Size of the vocabulary.
    pub vocab: usize,
    /// Width of the residual stream, d.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of query heads, H.
    pub heads: usize,
    /// Number of key and value heads, Hkv (grouped-query attention); divides `heads`.
    pub kv_heads: usize,
    /// Width of a head, hd; even. It may differ from `width / heads`.
    pub head_dim: usize,
    /// Inner width of the SwiGLU.
    pub ffn: usize,
    /// Context window: tokens of the longest sequence, prompt and reply together.
    pub max_positions: usize,
    /// ε under the root of RMSNorm.
    pub norm_eps: f32,
}

impl Shape {
    fn check(&self) -> Result<(), CpuError> {
        let fail = |reason: String| Err(CpuError::Weights(reason));
        for (name, value) in [
            ("vocabulary", self.vocab),
            ("width", self.width),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("number of key and value heads", self.kv_heads),
            ("head width", self.head_dim),
            ("inner width", self.ffn),
            ("context window", self.max_positions),
        ] {
            if value == 0 {
                return fail(format!("{name} is 0; it must be at least 1"));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let Self { heads, kv_heads, .. } = self;
            return fail(format!("{heads} heads are not a multiple of its {kv_heads} key and value heads"));
        }
        if !self.head_dim.is_multiple_of(2) {
            return fail(format!("head width is {}; rotary positions need an even one", self.head_dim));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return fail(format!("norm_eps is {}; it must be above 0", self.norm_eps));
        }
        Ok(())
    }
}

/// Matrices of a block, row-major `[out, in]`: values, or their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockMatrices {
    /// Query, key and value rows, multiplied by the gain of the norm before them: `[(H + 2 Hkv) hd, d]`. The rows of a rotary
    /// pair are neighbours.
    pub qkv: Vec<f32>,
    /// Output matrix of attention: `[d, H hd]`.
    pub out: Vec<f32>,
    /// Gate and up rows, multiplied by the gain of the norm before them: `[2 ffn, d]`.
    pub gate_up: Vec<f32>,
    /// Down matrix of the SwiGLU: `[d, ffn]`.
    pub down: Vec<f32>,
}

/// Matrices of a decoder, row-major: values, or their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrices {
    /// Embedding table `[vocab, d]`.
    pub table: Vec<f32>,
    /// Matrices of the blocks, in order.
    pub blocks: Vec<BlockMatrices>,
    /// Output matrix `[vocab, d]`, multiplied by the gain of the last norm. Separate from the table even if tied.
    pub head: Vec<f32>,
}

/// A checked decoder: every matrix has the size that its shape requires.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    pub(crate) shape: Shape,
    pub(crate) matrices: Matrices,
    /// `[max_positions, hd]`: cosines of all pairs, then sines.
    pub(crate) rotations: Vec<f32>,
}

impl Weights {
    /// Checks matrices against a shape. `rotations` `[max_positions, hd/2, 2]` has the cosine and sine of each position and
    /// rotary pair, as returned by [`rotations`].
    ///
    /// # Errors
    /// [`CpuError::Weights`] with the first violation.
    pub fn new(shape: Shape, matrices: Matrices, rotations: &[f32]) -> Result<Self, CpuError> {
        shape.check()?;
        let Shape { vocab, width, layers, heads, kv_heads, head_dim, ffn, max_positions, .. } = shape;
        let rows = |factor: usize, count: usize| factor.saturating_mul(count);
        let fits = |name: String, given: usize, rows: usize, columns: usize| match rows.checked_mul(columns) {
            Some(expected) if expected == given => Ok(()),
            _ => {
                Err(CpuError::Weights(format!("{name} has {given} values; its shape is [{rows}, {columns}]")))
            }
        };
        fits("embedding table".to_owned(), matrices.table.len(), vocab, width)?;
        fits("output matrix".to_owned(), matrices.head.len(), vocab, width)?;
        fits("rotary table".to_owned(), rotations.len(), max_positions, head_dim)?;
        if matrices.blocks.len() != layers {
            let given = matrices.blocks.len();
            return Err(CpuError::Weights(format!(
                "shape has {layers} layers, but {given} blocks were given"
            )));
        }
        let heads_and_keys = heads.saturating_add(rows(2, kv_heads));
        for (at, block) in matrices.blocks.iter().enumerate() {
            let name = |matrix: &str| format!("{matrix} matrix of block {at}");
            fits(name("qkv"), block.qkv.len(), rows(heads_and_keys, head_dim), width)?;
            fits(name("out"), block.out.len(), width, rows(heads, head_dim))?;
            fits(name("gate_up"), block.gate_up.len(), rows(2, ffn), width)?;
            fits(name("down"), block.down.len(), width, ffn)?;
        }
        let mut split = vec![0.0; rotations.len()];
        for (to, from) in split.chunks_exact_mut(head_dim).zip(rotations.chunks_exact(head_dim)) {
            for (pair, from) in from.chunks_exact(2).enumerate() {
                (to[pair], to[head_dim / 2 + pair]) = (from[0], from[1]);
            }
        }
        Ok(Self { shape, matrices, rotations: split })
    }

    /// Returns the dimensions of the decoder.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// Computes the rotary table `[max_positions, hd/2, 2]` with base θ: cosine and sine of position · θ^(-2 i / hd) for pair i.
///
/// RoFormer: Enhanced Transformer with Rotary Position Embedding (arXiv:2104.09864), section 3.2.2.
pub fn rotations(shape: &Shape, theta: f64) -> Vec<f32> {
    let half = shape.head_dim / 2;
    let frequencies: Vec<f64> =
        (0..half).map(|pair| (-theta.ln() * pair as f64 / half as f64).exp()).collect();
    let angles = (0..shape.max_positions).flat_map(|at| frequencies.iter().map(move |f| at as f64 * f));
    angles.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{random, shapes};

    #[test]
    fn matrices_of_another_size_are_named() {
        let (shape, theta) = (shapes()[0], 100.0);
        let (matrices, table) = (random(&shape, 1), rotations(&shape, theta));
        assert!(Weights::new(shape, matrices.clone(), &table).is_ok());
        let fails = |shape: Shape, matrices: &Matrices, table: &[f32]| {
            Weights::new(shape, matrices.clone(), table).unwrap_err().to_string()
        };
        let mut short = matrices.clone();
        short.blocks[1].down.pop();
        let message = fails(shape, &short, &table);
        let Shape { width, ffn, .. } = shape;
        let expected = format!(
            "the decoder's down matrix of block 1 has {} values; its shape is [{width}, {ffn}]",
            width * ffn - 1
        );
        assert_eq!(message, expected);
        let mut short = matrices.clone();
        short.blocks.pop();
        assert!(fails(shape, &short, &table).contains("blocks were given"));
        assert!(fails(shape, &matrices, &table[1..]).contains("rotary table"));
        assert!(
            fails(Shape { vocab: shape.vocab + 1, ..shape }, &matrices, &table).contains("embedding table")
        );
        let huge = Shape { vocab: usize::MAX, ..shape };
        assert!(fails(huge, &matrices, &table).contains("embedding table"));
        for (damaged, place) in [
            (Shape { width: 0, ..shape }, "width is 0"),
            (Shape { heads: 4, kv_heads: 3, ..shape }, "4 heads are not a multiple of its 3 key"),
            (Shape { head_dim: 7, ..shape }, "head width is 7"),
            (Shape { norm_eps: f32::NAN, ..shape }, "norm_eps is NaN"),
        ] {
            assert!(fails(damaged, &matrices, &table).contains(place), "{place}");
        }
    }
}
