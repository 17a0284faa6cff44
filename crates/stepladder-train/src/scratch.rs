//! Policies with random weights: the vocabulary of the run's data and the configured shape.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use rayon::prelude::*;
use stepladder_agent::{AgentKind, AgentSpec, ReplayError};
use stepladder_core::Codec;
use stepladder_core::trace::Episode;
use stepladder_data::rows::texts;
use stepladder_data::samples::prompts;
use stepladder_data::{CompactWords, PromptEncoder};
use stepladder_model::{Device, Factors, ModelConfig, ModelError, Shape, Weights};

use crate::config::{AgentConfig, Config};
use crate::rows::samples;

/// Initialiser of policies with random weights.
pub(crate) struct Scratch {
    words: Arc<CompactWords>,
}

impl Scratch {
    /// Creates an initialiser for the vocabulary of these episodes.
    ///
    /// # Errors
    /// [`ReplayError`] for an episode that an agent cannot have recorded.
    pub(crate) fn new(
        config: &Config,
        demonstrations: &[Episode],
        others: &[Episode],
        codec: Arc<dyn Codec>,
    ) -> Result<Self, ReplayError> {
        Ok(Self { words: Arc::new(vocabulary(config, demonstrations, others, codec)?) })
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

/// Collects the words of all demonstrations, as every agent of the run reads them, and of the other episodes.
///
/// # Errors
/// [`ReplayError`] for an episode that an agent cannot have recorded.
fn vocabulary(
    config: &Config,
    demonstrations: &[Episode],
    others: &[Episode],
    codec: Arc<dyn Codec>,
) -> Result<CompactWords, ReplayError> {
    let bare = CompactWords::new(codec, config.generation);
    // Agents with the same prompts and replies have the same words.
    let mut agents: Vec<&AgentConfig> = Vec::new();
    for agent in config.agents.values().filter(|agent| agent.kind != AgentKind::Flat) {
        if !agents.iter().any(|known| known.reads_like(agent)) {
            agents.push(agent);
        }
    }
    // One pair per prompt: the prompts together hold every action and observation, each once.
    let flat = AgentSpec { history: Some(1), ..AgentKind::Flat.into() };
    let add = |mut words: BTreeSet<String>, episode: &Episode| -> Result<_, ReplayError> {
        let mut all: Vec<String> =
            prompts(flat, episode)?.iter().map(|query| bare.render(query).text).collect();
        for agent in &agents {
            all.extend(texts(&samples(agent, episode)?, &bare));
        }
        let found: HashSet<&str> = all.iter().flat_map(|text| text.split_whitespace()).collect();
        words.extend(found.into_iter().map(str::to_owned));
        Ok(words)
    };
    let both = |mut words: BTreeSet<String>, more| {
        words.extend(more);
        Ok(words)
    };
    let episodes = demonstrations.par_iter().chain(others);
    let words = episodes.try_fold(BTreeSet::new, add).try_reduce(BTreeSet::new, both)?;
    Ok(bare.clone().with_words(words.iter().map(String::as_str)))
}
