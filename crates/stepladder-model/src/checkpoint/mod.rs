//! Checkpoints as Hugging Face directories (docs/design.md D6), which transformers loads and writes.
//!
//! * `config`: the JSON files; `names`: names and row order of transformers
//! * `adapter`: adapters as PEFT directories; `base`: the pretrained models below them; `merge`: both in one model
//! * `files`: safetensors files of a model, one or several; `fit`: whether they fit the configuration; `tensors`: values of tensors
//!
//! [`WEIGHTS`] holds the only copy of the weights. It stores factored embeddings as their sum. The parts cannot be recovered
//! from the sum bit by bit, so the trainer's state stores them.

mod adapter;
mod base;
mod config;
mod files;
mod fit;
mod merge;
mod names;
mod tensors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use stepladder_data::PromptEncoder;
use tch::Device;

use crate::ModelError;
use crate::config::ModelConfig;
use crate::families;
use crate::weights::Weights;

pub use adapter::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter, load_adapter, save_adapter};
pub use base::{BaseId, Bases};
pub use config::CONFIG;
use files::TensorFiles;
pub use files::{INDEX, WEIGHTS};
pub use merge::merge;
pub use names::{Embeddings, export};
pub(crate) use tensors::values;
pub use tensors::{check_finite, read_tensors, write_tensors};

/// File with the generation settings for transformers.
pub const GENERATION: &str = "generation_config.json";

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

/// Reads the configuration of a checkpoint directory.
///
/// # Errors
/// [`ModelError::Checkpoint`] if [`CONFIG`] is missing or broken, or describes a model that is not supported.
pub fn read_config(directory: &Path) -> Result<ModelConfig, ModelError> {
    let path = directory.join(CONFIG);
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let text = fs_err::read_to_string(&path).map_err(|error| fail(error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
    families::read(&value).map_err(fail)
}

/// Checks that a checkpoint directory holds the tensors of its configuration, and returns their bytes by dtype. Reads headers,
/// and no tensor.
///
/// # Errors
/// [`ModelError::Checkpoint`] for a missing or incomplete file, and for a missing, surplus or misshapen tensor or one of an
/// unsupported dtype.
pub fn sizes(directory: &Path) -> Result<BTreeMap<String, u64>, ModelError> {
    let (_, files) = open(directory)?;
    Ok(files.sizes())
}

/// Opens configuration and tensors, which must fit each other.
fn open(directory: &Path) -> Result<(ModelConfig, TensorFiles), ModelError> {
    let config = read_config(directory)?;
    let files = TensorFiles::open(directory)?;
    fit::check(&config, &files)?;
    Ok((config, files))
}

fn load_with(
    directory: &Path,
    embeddings: Option<&Embeddings<'_>>,
    frozen: &BTreeSet<String>,
    device: Device,
) -> Result<Weights, ModelError> {
    let (mut config, files) = open(directory)?;
    if let Some(parts) = embeddings {
        config = ModelConfig { factors: parts.factors.len() as i64, ..config };
    }
    let path = files.path().display().to_string();
    names::import(&config, files, embeddings, frozen, device)
        .map_err(|reason| ModelError::Checkpoint { path, reason })
}
