//! A pretrained model with the adapters added to its matrices, as a Hugging Face directory.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Kind};

use super::files::fail;
use super::{CONFIG, INDEX, WEIGHTS, export, load, load_adapter, read_config, write_tensors};
use crate::ModelError;

/// Writes the model of `base` with the adapters of a PEFT directory added to its matrices into an existing empty directory. Every
/// file of the base but its tensors is copied, so that tokenizer, chat template and generation settings are those of the base.
/// Tensors are in `dtype`, or in that of the base; each sum is computed in f32 and rounded once.
///
/// # Errors
/// [`ModelError::Checkpoint`] with the file and the reason: a file is missing or broken, the adapters are of another model, or a
/// file cannot be written.
pub fn merge(base: &Path, adapter: &Path, dtype: Option<Kind>, directory: &Path) -> Result<(), ModelError> {
    let all: BTreeSet<String> =
        read_config(base)?.parameters().into_iter().map(|parameter| parameter.name).collect();
    let mut model = load(base, &all, Device::Cpu)?;
    if dtype.is_some() {
        // Rounded once, after the sum.
        model = model.cast_frozen(Kind::Float);
    }
    let mut merged = load_adapter(adapter, &model)?.merged()?;
    drop(model);
    if let Some(dtype) = dtype {
        merged = merged.cast_frozen(dtype);
    }
    for entry in fs_err::read_dir(base).map_err(|error| fail(base, error))? {
        let entry = entry.map_err(|error| fail(base, error))?;
        let (name, path) = (entry.file_name(), entry.path());
        let text = name.to_string_lossy();
        let tensors =
            [WEIGHTS, INDEX].contains(&&*text) || text.ends_with(".safetensors") || text.ends_with(".bin");
        if !tensors && path.is_file() {
            fs_err::copy(&path, directory.join(&name)).map_err(|error| fail(&path, error))?;
        }
    }
    if let Some(dtype) = dtype {
        state_dtype(&directory.join(CONFIG), dtype)?;
    }
    write_tensors(&directory.join(WEIGHTS), &export(&merged))
}

/// Writes a dtype into `config.json`.
fn state_dtype(path: &Path, dtype: Kind) -> Result<(), ModelError> {
    let text = fs_err::read_to_string(path).map_err(|error| fail(path, error))?;
    let mut config: Value = serde_json::from_str(&text).map_err(|error| fail(path, error))?;
    let name = match dtype {
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        _ => "float32",
    };
    // transformers 5 reads `dtype`, earlier versions `torch_dtype`.
    for key in ["dtype", "torch_dtype"] {
        if config.get(key).is_some() || key == "torch_dtype" {
            config[key] = json!(name);
        }
    }
    let text = serde_json::to_string_pretty(&config).map_err(|error| fail(path, error))?;
    fs_err::write(path, text + "\n").map_err(|error| fail(path, error))
}
