//! Products of two matrices of activations, in attention and in gradients of weights.
//!
//! Neither matrix is packed. Each element of the left matrix is broadcast to a register, the right matrix is read a register at
//! a time, and a block of sums stays in registers. Every sum has a fixed order.

use pulp::{Simd, WithSimd};

/// out ← left · right, or out ← out + left · right.
pub(crate) struct Dense<'a> {
    /// `[rows, inner]`, or `[inner, rows]` if `transposed`; a line every `left_stride` elements.
    pub(crate) left: &'a [f32],
    pub(crate) left_stride: usize,
    pub(crate) transposed: bool,
    /// Number of elements to skip at the beginning of each line of `left`.
    pub(crate) skip: usize,
    /// `[inner, columns]`, a line every `right_stride` elements. The last line is whole too, and so is that of `left` if
    /// `transposed`.
    pub(crate) right: &'a [f32],
    pub(crate) right_stride: usize,
    /// `[rows, columns]`, a line every `out_stride` elements.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    /// A whole number of registers.
    pub(crate) columns: usize,
    pub(crate) add: bool,
}

impl WithSimd for Dense<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (mut row, mut column) = (0, 0);
        while row < self.rows && column < self.columns {
            let rows = together::<S>(self.rows - row);
            let columns = self.block(simd, row, rows, column);
            // The matrix that is read repeatedly should be the smaller one.
            if self.rows > self.columns {
                column += columns;
                if column == self.columns {
                    (row, column) = (row + rows, 0);
                }
            } else {
                row += rows;
                if row == self.rows {
                    (row, column) = (0, column + columns);
                }
            }
        }
    }
}

/// Returns the number of rows of the next block, limited by the registers for sums and their operands.
#[inline(always)]
fn together<S: Simd>(left: usize) -> usize {
    match left {
        12.. if S::REGISTER_COUNT >= 32 => 12,
        8.. if S::REGISTER_COUNT >= 32 => 8,
        6.. => 6,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

impl Dense<'_> {
    /// Computes `rows` rows from `row` on, for the columns of one or two registers; returns the number of columns.
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, row: usize, rows: usize, column: usize) -> usize {
        let two = column + 2 * S::F32_LANES <= self.columns;
        match (two, self.transposed) {
            (true, true) => self.sized::<S, 2, true>(simd, row, rows, column),
            (true, false) => self.sized::<S, 2, false>(simd, row, rows, column),
            (false, true) => self.sized::<S, 1, true>(simd, row, rows, column),
            (false, false) => self.sized::<S, 1, false>(simd, row, rows, column),
        }
        S::F32_LANES * (1 + usize::from(two))
    }

    #[inline(always)]
    fn sized<S: Simd, const ACROSS: usize, const TRANSPOSED: bool>(
        &mut self,
        simd: S,
        row: usize,
        rows: usize,
        column: usize,
    ) {
        match rows {
            12 => self.kernel::<S, 12, ACROSS, TRANSPOSED>(simd, row, column),
            8 => self.kernel::<S, 8, ACROSS, TRANSPOSED>(simd, row, column),
            6 => self.kernel::<S, 6, ACROSS, TRANSPOSED>(simd, row, column),
            4 => self.kernel::<S, 4, ACROSS, TRANSPOSED>(simd, row, column),
            2 => self.kernel::<S, 2, ACROSS, TRANSPOSED>(simd, row, column),
            _ => self.kernel::<S, 1, ACROSS, TRANSPOSED>(simd, row, column),
        }
    }

    // Iterators over several arrays would hide from the compiler that the indices are known.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn kernel<S: Simd, const ROWS: usize, const ACROSS: usize, const TRANSPOSED: bool>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
    ) {
        let Self { left, left_stride, skip, right, right_stride, inner, .. } = *self;
        let width = ACROSS * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); ACROSS]; ROWS];
        // One check before the loop: a loop that may panic keeps its sums in memory.
        assert!(column + width <= right_stride);
        let mut lines = right[..inner * right_stride].chunks_exact(right_stride);
        if TRANSPOSED {
            let first = skip + row;
            assert!(first + ROWS <= left_stride);
            let lefts = left[..inner * left_stride].chunks_exact(left_stride);
            for (values, line) in lefts.zip(lines) {
                let (values, line) = (&values[first..first + ROWS], &line[column..column + width]);
                let (numbers, _) = S::as_simd_f32s(line);
                for row in 0..ROWS {
                    let value = simd.splat_f32s(values[row]);
                    for across in 0..ACROSS {
                        sums[row][across] = simd.mul_add_e_f32s(value, numbers[across], sums[row][across]);
                    }
                }
            }
        } else {
            let values: [&[f32]; ROWS] =
                std::array::from_fn(|place| &left[(row + place) * left_stride + skip..][..inner]);
            for at in 0..inner {
                let Some(line) = lines.next() else { break };
                let (numbers, _) = S::as_simd_f32s(&line[column..column + width]);
                for row in 0..ROWS {
                    let value = simd.splat_f32s(values[row][at]);
                    for across in 0..ACROSS {
                        sums[row][across] = simd.mul_add_e_f32s(value, numbers[across], sums[row][across]);
                    }
                }
            }
        }
        // With indices known at compile time, the sums stay in registers.
        for place in 0..ROWS {
            let out = &mut self.out[(row + place) * self.out_stride + column..][..width];
            let (out, _) = S::as_mut_simd_f32s(out);
            for across in 0..ACROSS {
                let sum = sums[place][across];
                out[across] = if self.add { simd.add_f32s(out[across], sum) } else { sum };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{product::lanes, testing::archs};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn products_are_right(
            (rows, inner, registers, transposed) in (1usize..40, 1usize..20, 1usize..4, any::<bool>()),
            numbers in prop::collection::vec(-2f32..2.0, 64 * 64 * 2),
        ) {
            for arch in archs() {
                let columns = registers * lanes(arch);
                let (left, right) = numbers.split_at(64 * 64);
                let mut out = vec![1.0; rows * columns];
                for add in [true, false] {
                    arch.dispatch(Dense {
                        left, left_stride: 45, transposed, skip: 3, right, right_stride: 50, out: &mut out,
                        out_stride: columns, rows, inner, columns, add,
                    });
                    for (at, &found) in out.iter().enumerate() {
                        let (row, column) = (at / columns, at % columns);
                        let left = |k: usize| left[3 + if transposed { k * 45 + row } else { row * 45 + k }];
                        let sum: f32 = (0..inner).map(|k| left(k) * right[k * 50 + column]).sum();
                        prop_assert!((found - sum - f32::from(u8::from(add))).abs() < 1e-4);
                    }
                }
            }
        }
    }
}
