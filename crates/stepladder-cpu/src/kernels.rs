//! Operations on single positions, except products.
//!
//! Functions of registers are `inline(always)` and not closures: only code that is inlined into a caller for this CPU is
//! compiled to its instructions.
//!
//! The stride of rows is a whole number of registers; each row is padded with zeros.

use pulp::{Arch, Simd, WithSimd};

/// Computes e^x of a register. The error is at most 2 units in the last place where the result is a normal number; smaller
/// results are between 0 and 1e-37.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // 1.5 · 2²³: adding it rounds to an integer, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 as a sum: the product of the first term with any exponent is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Minimax polynomial of (e^r - 1 - r) / r² for |r| ≤ ln 2 / 2 (Cephes).
    const TERMS: [f32; 6] =
        [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let x = simd.max_f32s(simd.min_f32s(x, simd.splat_f32s(88.0)), simd.splat_f32s(-87.0));
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUND));
    let whole = simd.sub_f32s(shifted, simd.splat_f32s(ROUND));
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(-LN_2[0]), x);
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(-LN_2[1]), rest);
    let mut sum = simd.splat_f32s(TERMS[0]);
    for &term in &TERMS[1..] {
        sum = simd.mul_add_e_f32s(sum, rest, simd.splat_f32s(term));
    }
    let value =
        simd.mul_add_e_f32s(sum, simd.mul_f32s(rest, rest), simd.add_f32s(rest, simd.splat_f32s(1.0)));
    let exponent = simd.sub_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(ROUND.to_bits() - 127));
    let power = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
    simd.mul_f32s(value, simd.transmute_f32s_u32s(power))
}

/// n = x / √(mean(x²) + ε) for rows of `width` elements: `[rows, stride]` → `[rows, stride]`
pub(crate) fn normalise(arch: Arch, x: &[f32], width: usize, stride: usize, eps: f32, out: &mut [f32]) {
    arch.dispatch(Normalise { x, width, stride, eps, out });
}

struct Normalise<'a> {
    x: &'a [f32],
    width: usize,
    stride: usize,
    eps: f32,
    out: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (x, out) in self.x.chunks_exact(self.stride).zip(self.out.chunks_exact_mut(self.stride)) {
            let (x, _) = S::as_simd_f32s(x);
            let (out, _) = S::as_mut_simd_f32s(out);
            let mut squares = simd.splat_f32s(0.0);
            for &x in x {
                squares = simd.mul_add_e_f32s(x, x, squares);
            }
            let mean = simd.reduce_sum_f32s(squares) / self.width as f32;
            let scale = simd.splat_f32s(1.0 / (mean + self.eps).sqrt());
            for (&x, out) in x.iter().zip(out) {
                *out = simd.mul_f32s(x, scale);
            }
        }
    }
}

/// gate ← silu(gate) ⊙ up, where each row has `ffn` gates, then `ffn` ups: `[rows, stride]`
pub(crate) fn gate(arch: Arch, x: &mut [f32], ffn: usize, stride: usize) {
    arch.dispatch(Gate { x, ffn, stride });
}

struct Gate<'a> {
    x: &'a mut [f32],
    ffn: usize,
    stride: usize,
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.x.chunks_exact_mut(self.stride) {
            let (gates, ups) = row.split_at_mut(self.ffn);
            let (gates, gates_left) = S::as_mut_simd_f32s(gates);
            let (ups, ups_left) = S::as_simd_f32s(&ups[..self.ffn]);
            for (gate, &up) in gates.iter_mut().zip(ups) {
                *gate = gated(simd, *gate, up);
            }
            if !gates_left.is_empty() {
                let (gate, up) = (simd.partial_load_f32s(gates_left), simd.partial_load_f32s(ups_left));
                let value = gated(simd, gate, up);
                simd.partial_store_f32s(gates_left, value);
            }
        }
    }
}

/// silu(gate) · up
#[inline(always)]
fn gated<S: Simd>(simd: S, gate: S::f32s, up: S::f32s) -> S::f32s {
    let below = simd.add_f32s(simd.splat_f32s(1.0), exp(simd, simd.neg_f32s(gate)));
    simd.mul_f32s(simd.div_f32s(gate, below), up)
}

