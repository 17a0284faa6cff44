//! Choice of an engine: `stepladder-cpu` for plain Llamas in f32 on the CPU without frozen parameters, libtorch otherwise.

use stepladder_cpu::{DEFAULT_PREFIX_BYTES, Model, Writer};
use stepladder_rollout::engine::Engine;
use stepladder_rollout::local::DEFAULT_REMEMBERED_TOKENS;
use tch::{Device, Kind};

use crate::ModelError;
use crate::batching::BatchEngine;
use crate::decoder::Frame;
use crate::weights::Weights;

/// Whether `stepladder-cpu` computes forward passes and gradients: in f32 on the CPU, for architectures that it has kernels
/// for, without frozen parameters. libtorch computes all other cases.
///
/// `stepladder-cpu` has its own copy of all matrices, adapters merged, and computes the gradients of all of them; libtorch shares
/// frozen matrices and needs a quarter of the time for SmolLM2 with adapters (docs/benchmarks.md).
pub fn is_native(weights: &Weights, dtype: Kind) -> bool {
    let config = weights.config();
    let kernels = config.architecture.is_plain() && config.tokens.is_none();
    weights.device() == Device::Cpu && dtype == Kind::Float && kernels && weights.frozen().is_empty()
}

/// Returns the number of workers and the dtype of matrix products on a device: `threads` workers in f32 on the CPU, one
/// worker in bf16 on a GPU.
pub fn placement(device: Device, threads: usize) -> (usize, Kind) {
    if device == Device::Cpu { (threads, Kind::Float) } else { (1, Kind::BFloat16) }
}

/// Cache limits of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of cached keys and values of earlier prompts.
    pub prefix_bytes: usize,
    /// Tokens of prompts whose greedy replies are cached.
    pub remembered_tokens: usize,
}

impl Memory {
    /// Returns the defaults: 128 MiB of keys and values on the CPU, 1 GiB on a GPU; [`DEFAULT_REMEMBERED_TOKENS`].
    pub fn on(device: Device) -> Self {
        let prefix_bytes = if device == Device::Cpu { DEFAULT_PREFIX_BYTES } else { 1 << 30 };
        Self { prefix_bytes, remembered_tokens: DEFAULT_REMEMBERED_TOKENS }
    }
}

/// Opens an engine with a snapshot of the weights and `workers` threads (at least one). It caches at most `prefix_bytes` of
/// keys and values of earlier prompts ([`Memory`]).
///
/// # Errors
/// From libtorch: out of memory.
pub fn open(
    weights: &Weights,
    dtype: Kind,
    workers: usize,
    prefix_bytes: usize,
) -> Result<Box<dyn Engine>, ModelError> {
    let device = weights.device();
    let frame = Frame::new(weights, dtype);
    let decoder = tch::no_grad(|| frame.decoder(&weights.trained.buffer));
    if is_native(weights, dtype) {
        let model = Model::new(decoder.plain()?);
        return Ok(Box::new(Writer::new(model, workers, prefix_bytes)));
    }
    Ok(Box::new(BatchEngine::new(decoder, workers.max(1), device, dtype, prefix_bytes)))
}
