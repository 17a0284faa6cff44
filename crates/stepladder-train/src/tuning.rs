//! Policies that begin as a pretrained model (docs/design.md D14): adapters over it, or all of its parameters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepladder_core::Codec;
use stepladder_data::{Instruct, PromptEncoder};
use stepladder_model::checkpoint::{self, BaseId, Bases};
use stepladder_model::{Device, ModelConfig, ModelError, Weights};

use crate::config::{Config, Tuning};
use crate::error::{Error, Result};
use crate::memory;
use crate::pretrained::{self, Examined};

/// Initialiser of policies from a pretrained model.
pub(crate) struct Pretrained {
    id: BaseId,
    encoder: Arc<dyn PromptEncoder>,
    /// Configuration of the policies, adapters included.
    model: ModelConfig,
}

impl Pretrained {
    /// Opens the tokenizer of the model in `directory` and reads its configuration and identity.
    ///
    /// # Errors
    /// If a file is missing or invalid, or if the configured context is longer than that of the model.
    pub(crate) fn open(
        directory: &Path,
        config: &Config,
        codec: Arc<dyn Codec>,
        bases: &Bases,
    ) -> Result<Self> {
        let Examined { config: model, tokenizer, form, .. } = Examined::read(directory, config.model.form)?;
        let model = configured(directory, model, config)?;
        let encoder = Instruct::new(tokenizer, codec, config.generation.budgets(), form)?;
        Ok(Self { id: bases.id_of(directory)?, encoder: Arc::new(encoder), model })
    }

    /// Returns the prompt encoder of the policies.
    pub(crate) fn encoder(&self) -> Arc<dyn PromptEncoder> {
        self.encoder.clone()
    }

    /// Returns the identity of the pretrained model.
    pub(crate) fn id(&self) -> &BaseId {
        &self.id
    }

    /// Returns the configuration of the policies.
    pub(crate) fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Creates the weights of a policy: new adapters with the output of the model, drawn with the seed, or the model itself.
    ///
    /// # Errors
    /// If a file of the model is broken or was changed.
    pub(crate) fn weights(&self, seed: u64, device: Device, bases: &Bases) -> Result<Weights, ModelError> {
        let weights = match &self.model.lora {
            Some(lora) => bases.get(&self.id, device)?.with_lora(lora, seed)?,
            None => checkpoint::load(&self.id.path, &BTreeSet::new(), device)?,
        };
        let weights = match self.model.tokens {
            Some(tokens) => weights.with_tokens(tokens as usize)?,
            None => weights,
        };
        weights.with_context(self.model.shape.max_positions)
    }
}

/// Returns the directory of the pretrained model `model.from`.
///
/// # Errors
/// As [`pretrained::locate`].
pub(crate) fn locate(from: &str, data_root: Option<&Path>) -> Result<PathBuf> {
    pretrained::locate(from, data_root)
        .map_err(|error| Error::from(anyhow::Error::from(error).context("model.from")))
}

/// Applies the limits and adapters of `config` to the configuration of a model.
fn configured(directory: &Path, model: ModelConfig, config: &Config) -> Result<ModelConfig> {
    let section = &config.model;
    let own = model.shape.max_positions;
    let context = section.context.map_or(own, i64::from);
    if context > own {
        return Err(Error::usage(format!(
            "model.context is {context}, but {} was trained for at most {own} tokens: choose at most that",
            directory.display()
        )));
    }
    Examined::check_budgets(directory, context, config.generation.budgets())?;
    let model = model.with_context(context)?;
    Ok(match section.tuning {
        Tuning::Lora => model.with_lora(&section.lora)?,
        Tuning::Full => model,
    })
}

/// Checks before a run is created that its pretrained model can be used and that memory suffices to train it.
///
/// # Errors
/// If a file is missing or invalid, a value of `[model]` does not fit the model, or memory does not suffice.
pub(crate) fn check(directory: &Path, config: &Config, device: Device) -> Result<()> {
    let examined = Examined::read(directory, config.model.form)?;
    let model = configured(directory, examined.config, config)?;
    if device == Device::Cpu {
        memory::enough_to_tune(directory, &model, &config.model)?;
    }
    Ok(())
}
