//! Products of vectors with a matrix of the model.
//!
//! The matrix is stored in panels of two registers' width, `[panel][in][2 lanes]`, so that a product reads it from front to
//! back. Every output is one sum over the inputs in order, for any number of vectors: a vector's result does not depend, to
//! the last bit, on the other vectors of the product.

use pulp::{Arch, Simd, WithSimd};

/// Registers across a panel.
const ACROSS: usize = 2;

/// Buffer aligned to a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    elements: Vec<f32>,
    start: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        const LINE: usize = 64;
        let elements = vec![0.0; len + LINE / size_of::<f32>()];
        let start = elements.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { elements, start }
    }

    pub(crate) fn get(&self) -> &[f32] {
        &self.elements[self.start..]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [f32] {
        &mut self.elements[self.start..]
    }

    /// Returns the first `len` elements. They keep their values, unless the buffer must grow; then all are 0.
    pub(crate) fn resized(&mut self, len: usize) -> &mut [f32] {
        if self.get().len() < len {
            *self = Self::zeros(len);
        }
        &mut self.get_mut()[..len]
    }
}

/// A matrix `[out, in]`, packed.
#[derive(Debug)]
pub(crate) struct Matrix {
    arch: Arch,
    inputs: usize,
    outputs: usize,
    /// Number of outputs per panel.
    panel: usize,
    packed: Aligned,
}

impl Matrix {
    /// Packs `weight`, `[outputs, inputs]`; `order` lists the row of each output.
    pub(crate) fn new(arch: Arch, weight: &[f32], inputs: usize, order: impl Iterator<Item = usize>) -> Self {
        let panel = ACROSS * lanes(arch);
        let order: Vec<usize> = order.collect();
        let outputs = order.len();
        let mut packed = Aligned::zeros(outputs.div_ceil(panel) * panel * inputs);
        for (output, row) in order.into_iter().enumerate() {
            let first = packed.start + output / panel * panel * inputs + output % panel;
            for (input, &value) in weight[row * inputs..(row + 1) * inputs].iter().enumerate() {
                packed.elements[first + input * panel] = value;
            }
        }
        Self { arch, inputs, outputs, panel, packed }
    }

    /// Returns the stride of output vectors: whole panels.
    pub(crate) fn stride(&self) -> usize {
        self.outputs.div_ceil(self.panel) * self.panel
    }

    /// Multiplies `rows` vectors, each the first `in` of every `stride` elements of `x`: `[rows, stride]` →
    /// `[rows, Matrix::stride]`. With `add` the result is added to `out`, otherwise written. The outputs are padded with
    /// zeros.
    pub(crate) fn apply(&self, x: &[f32], stride: usize, rows: usize, out: &mut [f32], add: bool) {
        let out = &mut out[..rows * self.stride()];
        self.arch.dispatch(Product { matrix: self, x, stride, rows, out, add });
    }
}

/// Returns the number of f32 lanes of a register.
pub(crate) fn lanes(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}

struct Product<'a> {
    matrix: &'a Matrix,
    x: &'a [f32],
    stride: usize,
    rows: usize,
    out: &'a mut [f32],
    add: bool,
}

