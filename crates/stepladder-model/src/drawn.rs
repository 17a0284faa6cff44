//! Random weights that are computed on their device: for measurements of models that would take minutes to draw on the CPU.
//!
//! Each value is a function of the seed, its parameter and its place (docs/design.md D1: libtorch's own generator is global), so
//! that devices differ by rounding alone.

use std::collections::BTreeMap;

use stepladder_core::seed::derive;
use tch::{Device, Kind, TchError, Tensor};

use crate::ModelError;
use crate::config::ModelConfig;
use crate::params::{Init, Layout, Params};
use crate::weights::Weights;

/// Values that are computed together.
const CHUNK: i64 = 1 << 24;

/// The bits of an unsigned 32-bit number, which products below stay in.
const BITS: i64 = 0xFFFF_FFFF;

/// Multiplier of the hash of places, below 2²⁷.
const MULTIPLIER: i64 = 0x045D_9F3B;

impl Weights {
    /// Draws all parameters on a device, in `dtype` and frozen, distributed as those of [`Weights::init`].
    ///
    /// # Errors
    /// [`ModelError::Config`] for a model with factored embeddings; from libtorch: out of memory.
    pub fn drawn_on(
        config: &ModelConfig,
        seed: u64,
        (dtype, device): (Kind, Device),
    ) -> Result<Self, ModelError> {
        if config.factors > 0 {
            return Err(ModelError::Config("factored embeddings are trained, not drawn frozen".to_owned()));
        }
        let mut frozen = BTreeMap::new();
        for (parameter, index) in config.parameters().into_iter().zip(0..) {
            let values = Tensor::f_empty(parameter.shape.as_slice(), (dtype, device))?;
            let seed = derive(seed, "drawn", &[index]) as i64 & BITS;
            let (flat, count) = (values.f_view([-1])?, parameter.shape.iter().product::<i64>());
            for from in (0..count).step_by(CHUNK as usize) {
                let size = CHUNK.min(count - from);
                let mut part = flat.f_narrow(0, from, size)?;
                match parameter.init {
                    Init::One => drop(part.f_fill_(1.0)?),
                    Init::Zero => drop(part.f_zero_()?),
                    Init::Uniform(bound) => {
                        let drawn = uniform(seed, from, size, device)?;
                        part.f_copy_(&drawn.f_mul_scalar(2.0 * bound)?.f_sub_scalar(bound)?)?;
                    }
                    Init::Normal(deviation) => {
                        // Box-Muller transform.
                        let angle = uniform(seed, from, size, device)?.f_mul_scalar(std::f64::consts::TAU)?;
                        let other = uniform(seed ^ MULTIPLIER, from, size, device)?;
                        let radius = other.f_log()?.f_mul_scalar(-2.0)?.f_sqrt()?;
                        part.f_copy_(&radius.f_mul(&angle.f_cos()?)?.f_mul_scalar(deviation)?)?;
                    }
                }
            }
            frozen.insert(parameter.name, values);
        }
        Self::new(Params::zeros(Layout::of(config, []), device), frozen)
    }
}

/// Hashes the places `from..from + count` with a seed below 2³² to f32 values in (0, 1].
fn uniform(seed: i64, from: i64, count: i64, device: Device) -> Result<Tensor, TchError> {
    let places = Tensor::f_arange_start(from, from + count, (Kind::Int64, device))?;
    let round = |x: &Tensor| folded(x)?.f_mul_scalar(MULTIPLIER)?.f_bitwise_and(BITS);
    let seeded = round(&places.f_bitwise_and(BITS)?)?.f_bitwise_xor(seed)?;
    // After one round, the values of seeds that differ in few bits are still alike.
    let hash = round(&round(&seeded)?)?;
    folded(&hash)?.f_add_scalar(1)?.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 / (1u64 << 32) as f64)
}

/// Computes x xor (x >> 16).
fn folded(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_bitwise_xor_tensor(&x.f_bitwise_right_shift_tensor_scalar(16)?)
}
