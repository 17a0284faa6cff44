//! AdamW (arXiv:1711.05101) over one contiguous buffer, with global gradient clipping.
//!
//! ```text
//! g ← g · min(1, clip / ‖g‖)
//! m ← β₁ m + (1−β₁) g          v ← β₂ v + (1−β₂) g²
//! θ ← θ − η (m̂ / (√v̂ + ε) + λ θ),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)
//! ```
//! The moments are accessible tensors, so that a checkpoint holds the whole state (docs/design.md D2).

use stepladder_core::section;
use stepladder_core::section::Bound;
use tch::Tensor;

use super::sweep;
use crate::AlgoError;

section! {
    /// Hyperparameters of AdamW.
    pub struct AdamWConfig {
        /// β₁.
        pub beta1: f64 = 0.9 => [Bound::BelowOne],
        /// β₂.
        pub beta2: f64 = 0.98 => [Bound::BelowOne],
        /// ε.
        pub eps: f64 = 1e-8 => [Bound::Positive],
        /// Decoupled weight decay λ.
        pub weight_decay: f64 = 0.05 => [Bound::NotNegative],
        /// Largest global gradient norm.
        pub clip: f64 = 1.0 => [Bound::Positive],
    }
}

impl Copy for AdamWConfig {}

/// AdamW with its state.
#[derive(Debug)]
pub struct AdamW {
    /// Hyperparameters.
    pub config: AdamWConfig,
    /// First moment m.
    pub first: Tensor,
    /// Second moment v.
    pub second: Tensor,
    /// Steps taken, t.
    pub steps: u64,
}

/// Counter of successive steps without a finite gradient.
#[derive(Debug, Default)]
pub struct Divergence {
    in_a_row: u32,
}

impl Divergence {
    /// Number of successive optimiser steps without a finite gradient that ends a run.
    pub const LIMIT: u32 = 5;

    /// Counts a step with this gradient norm; `step` is its number for the error.
    ///
    /// # Errors
    /// [`AlgoError::NotFinite`] for the last of [`Divergence::LIMIT`] steps in a row.
    pub fn count(&mut self, norm: f64, step: u64) -> Result<(), AlgoError> {
        self.in_a_row = if norm.is_finite() { 0 } else { self.in_a_row + 1 };
        if self.in_a_row < Self::LIMIT {
            return Ok(());
        }
        Err(AlgoError::NotFinite { times: self.in_a_row, step })
    }
}

impl AdamW {
    /// Creates an optimiser with moments of zero, with the shape and device of `buffer`.
    pub fn new(config: AdamWConfig, buffer: &Tensor) -> Self {
        Self { config, first: buffer.zeros_like(), second: buffer.zeros_like(), steps: 0 }
    }

    /// Takes one step in place with learning rate `rate` and returns the gradient norm before clipping. A gradient that is
    /// not finite changes nothing.
    ///
    /// # Shapes
    /// buffer, gradient: `[P]`
    ///
    /// # Panics
    /// If libtorch fails, for example on different shapes.
    pub fn step(&mut self, buffer: &mut Tensor, gradient: &Tensor, rate: f64) -> f64 {
        let norm = tch::no_grad(|| gradient.norm().double_value(&[]));
        self.step_within(buffer, gradient, rate, norm);
        norm
    }

