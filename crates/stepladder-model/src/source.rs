//! Sources of generators for a policy whose weights change during training.

use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_rollout::generator::Generator;
use stepladder_rollout::local::LocalGenerator;
use tch::{Device, Kind};

use crate::ModelError;
use crate::engine::{self, Memory, placement};
use crate::weights::Weights;

/// Factory of generators, used by training, probes and evaluation.
pub trait GeneratorSource: Send + Sync {
    /// Opens a generator with a snapshot of the weights. `encoder` is the prompt encoder of the weights; `policy` is their name in
    /// traces.
    ///
    /// # Errors
    /// [`ModelError`] if the generator cannot load the weights, for example for lack of memory.
    fn open(
        &self,
        weights: &Weights,
        encoder: Arc<dyn PromptEncoder>,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError>;
}

/// Source of generators in this process, on the device of the weights.
#[derive(Debug, Clone, Copy)]
pub struct LocalSource {
    workers: usize,
    dtype: Kind,
    memory: Memory,
}

impl LocalSource {
    /// Creates a source of generators with `threads` threads in f32 on the CPU, or one thread in bf16 on a GPU.
    pub fn new(device: Device, threads: usize, memory: Memory) -> Self {
        let (workers, dtype) = placement(device, threads);
        Self { workers, dtype, memory }
    }
}

impl GeneratorSource for LocalSource {
    fn open(
        &self,
        weights: &Weights,
        encoder: Arc<dyn PromptEncoder>,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        let Memory { prefix_bytes, remembered_tokens } = self.memory;
        let engine = engine::open(weights, self.dtype, self.workers, prefix_bytes)?;
        Ok(Box::new(LocalGenerator::new(engine, encoder, remembered_tokens, policy)))
    }
}
