//! What happens to each position by itself, besides products.
//!
//! Functions of registers are `inline(always)` and no closures: only what ends in a caller made for this CPU is compiled to
//! its instructions.
//!
//! Rows have a stride of whole registers; behind a row's own numbers stand zeros.

use pulp::{Arch, Simd, WithSimd};

/// e^x for registers; at most 2 units in the last place off where the result is a normal number, 0 to 1e-37 below.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // 1.5 · 2²³: adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 as a sum whose first part times any exponent is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Minimax polynomial of (e^r - 1 - r) / r² for |r| ≤ ln 2 / 2 (Cephes).
    const TERMS: [f32; 6] =
        [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];
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

/// n = x / √(mean(x²) + ε) for rows of `width` numbers: `[rows, stride]` → `[rows, stride]`
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

/// gate ← silu(gate) ⊙ up where each row holds `ffn` gates, then as many ups: `[rows, stride]`
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

/// Rotates the pairs of consecutive tokens, a row every `stride` numbers. A row begins with `heads` times `[2, half]`: the
/// first numbers of all pairs, then the second. `rotations` has `[cos; half]`, `[sin; half]` for each token.
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

/// The largest number m of a row, and ln Σ e^{x - m}.
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

/// e^{scale (x - largest)}: what softmax divides by its sum.
pub(crate) fn weights(arch: Arch, x: &[f32], scale: f32, largest: f32, out: &mut [f32]) {
    arch.dispatch(Weights { x, scale, largest, out });
}

struct Weights<'a> {
    x: &'a [f32],
    scale: f32,
    largest: f32,
    out: &'a mut [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scale, shift) = (simd.splat_f32s(self.scale), simd.splat_f32s(self.largest));
        let (x, x_left) = S::as_simd_f32s(self.x);
        let (out, out_left) = S::as_mut_simd_f32s(self.out);
        for (&x, out) in x.iter().zip(out) {
            *out = exp(simd, simd.mul_f32s(scale, simd.sub_f32s(x, shift)));
        }
        if !x_left.is_empty() {
            let x = simd.partial_load_f32s(x_left);
            let weight = exp(simd, simd.mul_f32s(scale, simd.sub_f32s(x, shift)));
            simd.partial_store_f32s(out_left, weight);
        }
    }
}
