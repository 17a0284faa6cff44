//! Checkpoints as Hugging Face directories (docs/design.md D6): a plain Llama-shaped model that transformers loads.
//!
//! * `config`: the JSON files; `names`: names and row order of transformers; `tensors`: safetensors files
//!
//! [`WEIGHTS`] holds the only copy of the weights. It stores factored embeddings as their sum. The parts cannot be recovered
//! from the sum bit by bit, so the trainer's state stores them.

mod config;
mod names;
mod tensors;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use stepladder_data::PromptEncoder;
use tch::Device;

use crate::ModelError;
use crate::config::ModelConfig;
use crate::weights::Weights;

pub use config::CONFIG;
pub use names::{Embeddings, export};
pub(crate) use tensors::values;
pub use tensors::{check_finite, read_tensors, write_tensors};

/// File with the generation settings for transformers.
pub const GENERATION: &str = "generation_config.json";
/// File with the tensors.
pub const WEIGHTS: &str = "model.safetensors";

/// Writes model and encoder into an existing directory.
///
/// # Errors
/// [`ModelError::Checkpoint`] naming the file that could not be written.
pub fn save(directory: &Path, weights: &Weights, encoder: &dyn PromptEncoder) -> Result<(), ModelError> {
    let fail = |name: &str, reason: String| ModelError::Checkpoint {
        path: directory.join(name).display().to_string(),
        reason,
    };
    write_tensors(&directory.join(WEIGHTS), &export(weights))?;
    let model = weights.config();
    for (name, value) in
        [(CONFIG, config::model(model, encoder)), (GENERATION, config::generation(model, encoder))]
    {
        let text = serde_json::to_string_pretty(&value).map_err(|error| fail(name, error.to_string()))?;
        fs_err::write(directory.join(name), text + "\n").map_err(|error| fail(name, error.to_string()))?;
    }
    Ok(encoder.save(directory, model.shape.max_positions as usize)?)
}

/// Reads a checkpoint directory as a model with plain (summed) embeddings. Parameters in `frozen` are not trained and keep
/// the dtype of the file.
///
/// # Errors
/// [`ModelError::Checkpoint`] with the file and the reason, also for a foreign or broken file.
pub fn load(directory: &Path, frozen: &BTreeSet<String>, device: Device) -> Result<Weights, ModelError> {
    load_with(directory, None, frozen, device)
}

/// Reads a checkpoint directory with factored embeddings. All other parameters come from [`WEIGHTS`]; its embedding table
/// must be bit-equal to the sum of `embeddings`.
///
/// # Errors
/// As [`load`].
pub fn load_factored(
    directory: &Path,
    embeddings: &Embeddings<'_>,
    frozen: &BTreeSet<String>,
    device: Device,
) -> Result<Weights, ModelError> {
    load_with(directory, Some(embeddings), frozen, device)
}

fn load_with(
    directory: &Path,
    embeddings: Option<&Embeddings<'_>>,
    frozen: &BTreeSet<String>,
    device: Device,
) -> Result<Weights, ModelError> {
    let at = |name: &str| directory.join(name);
    let fail =
        |name: &str, reason: String| ModelError::Checkpoint { path: at(name).display().to_string(), reason };
    let text = fs_err::read_to_string(at(CONFIG)).map_err(|error| fail(CONFIG, error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| fail(CONFIG, error.to_string()))?;
    let mut config = config::read(&value).map_err(|reason| fail(CONFIG, reason))?;
    if let Some(parts) = embeddings {
        config = ModelConfig { factors: parts.factors.len() as i64, ..config };
    }
    let tensors = read_tensors(&at(WEIGHTS))?;
    let weights = names::import(&config, tensors, embeddings, frozen, device)
        .map_err(|reason| fail(WEIGHTS, reason))?;
    Ok(weights)
}