/// Rotates the pairs of consecutive tokens, one row every `stride` elements. A row begins with `heads` times `[2, half]`: the
/// first elements of all pairs, then the second. `rotations` has `[cos; half]`, `[sin; half]` for each token.
pub(crate) fn rotate(arch: Arch, x: &mut [f32], stride: usize, heads: usize, rotations: &[f32], head: usize) {
    arch.dispatch(Rotate { x, stride, heads, rotations, head });
}

struct Rotate<'a> {
    x: &'a mut [f32],
    stride: usize,
    heads: usize,
    rotations: &'a [f32],
    head: usize,
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact_mut(self.stride).zip(self.rotations.chunks_exact(self.head));
        for (row, rotation) in rows {
            let (cos, sin) = rotation.split_at(self.head / 2);
            let ((cos, cos_left), (sin, sin_left)) = (S::as_simd_f32s(cos), S::as_simd_f32s(sin));
            for head in row[..self.heads * self.head].chunks_exact_mut(self.head) {
                let (a, b) = head.split_at_mut(self.head / 2);
                let ((a, a_left), (b, b_left)) = (S::as_mut_simd_f32s(a), S::as_mut_simd_f32s(b));
                for (((a, b), &cos), &sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                    let turned = simd.sub_f32s(simd.mul_f32s(*a, cos), simd.mul_f32s(*b, sin));
                    *b = simd.add_f32s(simd.mul_f32s(*a, sin), simd.mul_f32s(*b, cos));
                    *a = turned;
                }
                for (((a, b), &cos), &sin) in a_left.iter_mut().zip(b_left).zip(cos_left).zip(sin_left) {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
        }
    }
}

/// Returns the maximum m of a row, and ln Σ e^{x - m}.
pub(crate) fn largest_and_log_sum(arch: Arch, x: &[f32]) -> (f32, f32) {
    arch.dispatch(LogSum { x })
}

struct LogSum<'a> {
    x: &'a [f32],
}

impl WithSimd for LogSum<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let (whole, rest) = S::as_simd_f32s(self.x);
        let mut most = simd.splat_f32s(f32::NEG_INFINITY);
        for &x in whole {
            most = simd.max_f32s(most, x);
        }
        let largest = rest.iter().copied().fold(simd.reduce_max_f32s(most), f32::max);
        let shift = simd.splat_f32s(largest);
        let mut sum = simd.splat_f32s(0.0);
        for &x in whole {
            sum = simd.add_f32s(sum, exp(simd, simd.sub_f32s(x, shift)));
        }
        let rest: f32 = rest.iter().map(|&x| (x - largest).exp()).sum();
        (largest, (simd.reduce_sum_f32s(sum) + rest).ln())
    }
}

/// out ← e^{scale (x - largest)}: the terms of softmax before the division by their sum.
pub(crate) fn weights(arch: Arch, x: &[f32], scale: f32, largest: f32, out: &mut [f32]) {
    arch.dispatch(Weights { x, scale, shift: largest, factor: 1.0, out });
}

/// out ← factor · e^{x - shift}: the gradient of a log-sum-exp.
pub(crate) fn scaled_exp(arch: Arch, x: &[f32], shift: f32, factor: f32, out: &mut [f32]) {
    arch.dispatch(Weights { x, scale: 1.0, shift, factor, out });
}

