//! Sources of generators for a policy whose weights change during training.

use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_rollout::generator::{Blocking, Generator};
use stepladder_rollout::local::LocalGenerator;
use tch::{Device, Kind};

use crate::ModelError;
use crate::engine::{self, Memory, placement};
use crate::weights::Weights;

/// Factory of generators, used by training, probes and evaluation.
pub trait GeneratorSource: Send + Sync {
    /// Opens a generator with a snapshot of the weights; `policy` is its name in traces.
    ///
    /// # Errors
    /// [`ModelError`] if the generator cannot load the weights, for example for lack of memory.
    fn open(&self, weights: &Weights, policy: String) -> Result<Box<dyn Generator>, ModelError>;
}

/// Source of generators in this process, on the device of the weights.
pub struct LocalSource {
    encoder: Arc<dyn PromptEncoder>,
    workers: usize,
    dtype: Kind,
    memory: Memory,
}

impl LocalSource {
    /// Creates a source of generators that encode prompts with `encoder`: `threads` threads in f32 on the CPU, one thread in
    /// bf16 on a GPU.
    pub fn new(encoder: Arc<dyn PromptEncoder>, device: Device, threads: usize, memory: Memory) -> Self {
        let (workers, dtype) = placement(device, threads);
        Self { encoder, workers, dtype, memory }
    }
}

impl GeneratorSource for LocalSource {
    fn open(&self, weights: &Weights, policy: String) -> Result<Box<dyn Generator>, ModelError> {
        let Memory { prefix_bytes, remembered_tokens } = self.memory;
        let engine = engine::open(weights, self.dtype, self.workers, prefix_bytes)?;
        let local = LocalGenerator::new(engine, self.encoder.clone(), remembered_tokens, policy);
        Ok(Box::new(Blocking::new(local)))
    }
}
