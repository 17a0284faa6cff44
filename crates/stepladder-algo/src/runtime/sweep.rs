//! AdamW in one pass over memory. Tensor operations would read and write the parameters a dozen times while the workers wait
//! (docs/benchmarks.md).

use tch::{Device, Kind, Tensor};

/// Coefficients of one step.
pub(super) struct Coefficients {
    /// Factor on the gradient from clipping.
    pub(super) scale: f32,
    pub(super) beta1: f32,
    /// 1 − β₁
    pub(super) keep1: f32,
    pub(super) beta2: f32,
    /// 1 − β₂
    pub(super) keep2: f32,
    /// 1 / √(1 − β₂ᵗ)
    pub(super) root: f32,
    pub(super) eps: f32,
    /// 1 − η λ
    pub(super) decay: f32,
    /// η / (1 − β₁ᵗ)
    pub(super) rate: f32,
}

/// Takes one step in place. Returns false, without a change, unless all tensors are contiguous f32 on the CPU.
pub(super) fn step(
    coefficients: &Coefficients,
    buffer: &mut Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
) -> bool {
    let len = buffer.numel();
    let plain = |tensor: &Tensor| {
        tensor.device() == Device::Cpu
            && tensor.kind() == Kind::Float
            && tensor.is_contiguous()
            && tensor.numel() == len
    };
    if ![&*buffer, gradient, &*first, &*second].into_iter().all(plain) {
        return false;
    }
    let (buffer, first, second) = (writable(buffer), writable(first), writable(second));
    let gradient = readable(gradient);
    // Memory bandwidth is the limit, so one core is enough.
    for (((theta, m), v), g) in buffer.iter_mut().zip(first).zip(second).zip(gradient) {
        let g = g * coefficients.scale;
        *m = coefficients.beta1 * *m + coefficients.keep1 * g;
        *v = coefficients.beta2 * *v + coefficients.keep2 * g * g;
        let update = *m / (v.sqrt() * coefficients.root + coefficients.eps);
        *theta = *theta * coefficients.decay - coefficients.rate * update;
    }
    true
}

#[allow(unsafe_code)]
fn writable(tensor: &mut Tensor) -> &mut [f32] {
    // SAFETY: the caller has checked that the tensor is contiguous f32 on the CPU, so its storage holds `numel` values
    // from `data_ptr` on. The four tensors of a step do not share storage, and no worker computes during an optimiser
    // step, so nothing else reads or writes it while the slice exists.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

#[allow(unsafe_code)]
fn readable(tensor: &Tensor) -> &[f32] {
    // SAFETY: as above; only read.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

#[cfg(test)]
mod tests {
    use super::super::optimiser::{AdamW, AdamWConfig};
    use super::*;

    #[test]
    fn the_sweep_does_what_tensor_operations_do() {
        let config = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-6, weight_decay: 0.05, clip: 1.0 };
        let values = |seed: i64| -> Vec<f32> {
            (0..1003).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
        };
        let start = Tensor::from_slice(&values(0));
        // f64 tensors take the path of tensor operations.
        let (mut fast, mut slow) = (start.copy(), start.to_kind(Kind::Double));
        let (mut sweeping, mut plain) = (AdamW::new(config, &fast), AdamW::new(config, &slow));
        for seed in 1..6 {
            let gradient = Tensor::from_slice(&values(seed));
            let norm = sweeping.step(&mut fast, &gradient, 1e-2);
            assert!((norm - plain.step(&mut slow, &gradient.to_kind(Kind::Double), 1e-2)).abs() < 1e-3);
        }
        let worst = (fast.to_kind(Kind::Double) - &slow).abs().max().double_value(&[]);
        assert!(worst < 1e-6, "{worst}");
        let moved = (slow - start.to_kind(Kind::Double)).abs().max().double_value(&[]);
        assert!(moved > 1e-3, "{moved}");
    }
}
