//! The choice of an engine: `stepladder-cpu` for f32 on the CPU, tensors elsewhere.

use stepladder_cpu::{DEFAULT_PREFIX_BYTES, Model, Writer};
use stepladder_rollout::engine::Engine;
use stepladder_rollout::local::DEFAULT_REMEMBERED_TOKENS;
use tch::{Device, Kind};

use crate::ModelError;
use crate::decoder::{Decoder, Frame};
use crate::factors::Factors;
use crate::tiles::Tiles;
use crate::weights::Weights;

/// Whether `stepladder-cpu` computes with a model, passes and gradients: in f32 on the CPU. Elsewhere libtorch does.
pub fn is_native(device: Device, kind: Kind) -> bool {
    device == Device::Cpu && kind == Kind::Float
}

/// Workers and dtype of matrix products on a device: the CPU computes in f32 with all `threads`, a GPU in bf16 with one worker.
pub fn placement(device: Device, threads: usize) -> (usize, Kind) {
    if device == Device::Cpu { (threads, Kind::Float) } else { (1, Kind::BFloat16) }
}

/// Limits on the results that a generator keeps between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of keys and values of earlier prompts.
    pub prefix_bytes: usize,
    /// Tokens of prompts whose greedy replies are remembered.
    pub remembered_tokens: usize,
}

impl Memory {
    /// Defaults: keys and values of 128 MiB on the CPU, of 1 GiB on a GPU; [`DEFAULT_REMEMBERED_TOKENS`].
    pub fn on(device: Device) -> Self {
        let prefix_bytes = if device == Device::Cpu { DEFAULT_PREFIX_BYTES } else { 1 << 30 };
        Self { prefix_bytes, remembered_tokens: DEFAULT_REMEMBERED_TOKENS }
    }
}

/// Opens the engine for weights as they are now, with `workers` threads, at least one. It keeps at most `prefix_bytes` of keys
/// and values of earlier prompts ([`Memory`]).
///
/// # Errors
/// From libtorch: no memory.
pub fn open(
    weights: &Weights,
    factors: &Factors,
    kind: Kind,
    workers: usize,
    prefix_bytes: usize,
) -> Result<Box<dyn Engine>, ModelError> {
    let device = weights.device();
    let frame = Frame::new(weights, factors, kind);
    let decoder = || tch::no_grad(|| frame.decoder(&weights.trained.flat));
    if is_native(device, kind) {
        let model = Model::new(decoder().plain()?);
        return Ok(Box::new(Writer::new(model, workers, prefix_bytes)));
    }
    let decoders: Vec<Decoder> = (0..workers.max(1)).map(|_| decoder()).collect();
    Ok(Box::new(Tiles::new(decoders, device, kind, prefix_bytes)))
}
