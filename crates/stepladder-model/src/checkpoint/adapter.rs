//! Adapters as PEFT directories: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use stepladder_core::section::Section;
use tch::Kind;

use super::files::{TensorFiles, fail};
use super::names::reorder;
use super::tensors::{check_dtype, check_finite, write_tensors};
use crate::ModelError;
use crate::config::ModelConfig;
use crate::lora::{Lora, MODULES, Module, a_of, b_of};
use crate::params::{Layout, Params};
use crate::weights::Weights;

/// File with the hyperparameters of the adapters.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// File with the matrices of the adapters.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// Fields without effect on the computation.
const WITHOUT_EFFECT: [&str; 9] = [
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "init_lora_weights",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
];

/// Name of a matrix in PEFT.
fn name_of(layer: i64, module: &Module, matrix: &str) -> String {
    format!("base_model.model.model.layers.{layer}.{}.{}.{matrix}.weight", module.parent, module.name)
}

/// Writes the adapters of a model into an existing directory. `base` is the path or hub name of the model below them.
///
/// # Errors
/// [`ModelError::Config`] for a model without adapters, [`ModelError::Checkpoint`] if a file cannot be written.
pub fn save_adapter(directory: &Path, weights: &Weights, base: Option<&str>) -> Result<(), ModelError> {
    let config = weights.config();
    let none = || ModelError::Config("the model has no adapters to be written".to_owned());
    let lora = config.lora.as_ref().ok_or_else(none)?;
    let mut tensors = Vec::new();
    for layer in 0..config.shape.layers {
        for module in MODULES.iter().filter(|module| lora.adapts(module.name)) {
            let found = weights.get(&a_of(layer, module.name)).zip(weights.get(&b_of(layer, module.name)));
            let (a, b) = found.ok_or_else(none)?;
            let b = if module.rotated { reorder(&b, config.head_dim(), true) } else { b };
            tensors.push((name_of(layer, module, "lora_A"), a));
            tensors.push((name_of(layer, module, "lora_B"), b));
        }
    }
    let alpha = if lora.alpha.fract() == 0.0 { json!(lora.alpha as i64) } else { json!(lora.alpha) };
    let fields = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.targets,
        "use_rslora": lora.rslora,
        "bias": "none",
        "fan_in_fan_out": false,
        "modules_to_save": null,
        "init_lora_weights": true,
        "inference_mode": true,
    });
    let path = directory.join(ADAPTER_CONFIG);
    let text = serde_json::to_string_pretty(&fields).map_err(|error| fail(&path, error))?;
    fs_err::write(&path, text + "\n").map_err(|error| fail(&path, error))?;
    write_tensors(&directory.join(ADAPTER_WEIGHTS), &tensors)
}

/// Reads the hyperparameters of adapters: every field is applied, refused by name, or without effect.
fn read_config(object: &Map<String, Value>) -> Result<Lora, String> {
    let mut lora = Lora { targets: Vec::new(), ..Lora::default() };
    let whole = |name: &str| {
        object.get(name).and_then(Value::as_i64).ok_or_else(|| format!("no whole number under `{name}`"))
    };
    if object.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        let found = object.get("peft_type").unwrap_or(&Value::Null);
        return Err(format!("`peft_type` is {found}; this program reads \"LORA\""));
    }
    lora.rank = whole("r")?;
    let alpha = object.get("lora_alpha").and_then(Value::as_f64);
    lora.alpha = alpha.ok_or("no number under `lora_alpha`")?;
    let targets = object.get("target_modules").and_then(Value::as_array);
    let targets = targets.ok_or("`target_modules` must be a list of names")?;
    for target in targets {
        let name = target.as_str().ok_or("`target_modules` must be a list of names")?;
        lora.targets.push(name.to_owned());
    }
    // One order, whatever that of the file.
    lora.targets.sort_by_key(|name| MODULES.iter().position(|module| module.name == name));
    for (name, value) in object {
        let neutral = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        match name.as_str() {
            "peft_type" | "r" | "lora_alpha" | "target_modules" => {}
            "lora_dropout" => lora.dropout = value.as_f64().ok_or("no number under `lora_dropout`")?,
            "use_rslora" => lora.rslora = value.as_bool().ok_or("`use_rslora` must be true or false")?,
            "bias" if value == "none" => {}
            name if neutral || WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(format!("`{name}` is {value}, which is not supported")),
        }
    }
    let mut found: Vec<String> = lora.violations().iter().map(ToString::to_string).collect();
    found.extend(lora.conflicts());
    if found.is_empty() { Ok(lora) } else { Err(found.join("; ")) }
}

