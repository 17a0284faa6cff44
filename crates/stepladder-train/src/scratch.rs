//! Policies with random weights: a tokenizer of the run's data and the configured shape.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;
use stepladder_agent::{AgentKind, AgentSpec, ReplayError};
use stepladder_core::Codec;
use stepladder_core::trace::Episode;
use stepladder_data::rows::texts;
use stepladder_data::samples::prompts;
use stepladder_data::{CompactPieces, CompactWords, PromptEncoder};
use stepladder_model::{Device, Factors, ModelConfig, ModelError, Shape, Weights};

use crate::config::{AgentConfig, Config, Vocabulary};
use crate::rows::samples;
use anyhow::Result;

/// Initialiser of policies with random weights.
pub(crate) struct Scratch {
    encoder: Arc<dyn PromptEncoder>,
    /// Embedding factors of the words; none for pieces of words.
    factors: Factors,
}

impl Scratch {
    /// Creates an initialiser for the vocabulary of these episodes: demonstrations, those with random sub-goals, others.
    ///
    /// # Errors
    /// [`ReplayError`] for an episode that an agent cannot have recorded;
    /// [`EncoderError`](stepladder_data::encoder::EncoderError) if a tokenizer cannot be trained.
    pub(crate) fn new(
        config: &Config,
        (demonstrations, wandering, others): (&[Episode], &[Episode], &[Episode]),
        codec: Arc<dyn Codec>,
    ) -> Result<Self> {
        let bare = CompactWords::new(codec.clone(), config.generation.budgets());
        let words = vocabulary(config, (demonstrations, wandering, others), &bare)?;
        match config.model.tokenizer {
            Vocabulary::Words => {
                let words = bare.with_words(words.keys().map(String::as_str));
                let factors = Factors::collect(words.words(), |word| words.factors(word));
                Ok(Self { encoder: Arc::new(words), factors })
            }
            Vocabulary::Bpe => {
                let size = config.model.tokens;
                let pieces = CompactPieces::train(codec, config.generation.budgets(), &words, size)?;
                Ok(Self { encoder: Arc::new(pieces), factors: Factors::default() })
            }
        }
    }

    /// Returns the prompt encoder of the policies.
    pub(crate) fn encoder(&self) -> Arc<dyn PromptEncoder> {
        self.encoder.clone()
    }

    /// Draws random weights of a policy.
    ///
    /// # Errors
    /// [`ModelError`] if no model has this shape.
    pub(crate) fn weights(&self, shape: &Shape, seed: u64, device: Device) -> Result<Weights, ModelError> {
        let model = ModelConfig::new(shape.clone(), self.encoder.vocab(), self.factors.len())?;
        Weights::init(&model, seed, device).with_factors(self.factors.clone())
    }
}

/// Counts the episodes with each word, of all episodes, as every agent of the run reads them.
///
/// # Errors
/// [`ReplayError`] for an episode that an agent cannot have recorded.
fn vocabulary(
    config: &Config,
    (demonstrations, wandering, others): (&[Episode], &[Episode], &[Episode]),
    bare: &CompactWords,
) -> Result<BTreeMap<String, u64>, ReplayError> {
    // Agents with the same prompts and replies have the same words.
    let mut agents: Vec<&AgentConfig> = Vec::new();
    for agent in config.agents.values().filter(|agent| agent.kind != AgentKind::Flat) {
        if !agents.iter().any(|known| known.reads_like(agent)) {
            agents.push(agent);
        }
    }
    // One pair per prompt: the prompts together hold every action and observation, each once.
    let flat = AgentSpec { history: Some(1), ..AgentKind::Flat.into() };
    let add =
        |mut words: BTreeMap<String, u64>, (episode, given): (&Episode, bool)| -> Result<_, ReplayError> {
            let mut all: Vec<String> =
                prompts(flat, episode)?.iter().map(|query| bare.render(query).text).collect();
            // Only HiMAC's executor reads sub-goals that no planner wrote.
            for agent in agents.iter().filter(|agent| !given || agent.kind == AgentKind::Himac) {
                all.extend(texts(&samples(agent, episode)?, bare));
            }
            let found: HashSet<&str> = all.iter().flat_map(|text| text.split_whitespace()).collect();
            for word in found {
                *words.entry(word.to_owned()).or_default() += 1;
            }
            Ok(words)
        };
    let both = |mut words: BTreeMap<String, u64>, more: BTreeMap<String, u64>| {
        for (word, count) in more {
            *words.entry(word).or_default() += count;
        }
        Ok(words)
    };
    let whole = demonstrations.par_iter().chain(others).map(|episode| (episode, false));
    let episodes = whole.chain(wandering.par_iter().map(|episode| (episode, true)));
    episodes.try_fold(BTreeMap::new, add).try_reduce(BTreeMap::new, both)
}