    /// Takes one step on one of several buffers that are clipped together; `norm` is the joint norm of their gradients.
    ///
    /// # Shapes
    /// buffer, gradient: `[P]`
    ///
    /// # Panics
    /// If libtorch fails, for example on different shapes.
    pub fn step_within(&mut self, buffer: &mut Tensor, gradient: &Tensor, rate: f64, norm: f64) {
        tch::no_grad(|| {
            if !norm.is_finite() {
                return;
            }
            let AdamWConfig { beta1, beta2, eps, weight_decay, clip } = self.config;
            let scale = if norm > clip { clip / norm } else { 1.0 };
            self.steps += 1;
            let t = self.steps as f64;
            let coefficients = sweep::Coefficients {
                scale: scale as f32,
                beta1: beta1 as f32,
                keep1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                keep2: (1.0 - beta2) as f32,
                root: (1.0 / (1.0 - beta2.powf(t)).sqrt()) as f32,
                eps: eps as f32,
                decay: (1.0 - rate * weight_decay) as f32,
                rate: (rate / (1.0 - beta1.powf(t))) as f32,
            };
            if sweep::step(&coefficients, buffer, gradient, &mut self.first, &mut self.second) {
                return;
            }
            let gradient = if scale < 1.0 { gradient * scale } else { gradient.shallow_clone() };
            let _ = self.first.lerp_(&gradient, 1.0 - beta1);
            let _ = self.second.lerp_(&gradient.square(), 1.0 - beta2);
            let denominator = (self.second.sqrt() / (1.0 - beta2.powf(t)).sqrt()).g_add_scalar_(eps);
            let _ = buffer.g_mul_scalar_(1.0 - rate * weight_decay);
            let update = &self.first / denominator * (-rate / (1.0 - beta1.powf(t)));
            let _ = buffer.g_add_(&update);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let config = AdamWConfig { beta1: 0.9, beta2: 0.99, eps: 0.5, weight_decay: 0.1, clip: 1.0 };
        let mut buffer = Tensor::from_slice(&[1.0f32, -2.0]);
        let mut optimiser = AdamW::new(config, &buffer);
        // Norm 5, clipped to 1: g = (0.6, 0.8); m̂ = g, v̂ = g².
        let norm = optimiser.step(&mut buffer, &Tensor::from_slice(&[3.0f32, 4.0]), 0.1);
        assert!((norm - 5.0).abs() < 1e-6);
        let expected = [1.0 - 0.1 * (0.6 / 1.1 + 0.1), -2.0 - 0.1 * (0.8 / 1.3 - 0.2)];
        let close = |buffer: &Tensor, expected: [f64; 2]| {
            let found: Vec<f32> = Vec::try_from(buffer).unwrap();
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((f64::from(found) - expected).abs() < 1e-6, "{found} for {expected}");
            }
        };
        close(&buffer, expected);
        // Norm 0.5, not clipped: m = 0.9·0.1 g₁ + 0.1 g₂, v = 0.99·0.01 g₁² + 0.01 g₂².
        optimiser.step(&mut buffer, &Tensor::from_slice(&[0.3f32, -0.4]), 0.1);
        let next = |before: f64, first: f64, second: f64| {
            let m = (0.09 * first + 0.1 * second) / (1.0 - 0.81);
            let v = (0.0099 * first * first + 0.01 * second * second) / (1.0 - 0.9801);
            before - 0.1 * (m / (v.sqrt() + 0.5) + 0.1 * before)
        };
        close(&buffer, [next(expected[0], 0.6, 0.3), next(expected[1], 0.8, -0.4)]);
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let config = AdamWConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1, clip: 1.0 };
        let mut buffer = Tensor::from_slice(&[1.0f32, -2.0]);
        let mut optimiser = AdamW::new(config, &buffer);
        for broken in [f32::NAN, f32::INFINITY] {
            let norm = optimiser.step(&mut buffer, &Tensor::from_slice(&[broken, 1.0]), 0.1);
            assert!(!norm.is_finite());
        }
        assert_eq!(Vec::<f32>::try_from(&buffer).unwrap(), [1.0, -2.0]);
        assert_eq!((optimiser.steps, optimiser.first.norm().double_value(&[])), (0, 0.0));
    }
    #[test]
    fn only_steps_in_a_row_are_counted() {
        let mut divergence = Divergence::default();
        for norm in [f64::NAN, 1.0, f64::INFINITY, f64::NAN, f64::NAN, f64::NAN] {
            divergence.count(norm, 0).unwrap();
        }
        let error = divergence.count(f64::NAN, 7).unwrap_err();
        assert!(matches!(error, AlgoError::NotFinite { times: 5, step: 7 }), "{error}");
    }
}
