//! AdamW over one flat buffer (Loshchilov and Hutter 2019), with global gradient clipping.
//!
//! ```text
//! g ← g · min(1, clip / ‖g‖)
//! m ← β₁ m + (1−β₁) g          v ← β₂ v + (1−β₂) g²
//! θ ← θ − η (m̂ / (√v̂ + ε) + λ θ),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)
//! ```
//! The moments are tensors of our own, so that a checkpoint holds the whole state (design D2).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Numbers of AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamWConfig {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ, decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    pub clip: f64,
}

/// AdamW and its state.
#[derive(Debug)]
pub struct AdamW {
    /// Numbers.
    pub config: AdamWConfig,
    /// First moment m.
    pub first: Tensor,
    /// Second moment v.
    pub second: Tensor,
    /// Steps taken, t.
    pub steps: u64,
}

impl AdamW {
    /// Zero moments for a buffer like `flat`.
    pub fn new(config: AdamWConfig, flat: &Tensor) -> Self {
        Self { config, first: flat.zeros_like(), second: flat.zeros_like(), steps: 0 }
    }

    /// One step in place with learning rate `rate`; returns the gradient norm before clipping.
    ///
    /// A gradient that is not finite changes nothing; its norm is returned all the same.
    pub fn step(&mut self, flat: &mut Tensor, gradient: &Tensor, rate: f64) -> f64 {
        tch::no_grad(|| {
            let norm = gradient.norm().double_value(&[]);
            if !norm.is_finite() {
                return norm;
            }
            let AdamWConfig { beta1, beta2, eps, weight_decay, clip } = self.config;
            let scale = if norm > clip { clip / norm } else { 1.0 };
            self.steps += 1;
            let t = self.steps as f64;
            let gradient = if scale < 1.0 { gradient * scale } else { gradient.shallow_clone() };
            let _ = self.first.lerp_(&gradient, 1.0 - beta1);
            let _ = self.second.g_mul_scalar_(beta2).addcmul_(&gradient, &gradient.shallow_clone());
            let _ = weight_decay;
            let denominator = (self.second.sqrt() / (1.0 - beta2.powf(t)).sqrt()).g_add_scalar_(eps);
            let _ = flat.g_mul_scalar_(1.0 - rate * weight_decay);
            let update = &self.first / denominator * (-rate / (1.0 - beta1.powf(t)));
            let _ = flat.g_add_(&update);
            debug_assert_eq!(flat.kind(), Kind::Float);
            norm
        })
    }
}