/// Opens adapters over a model with this configuration: their own configuration, and files that fit it. Reads headers only.
fn open(directory: &Path, base: &ModelConfig) -> Result<(ModelConfig, TensorFiles), ModelError> {
    let path = directory.join(ADAPTER_CONFIG);
    let text = fs_err::read_to_string(&path).map_err(|error| fail(&path, error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
    let object = value.as_object().ok_or_else(|| fail(&path, "it must be a JSON object"))?;
    let lora = read_config(object).map_err(|reason| fail(&path, reason))?;
    let config = base.clone().with_lora(&lora)?;
    let path = directory.join(ADAPTER_WEIGHTS);
    let files = TensorFiles::open_file(path.clone())?;
    let shapes: BTreeMap<String, Vec<i64>> =
        config.parameters().into_iter().map(|parameter| (parameter.name, parameter.shape)).collect();
    let mut seen = BTreeSet::new();
    for Matrix { theirs, ours, .. } in matrices(&config) {
        let wanted = shapes.get(&ours).ok_or_else(|| fail(&path, format!("no parameter `{ours}`")))?;
        let (dtype, shape) = files.info(&theirs).ok_or_else(|| {
            let advice = "the adapters are of another model, or of other target_modules";
            fail(&path, format!("no tensor `{theirs}`: {advice}"))
        })?;
        check_dtype(&theirs, dtype).map_err(|reason| fail(&path, reason))?;
        if !shape.iter().map(|size| *size as i64).eq(wanted.iter().copied()) {
            let reason = format!(
                "`{theirs}` has shape {shape:?}, but this model and rank {} need {wanted:?}: the adapters are of another model or rank",
                lora.rank
            );
            return Err(fail(&path, reason));
        }
        seen.insert(theirs);
    }
    let surplus = files.left().find(|name| !seen.contains(*name)).map(|name| {
        fail(&path, format!("`{name}` belongs to none of the target_modules; it would be ignored"))
    });
    surplus.map_or(Ok((config, files)), Err)
}

/// Checks that adapters fit a model with this configuration. Reads headers, and no tensor.
///
/// # Errors
/// As [`load_adapter`].
pub fn check_adapter(directory: &Path, base: &ModelConfig) -> Result<(), ModelError> {
    open(directory, base).map(drop)
}

/// A matrix of the adapters.
struct Matrix {
    /// Name in PEFT.
    theirs: String,
    /// Name of the parameter.
    ours: String,
    /// Whether pairs of its rows are rotated.
    rotated: bool,
}

/// Lists the matrices of the adapters of a model, in the order of layers.
fn matrices(config: &ModelConfig) -> impl Iterator<Item = Matrix> {
    let adapted: Vec<&Module> = MODULES
        .iter()
        .filter(|module| config.lora.as_ref().is_some_and(|lora| lora.adapts(module.name)))
        .collect();
    (0..config.shape.layers).flat_map(move |layer| {
        let pair = |module: &&'static Module| {
            let a = Matrix {
                theirs: name_of(layer, module, "lora_A"),
                ours: a_of(layer, module.name),
                rotated: false,
            };
            let b = Matrix {
                theirs: name_of(layer, module, "lora_B"),
                ours: b_of(layer, module.name),
                rotated: module.rotated,
            };
            [a, b]
        };
        adapted.iter().flat_map(pair).collect::<Vec<_>>()
    })
}

/// Reads adapters over a model. The model is frozen and shared, not copied: several adapters may be over one model.
///
/// # Errors
/// [`ModelError::Checkpoint`] with the file and the reason: a file is missing or broken, a field is not supported, or the
/// adapters are of another model.
pub fn load_adapter(directory: &Path, base: &Weights) -> Result<Weights, ModelError> {
    let (config, mut files) = open(directory, base.config())?;
    let adapters = config.parameters().into_iter().filter(|each| base.get(&each.name).is_none());
    let trained = Params::zeros(Layout::of(&config, adapters), base.device());
    for Matrix { theirs, ours, rotated } in matrices(&config) {
        let mut fill = || -> Result<(), String> {
            let mut slot = trained.get(&ours).ok_or_else(|| format!("no parameter `{ours}`"))?;
            let found = files.take(&theirs)?.ok_or_else(|| format!("no tensor `{theirs}`"))?;
            check_finite(&theirs, &found)?;
            let found = if rotated { reorder(&found, config.head_dim(), false) } else { found };
            tch::no_grad(|| {
                slot.f_copy_(&found.to_kind(Kind::Float)).map(drop).map_err(|error| error.to_string())
            })
        };
        fill().map_err(|reason| fail(&directory.join(ADAPTER_WEIGHTS), reason))?;
    }
    base.with_adapters(trained)
}
