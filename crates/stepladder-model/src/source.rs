//! Generators of a policy whose weights change between them.

use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_rollout::generator::{Blocking, Generator};
use stepladder_rollout::local::LocalGenerator;
use tch::{Device, Kind};

use crate::ModelError;
use crate::engine::{self, Memory, placement};
use crate::factors::Factors;
use crate::weights::Weights;

/// Opens generators: training, probes and evaluation all play through one.
pub trait GeneratorSource: Send + Sync {
    /// A generator of the policy with these weights, as they are now; `policy` names it in traces.
    ///
    /// # Errors
    /// [`ModelError`] if the generator cannot have the weights, for want of memory for instance.
    fn open(
        &self,
        weights: &Weights,
        factors: &Factors,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError>;
}

/// Generators in this process, on the device of the weights.
pub struct LocalSource {
    encoder: Arc<dyn PromptEncoder>,
    workers: usize,
    kind: Kind,
    memory: Memory,
}

impl LocalSource {
    /// Generators of policies that read prompts by `encoder`. On the CPU they have `threads` threads and compute in f32; a GPU
    /// has one thread, in bf16.
    pub fn new(encoder: Arc<dyn PromptEncoder>, device: Device, threads: usize, memory: Memory) -> Self {
        let (workers, kind) = placement(device, threads);
        Self { encoder, workers, kind, memory }
    }
}

impl GeneratorSource for LocalSource {
    fn open(
        &self,
        weights: &Weights,
        factors: &Factors,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        let Memory { prefix_bytes, remembered_tokens } = self.memory;
        let engine = engine::open(weights, factors, self.kind, self.workers, prefix_bytes)?;
        let local = LocalGenerator::new(engine, self.encoder.clone(), remembered_tokens, policy);
        Ok(Box::new(Blocking::new(local)))
    }
}