struct Weights<'a> {
    x: &'a [f32],
    scale: f32,
    shift: f32,
    factor: f32,
    out: &'a mut [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [scale, shift, factor] =
            [self.scale, self.shift, self.factor].map(|number| simd.splat_f32s(number));
        let (x, x_left) = S::as_simd_f32s(self.x);
        let (out, out_left) = S::as_mut_simd_f32s(self.out);
        for (&x, out) in x.iter().zip(out) {
            *out = simd.mul_f32s(factor, exp(simd, simd.mul_f32s(scale, simd.sub_f32s(x, shift))));
        }
        if !x_left.is_empty() {
            let x = simd.partial_load_f32s(x_left);
            let weight = exp(simd, simd.mul_f32s(scale, simd.sub_f32s(x, shift)));
            simd.partial_store_f32s(out_left, simd.mul_f32s(factor, weight));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::lanes;
    use crate::testing::archs;

    fn close(found: f32, expected: f64, tolerance: f64) {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "{found} and {expected}");
    }

    #[test]
    fn weights_are_exponentials() {
        for arch in archs() {
            let x: Vec<f32> =
                (0..4001).map(|at| at as f32 * 0.02 - 60.0).chain([-1e4, f32::NEG_INFINITY]).collect();
            let mut out = vec![f32::NAN; x.len()];
            weights(arch, &x, 0.5, 20.0, &mut out);
            for (&x, &found) in x.iter().zip(&out) {
                let expected = (0.5 * (f64::from(x) - 20.0)).exp();
                // The argument is rounded to f32; the exponential magnifies that error by the argument's size.
                let tolerance = expected * 2e-7 * (1.0 + 0.5 * f64::from(x.max(-200.0) - 20.0).abs()) + 1e-37;
                assert!((f64::from(found) - expected).abs() <= tolerance, "e^(({x} - 20) / 2): {found}");
            }
            let (largest, log_sum) = largest_and_log_sum(arch, &x);
            let sum: f64 = x.iter().map(|&x| (f64::from(x) - f64::from(largest)).exp()).sum();
            assert_eq!(largest, 20.0);
            close(log_sum, sum.ln(), 1e-5);
        }
    }

    #[test]
    fn positions_are_normalised_gated_and_rotated() {
        for arch in archs() {
            let (rows, width) = (3, 21usize);
            let stride = width.next_multiple_of(2 * lanes(arch));
            let number = |at: usize| ((at * 37 % 101) as f32 - 50.0) / 20.0;
            let mut x = vec![0.0; rows * stride];
            for (row, x) in x.chunks_exact_mut(stride).enumerate() {
                x.iter_mut().take(width).enumerate().for_each(|(at, x)| *x = number(row * width + at));
            }
            let mut out = vec![f32::NAN; rows * stride];
            normalise(arch, &x, width, stride, 1e-5, &mut out);
            for (x, out) in x.chunks_exact(stride).zip(out.chunks_exact(stride)) {
                let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64 + 1e-5;
                x.iter().zip(out).for_each(|(&x, &out)| close(out, f64::from(x) / mean.sqrt(), 1e-6));
            }
            let ffn = 9;
            let mut gated = x.clone();
            gate(arch, &mut gated, ffn, stride);
            for (x, gated) in x.chunks_exact(stride).zip(gated.chunks_exact(stride)) {
                for at in 0..ffn {
                    let (gate, up) = (f64::from(x[at]), f64::from(x[ffn + at]));
                    close(gated[at], gate / (1.0 + (-gate).exp()) * up, 1e-6);
                }
            }
            for (head, heads) in [(6, 3), (2, 10), (20, 1)] {
                let half = head / 2;
                let angle = |row: usize, pair: usize| 0.3 * (row + 1) as f64 / (pair + 1) as f64;
                let rotations: Vec<f32> = (0..rows)
                    .flat_map(|row| {
                        let cos = (0..half).map(move |pair| angle(row, pair).cos() as f32);
                        cos.chain((0..half).map(move |pair| angle(row, pair).sin() as f32))
                    })
                    .collect();
                let mut turned = x.clone();
                rotate(arch, &mut turned, stride, heads, &rotations, head);
                for (at, (&before, &after)) in x.iter().zip(&turned).enumerate() {
                    let (row, place) = (at / stride, at % stride);
                    if place >= heads * head {
                        assert_eq!(before, after);
                        continue;
                    }
                    let pair = place % head % half;
                    let first = row * stride + place / head * head + pair;
                    let (a, b) = (f64::from(x[first]), f64::from(x[first + half]));
                    let (sin, cos) = angle(row, pair).sin_cos();
                    let expected = if place % head < half { a * cos - b * sin } else { a * sin + b * cos };
                    close(after, expected, 1e-6);
                }
            }
        }
    }
}