/// Inputs and outputs of a kernel.
struct Block<'a> {
    /// Inputs, from the first vector on.
    x: &'a [f32],
    x_stride: usize,
    inputs: usize,
    /// Outputs, from the first output of this panel in the first vector on.
    out: &'a mut [f32],
    out_stride: usize,
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, x, stride, rows, out, add } = self;
        let (panel, inputs, out_stride) = (matrix.panel, matrix.inputs, matrix.stride());
        // Inputs and weights need registers too.
        let most = if S::REGISTER_COUNT >= 32 { 12 } else { 6 };
        let blocks = rows.div_ceil(most);
        // With few vectors, sums would wait for each other; several panels at once give more independent sums.
        let together = match rows {
            1 => 4,
            2 => 2,
            _ => 1,
        };
        let panels = out_stride / panel;
        let mut at = 0;
        while at < panels {
            let count = if panels - at >= together { together } else { 1 };
            let weights = &matrix.packed.get()[at * panel * inputs..(at + count) * panel * inputs];
            let mut from = 0;
            for block in 0..blocks {
                // Blocks of about the same size.
                let until = (block + 1) * rows / blocks;
                let part = Block {
                    x: &x[from * stride..],
                    x_stride: stride,
                    inputs,
                    out: &mut out[from * out_stride + at * panel..],
                    out_stride,
                    add,
                };
                match (until - from, count) {
                    (1, 4) => kernel::<S, 1, 4>(simd, weights, part),
                    (2, 2) => kernel::<S, 2, 2>(simd, weights, part),
                    (1, _) => kernel::<S, 1, 1>(simd, weights, part),
                    (2, _) => kernel::<S, 2, 1>(simd, weights, part),
                    (3, _) => kernel::<S, 3, 1>(simd, weights, part),
                    (4, _) => kernel::<S, 4, 1>(simd, weights, part),
                    (5, _) => kernel::<S, 5, 1>(simd, weights, part),
                    (6, _) => kernel::<S, 6, 1>(simd, weights, part),
                    (7, _) => kernel::<S, 7, 1>(simd, weights, part),
                    (8, _) => kernel::<S, 8, 1>(simd, weights, part),
                    (9, _) => kernel::<S, 9, 1>(simd, weights, part),
                    (10, _) => kernel::<S, 10, 1>(simd, weights, part),
                    (11, _) => kernel::<S, 11, 1>(simd, weights, part),
                    _ => kernel::<S, 12, 1>(simd, weights, part),
                }
                from = until;
            }
            at += count;
        }
    }
}

/// Multiplies `ROWS` vectors with `PANELS` panels.
#[inline(always)]
fn kernel<S: Simd, const ROWS: usize, const PANELS: usize>(simd: S, weights: &[f32], block: Block<'_>) {
    let Block { x, x_stride, inputs, out, out_stride, add } = block;
    let (weights, _) = S::as_simd_f32s(weights);
    let (weights, _) = weights.as_chunks::<ACROSS>();
    // Slices of a known length: the loop needs no bounds checks.
    let panels: [&[[S::f32s; ACROSS]]; PANELS] =
        std::array::from_fn(|panel| &weights[panel * inputs..][..inputs]);
    let x: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * x_stride..][..inputs]);
    let mut sums = [[[simd.splat_f32s(0.0); ACROSS]; PANELS]; ROWS];
    for input in 0..inputs {
        for row in 0..ROWS {
            let value = simd.splat_f32s(x[row][input]);
            for panel in 0..PANELS {
                for across in 0..ACROSS {
                    let sum = &mut sums[row][panel][across];
                    *sum = simd.mul_add_e_f32s(value, panels[panel][input][across], *sum);
                }
            }
        }
    }
    let width = PANELS * ACROSS * S::F32_LANES;
    for (row, sums) in sums.iter().enumerate() {
        let (out, _) = S::as_mut_simd_f32s(&mut out[row * out_stride..][..width]);
        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out = if add { simd.add_f32s(*out, *sum) } else { *sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::archs;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Agrees with a naive loop for any shape; equals, to the last bit, the result of each vector alone.
        #[test]
        fn products_are_right_and_each_vectors_own(
            (inputs, outputs, rows, more) in (1usize..40, 1usize..90, 1usize..30, 0usize..5),
            numbers in prop::collection::vec(-2f32..2.0, 40 * 90 + 30 * 45),
        ) {
            let (weight, x) = numbers.split_at(inputs * outputs);
            let stride = inputs + more;
            for arch in archs() {
                // Rows of the matrix in reverse order.
                let matrix = Matrix::new(arch, weight, inputs, (0..outputs).rev());
                let line = matrix.stride();
                let mut out = vec![f32::NAN; rows * line];
                matrix.apply(x, stride, rows, &mut out, false);
                for row in 0..rows {
                    let x = &x[row * stride..][..inputs];
                    let mut alone = vec![0.0; line];
                    matrix.apply(x, stride, 1, &mut alone, false);
                    let out = &out[row * line..][..line];
                    prop_assert_eq!(&alone[..], out);
                    for (output, weight) in weight.chunks_exact(inputs).rev().enumerate() {
                        let expected: f32 = weight.iter().zip(x).map(|(a, b)| a * b).sum();
                        prop_assert!((out[output] - expected).abs() < 1e-4);
                    }
                    prop_assert!(out[outputs..].iter().all(|&pad| pad == 0.0));
                }
                let once = out.clone();
                matrix.apply(x, stride, rows, &mut out, true);
                prop_assert!(out.iter().zip(once).all(|(twice, once)| *twice == 2.0 * once));
            }
        }
    }
}
