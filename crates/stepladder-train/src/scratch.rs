//! A policy made from scratch: its words are those of the run's data, its model has the configured shape.

use std::sync::Arc;

use stepladder_data::{CompactWords, PromptEncoder};
use stepladder_model::{Device, Factors, ModelConfig, ModelError, Shape, Weights};

/// The start of policies that are made from scratch.
pub(crate) struct Scratch {
    words: Arc<CompactWords>,
}

impl Scratch {
    /// Policies that read and write these words.
    pub(crate) fn new(words: CompactWords) -> Self {
        Self { words: Arc::new(words) }
    }

    /// Text and token ids of the policies.
    pub(crate) fn encoder(&self) -> Arc<dyn PromptEncoder> {
        self.words.clone()
    }

    /// Random weights of a policy, and the factors of its words.
    ///
    /// # Errors
    /// [`ModelError`] if no model has this shape.
    pub(crate) fn weights(
        &self,
        shape: &Shape,
        seed: u64,
        device: Device,
    ) -> Result<(Weights, Factors), ModelError> {
        let factors = Factors::collect(self.words.words(), |word| self.words.factors(word));
        let model = ModelConfig::new(shape.clone(), self.words.vocab(), factors.len())?;
        Ok((Weights::init(&model, seed, device), factors))
    }
}
