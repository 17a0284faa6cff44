//! Policies with random weights: the vocabulary of the run's data and the configured shape.

use std::sync::Arc;

use stepladder_data::{CompactWords, PromptEncoder};
use stepladder_model::{Device, Factors, ModelConfig, ModelError, Shape, Weights};

/// Initialiser of policies with random weights.
pub(crate) struct Scratch {
    words: Arc<CompactWords>,
}

impl Scratch {
    /// Creates an initialiser for this vocabulary.
    pub(crate) fn new(words: CompactWords) -> Self {
        Self { words: Arc::new(words) }
    }

    /// Returns the prompt encoder of the policies.
    pub(crate) fn encoder(&self) -> Arc<dyn PromptEncoder> {
        self.words.clone()
    }

    /// Draws random weights of a policy.
    ///
    /// # Errors
    /// [`ModelError`] if no model has this shape.
    pub(crate) fn weights(&self, shape: &Shape, seed: u64, device: Device) -> Result<Weights, ModelError> {
        let factors = Factors::collect(self.words.words(), |word| self.words.factors(word));
        let model = ModelConfig::new(shape.clone(), self.words.vocab(), factors.len())?;
        Weights::init(&model, seed, device).with_factors(factors)
    }
}
