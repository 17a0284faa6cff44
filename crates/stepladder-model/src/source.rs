//! Generators of a policy whose weights change between them.

use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_rollout::generator::{Blocking, Generator};
use tch::{Device, Kind};

use crate::ModelError;
use crate::factors::Factors;
use crate::local::LocalGenerator;
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
}

impl LocalSource {
    /// Generators of policies that read prompts by `encoder`. On the CPU they have `threads` threads and compute in f32; a GPU
    /// has one thread, in bf16.
    pub fn new(encoder: Arc<dyn PromptEncoder>, device: Device, threads: usize) -> Self {
        let (workers, kind) =
            if device == Device::Cpu { (threads, Kind::Float) } else { (1, Kind::BFloat16) };
        Self { encoder, workers, kind }
    }
}

impl GeneratorSource for LocalSource {
    fn open(
        &self,
        weights: &Weights,
        factors: &Factors,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        let (encoder, workers) = (self.encoder.clone(), self.workers);
        let local = LocalGenerator::new(weights, factors, encoder, workers, self.kind, policy)?;
        Ok(Box::new(Blocking::new(local)))
    }
}
