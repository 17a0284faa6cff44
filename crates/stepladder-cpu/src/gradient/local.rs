//! Small matrices of attention: copies in contiguous memory, and the softmax of their rows.

use std::ops::Range;

use pulp::Simd;

use crate::kernels::exp;
use crate::product::Aligned;

/// Scratch memory for one unit and key head, reused by the next.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) queries: Aligned,
    pub(crate) keys: Aligned,
    pub(crate) keys_transposed: Aligned,
    pub(crate) values: Aligned,
    pub(crate) values_transposed: Aligned,
    pub(crate) scores: Aligned,
    pub(crate) dscores: Aligned,
    pub(crate) douts: Aligned,
    pub(crate) out: Aligned,
}

/// to ← factor · from, padded with zeros to a whole register.
#[inline(always)]
pub(crate) fn copy<S: Simd>(simd: S, from: &[f32], factor: f32, to: &mut [f32]) {
    let factor = simd.splat_f32s(factor);
    let ((from, left), (to, _)) = (S::as_simd_f32s(from), S::as_mut_simd_f32s(to));
    for (&from, to) in from.iter().zip(to.iter_mut()) {
        *to = simd.mul_f32s(from, factor);
    }
    if !left.is_empty() {
        to[from.len()] = simd.mul_f32s(simd.partial_load_f32s(left), factor);
    }
}

/// to ← factor · from, or to ← to + factor · from, where `from` is padded to whole registers.
#[inline(always)]
pub(crate) fn back<S: Simd>(simd: S, from: &[f32], factor: f32, to: &mut [f32], add: bool) {
    let factor = simd.splat_f32s(factor);
    let ((from, _), (to, left)) = (S::as_simd_f32s(from), S::as_mut_simd_f32s(to));
    for (&from, to) in from.iter().zip(to.iter_mut()) {
        let base = if add { *to } else { simd.splat_f32s(0.0) };
        *to = simd.mul_add_e_f32s(from, factor, base);
    }
    if !left.is_empty() {
        let base = if add { simd.partial_load_f32s(left) } else { simd.splat_f32s(0.0) };
        simd.partial_store_f32s(left, simd.mul_add_e_f32s(from[to.len()], factor, base));
    }
}

/// Writes a vector to a column.
#[inline(always)]
pub(crate) fn transpose(from: &[f32], to: &mut [f32], stride: usize) {
    for (&from, to) in from.iter().zip(to.iter_mut().step_by(stride)) {
        *to = from;
    }
}

/// Parameters of a row's softmax: e^{score - largest} · inverse_sum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Softmax {
    largest: f32,
    inverse_sum: f32,
}

impl Softmax {
    /// Replaces scores by softmax weights, which are 0 from `end` on and in `hidden`.
    #[inline(always)]
    pub(crate) fn of<S: Simd>(simd: S, scores: &mut [f32], end: usize, hidden: Range<usize>) -> Self {
        scores[hidden.clone()].fill(f32::NEG_INFINITY);
        let lowest = simd.splat_f32s(f32::NEG_INFINITY);
        let (seen, rest) = seen(simd, scores, end, lowest);
        let mut most = lowest;
        for &score in seen.iter() {
            most = simd.max_f32s(most, score);
        }
        let largest = simd.reduce_max_f32s(most);
        let most = simd.splat_f32s(largest);
        for score in seen.iter_mut() {
            *score = exp(simd, simd.sub_f32s(*score, most));
        }
        rest.fill(simd.splat_f32s(0.0));
        // e^-∞ is not quite 0 here.
        scores[hidden].fill(0.0);
        let (seen, _) = self::seen(simd, scores, end, simd.splat_f32s(0.0));
        let mut sum = simd.splat_f32s(0.0);
        for &score in seen.iter() {
            sum = simd.add_f32s(sum, score);
        }
        let inverse_sum = 1.0 / simd.reduce_sum_f32s(sum);
        for score in seen {
            *score = simd.mul_f32s(*score, simd.splat_f32s(inverse_sum));
        }
        Self { largest, inverse_sum }
    }

    /// Replaces scores by the weights w of the forward pass, and the gradients dw of weights by those of scores:
    /// w ⊙ (dw - Σ w dw).
    #[inline(always)]
    pub(crate) fn weigh<S: Simd>(
        self,
        simd: S,
        scores: &mut [f32],
        d: &mut [f32],
        end: usize,
        hidden: Range<usize>,
    ) {
        let zero = simd.splat_f32s(0.0);
        let (largest, inverse_sum) = (simd.splat_f32s(self.largest), simd.splat_f32s(self.inverse_sum));
        let (whole, _) = S::as_mut_simd_f32s(scores);
        for score in &mut whole[..end.div_ceil(S::F32_LANES)] {
            *score = simd.mul_f32s(inverse_sum, exp(simd, simd.sub_f32s(*score, largest)));
        }
        scores[hidden].fill(0.0);
        let (weights, rest) = seen(simd, scores, end, zero);
        rest.fill(zero);
        let (d, rest) = seen(simd, d, end, zero);
        rest.fill(zero);
        let mut sum = zero;
        for (&weight, &d) in weights.iter().zip(d.iter()) {
            sum = simd.mul_add_e_f32s(weight, d, sum);
        }
        let sum = simd.splat_f32s(simd.reduce_sum_f32s(sum));
        for (&mut weight, d) in weights.iter_mut().zip(d) {
            *d = simd.mul_f32s(weight, simd.sub_f32s(*d, sum));
        }
    }
}

/// Splits into the registers of the elements before `end`, filled up with `other`, and the registers after them.
#[inline(always)]
fn seen<S: Simd>(simd: S, row: &mut [f32], end: usize, other: S::f32s) -> (&mut [S::f32s], &mut [S::f32s]) {
    let (row, _) = S::as_mut_simd_f32s(row);
    let (whole, rest) = (end / S::F32_LANES, end % S::F32_LANES);
    if rest > 0 {
        let visible = simd.mask_between_m32s(0, rest as u32).mask();
        row[whole] = simd.select_f32s(visible, row[whole], other);
    }
    row.split_at_mut(whole + usize::from(rest > 0))
}
