//! Forward and backward passes of operations on single positions, except products.
//!
//! The stride of rows is a whole number of registers; each row is padded with zeros.

use pulp::{Arch, Simd, WithSimd};

use crate::kernels::exp;

/// n = s x with s = 1 / √(mean(x²) + ε): `[rows, stride]`, and s of each row.
pub(crate) struct Normalise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) eps: f32,
    pub(crate) out: &'a mut [f32],
    pub(crate) scales: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact(self.stride).zip(self.out.chunks_exact_mut(self.stride));
        for ((x, out), to) in rows.zip(self.scales) {
            let ((x, _), (out, _)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(out));
            let mut squares = simd.splat_f32s(0.0);
            for &x in x {
                squares = simd.mul_add_e_f32s(x, x, squares);
            }
            *to = 1.0 / (simd.reduce_sum_f32s(squares) / self.width as f32 + self.eps).sqrt();
            let scale = simd.splat_f32s(*to);
            for (&x, out) in x.iter().zip(out) {
                *out = simd.mul_f32s(x, scale);
            }
        }
    }
}

/// dx ← dx + s (dn - n mean(dn ⊙ n))
pub(crate) struct NormaliseBack<'a> {
    pub(crate) dn: &'a [f32],
    pub(crate) n: &'a [f32],
    pub(crate) scales: &'a [f32],
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) dx: &'a mut [f32],
}

impl WithSimd for NormaliseBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.dn.chunks_exact(self.stride).zip(self.n.chunks_exact(self.stride));
        for (((dn, n), &scale), dx) in rows.zip(self.scales).zip(self.dx.chunks_exact_mut(self.stride)) {
            let ((dn, _), (n, _)) = (S::as_simd_f32s(dn), S::as_simd_f32s(n));
            let mut sum = simd.splat_f32s(0.0);
            for (&dn, &n) in dn.iter().zip(n) {
                sum = simd.mul_add_e_f32s(dn, n, sum);
            }
            let along = simd.splat_f32s(-scale * simd.reduce_sum_f32s(sum) / self.width as f32);
            let scale = simd.splat_f32s(scale);
            let (dx, _) = S::as_mut_simd_f32s(dx);
            for ((&dn, &n), dx) in dn.iter().zip(n).zip(dx) {
                *dx = simd.mul_add_e_f32s(n, along, simd.mul_add_e_f32s(dn, scale, *dx));
            }
        }
    }
}

/// out = silu(gate) ⊙ up, where each row of `x` has `ffn` gates, then `ffn` ups.
pub(crate) struct Gate<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) ffn: usize,
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
}

/// 1 / (1 + e^{-gate})
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, gate: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(gate))))
}

#[inline(always)]
fn gated<S: Simd>(simd: S, gate: S::f32s, up: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.mul_f32s(gate, sigmoid(simd, gate)), up)
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, out) in self.x.chunks_exact(self.stride).zip(self.out.chunks_exact_mut(self.out_stride)) {
            let (gates, ups) = row.split_at(self.ffn);
            let ((gates, gates_left), (ups, ups_left)) =
                (S::as_simd_f32s(gates), S::as_simd_f32s(&ups[..self.ffn]));
            let (out, out_left) = S::as_mut_simd_f32s(&mut out[..self.ffn]);
            for ((&gate, &up), out) in gates.iter().zip(ups).zip(out) {
                *out = gated(simd, gate, up);
            }
            if !gates_left.is_empty() {
                let (gate, up) = (simd.partial_load_f32s(gates_left), simd.partial_load_f32s(ups_left));
                let value = gated(simd, gate, up);
                simd.partial_store_f32s(out_left, value);
            }
        }
    }
}

/// Backward pass of [`Gate`]: `d` is the gradient of `out` and becomes `out`; `dx` becomes the gradient of `x`.
pub(crate) struct GateBack<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) ffn: usize,
    pub(crate) d: &'a mut [f32],
    pub(crate) d_stride: usize,
    pub(crate) dx: &'a mut [f32],
}

/// Returns out, d gate and d up.
#[inline(always)]
fn gate_back<S: Simd>(simd: S, gate: S::f32s, up: S::f32s, d: S::f32s) -> [S::f32s; 3] {
    let sigma = sigmoid(simd, gate);
    let silu = simd.mul_f32s(gate, sigma);
    // silu' = σ (1 + gate (1 - σ)) = σ + silu (1 - σ)
    let slope = simd.mul_add_e_f32s(silu, simd.sub_f32s(simd.splat_f32s(1.0), sigma), sigma);
    [simd.mul_f32s(silu, up), simd.mul_f32s(simd.mul_f32s(d, up), slope), simd.mul_f32s(d, silu)]
}

impl WithSimd for GateBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact(self.stride).zip(self.dx.chunks_exact_mut(self.stride));
        for ((row, dx), d) in rows.zip(self.d.chunks_exact_mut(self.d_stride)) {
            let ((gates, ups), (dgates, dups)) = (row.split_at(self.ffn), dx.split_at_mut(self.ffn));
            let ((gates, gates_left), (ups, ups_left)) =
                (S::as_simd_f32s(gates), S::as_simd_f32s(&ups[..self.ffn]));
            let (dgates, dgates_left) = S::as_mut_simd_f32s(dgates);
            let (dups, dups_left) = S::as_mut_simd_f32s(&mut dups[..self.ffn]);
            let (d, d_left) = S::as_mut_simd_f32s(&mut d[..self.ffn]);
            for ((((&gate, &up), d), dgate), dup) in gates.iter().zip(ups).zip(d).zip(dgates).zip(dups) {
                [*d, *dgate, *dup] = gate_back(simd, gate, up, *d);
            }
            if !gates_left.is_empty() {
                let (gate, up) = (simd.partial_load_f32s(gates_left), simd.partial_load_f32s(ups_left));
                let found = gate_back(simd, gate, up, simd.partial_load_f32s(d_left));
                simd.partial_store_f32s(d_left, found[0]);
                simd.partial_store_f32s(dgates_left, found[1]);
                simd.partial_store_f32s(dups_left, found[2]);
            }
        }
    }
}

/// to ← to + from
pub(crate) fn add(arch: Arch, from: &[f32], to: &mut [f32]) {
    arch.dispatch(|| {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    });
}
