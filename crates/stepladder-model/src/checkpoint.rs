//! Checkpoints as Hugging Face directories (design D6): `config.json`, `tokenizer.json`, `model.safetensors`, as a plain
//! Llama-shaped model that transformers loads. Factored embeddings are stored summed; their parts are the trainer's.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use stepladder_data::WordTokenizer;
use tch::{Device, Tensor};

use crate::ModelError;
use crate::config::{ModelConfig, Shape};
use crate::factors::Factors;
use crate::params::Params;

/// File names of a checkpoint directory.
pub const CONFIG: &str = "config.json";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// The tensors.
pub const WEIGHTS: &str = "model.safetensors";

/// Rows of a query or key matrix: ours keep rotary pairs as neighbours (2i, 2i+1), transformers keeps them half a head
/// apart (i, i + hd/2). `to_theirs` says which way to go.
fn reorder(rows: &Tensor, head: i64, to_theirs: bool) -> Tensor {
    let sizes = rows.size();
    let split = if to_theirs { [-1, head / 2, 2, sizes[1]] } else { [-1, 2, head / 2, sizes[1]] };
    rows.view(split).transpose(1, 2).reshape(sizes.as_slice())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_device(Device::Cpu).contiguous().view([-1])).expect("a vector of f32")
}

/// The tensors as transformers names them.
///
/// # Errors
/// None in practice: a layout always has the parameters its configuration implies.
pub fn export(params: &Params, factors: &Factors) -> Vec<(String, Tensor)> {
    let shape = &params.layout.config().shape;
    let head = shape.head_dim();
    let get = |name: &str| params.get(name).expect("the layout has every parameter of its configuration");
    tch::no_grad(|| {
        // Never in place: these are views of the live parameters.
        let table = match factors.matrix(params.flat.device()) {
            Some(incidence) => get("embed.own") + incidence.matmul(&get("embed.factors")),
            None => get("embed.own"),
        };
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), table)];
        for layer in 0..shape.layers {
            let part = |name: &str| get(&format!("layers.{layer}.{name}"));
            let mut push = |name: &str, tensor: Tensor| {
                tensors.push((format!("model.layers.{layer}.{name}.weight"), tensor))
            };
            let qkv = part("qkv");
            let (q_rows, kv_rows) = (shape.heads * head, shape.kv_heads * head);
            push("self_attn.q_proj", reorder(&qkv.narrow(0, 0, q_rows), head, true));
            push("self_attn.k_proj", reorder(&qkv.narrow(0, q_rows, kv_rows), head, true));
            push("self_attn.v_proj", qkv.narrow(0, q_rows + kv_rows, kv_rows));
            push("self_attn.o_proj", part("out"));
            let gate_up = part("gate_up");
            push("mlp.gate_proj", gate_up.narrow(0, 0, shape.ffn));
            push("mlp.up_proj", gate_up.narrow(0, shape.ffn, shape.ffn));
            push("mlp.down_proj", part("down"));
            push("input_layernorm", part("norm_attention"));
            push("post_attention_layernorm", part("norm_ffn"));
        }
        tensors.push(("model.norm.weight".to_owned(), get("norm")));
        if !shape.tied {
            tensors.push(("lm_head.weight".to_owned(), get("head")));
        }
        tensors
    })
}

fn hugging_face_config(config: &ModelConfig, tokenizer: &WordTokenizer) -> Value {
    let shape = &config.shape;
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab,
        "hidden_size": shape.width,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim(),
        "max_position_embeddings": shape.max_positions,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_eps,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": null,
        "eos_token_id": tokenizer.end(),
        "pad_token_id": tokenizer.pad(),
        "torch_dtype": "float32",
    })
}

/// Writes the three files into an existing directory.
///
/// # Errors
/// [`ModelError::Checkpoint`] naming the file that could not be written.
pub fn save(
    directory: &Path,
    params: &Params,
    factors: &Factors,
    tokenizer: &WordTokenizer,
) -> Result<(), ModelError> {
    let fail = |name: &str, reason: String| ModelError::Checkpoint {
        path: directory.join(name).display().to_string(),
        reason,
    };
    write_tensors(&directory.join(WEIGHTS), &export(params, factors))?;
    let config = hugging_face_config(params.layout.config(), tokenizer);
    let text = serde_json::to_string_pretty(&config).map_err(|error| fail(CONFIG, error.to_string()))?;
    fs_err::write(directory.join(CONFIG), text + "\n").map_err(|error| fail(CONFIG, error.to_string()))?;
    tokenizer.save(&directory.join(TOKENIZER)).map_err(|error| fail(TOKENIZER, error.to_string()))
}

/// Writes named f32 tensors as a safetensors file.
///
/// # Errors
/// [`ModelError::Checkpoint`].
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name.clone(), shape, values(tensor).iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = bytes
        .iter()
        .map(|(name, shape, data)| {
            TensorView::new(Dtype::F32, shape.clone(), data).map(|view| (name.as_str(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let data = safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    fs_err::write(path, data).map_err(|error| fail(error.to_string()))
}

/// Reads all f32 tensors of a safetensors file.
///
/// # Errors
/// [`ModelError::Checkpoint`] for a missing or broken file or another number format.
pub fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let data = fs_err::read(path).map_err(|error| fail(error.to_string()))?;
    let file =
        SafeTensors::deserialize(&data).map_err(|error| fail(format!("not a safetensors file: {error}")))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(fail(format!("`{name}` is {:?}; this program stores F32", view.dtype())));
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        tensors.insert(name, Tensor::from_slice(&numbers).view(shape.as_slice()));
    }
    Ok(tensors)
}

/// Reads a checkpoint directory: the model with plain (summed) embeddings, and its tokenizer.
///
/// # Errors
/// [`ModelError::Checkpoint`] naming the file and what is wrong; nothing panics on a foreign or broken file.
pub fn load(directory: &Path, device: Device) -> Result<(Params, WordTokenizer), ModelError> {
    let at = |name: &str| directory.join(name);
    let fail =
        |name: &str, reason: String| ModelError::Checkpoint { path: at(name).display().to_string(), reason };
    let text = fs_err::read_to_string(at(CONFIG)).map_err(|error| fail(CONFIG, error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| fail(CONFIG, error.to_string()))?;
    let config = read_config(&value).map_err(|reason| fail(CONFIG, reason))?;
    let tokenizer =
        WordTokenizer::load(&at(TOKENIZER)).map_err(|error| fail(TOKENIZER, error.to_string()))?;
    if tokenizer.len() as i64 != config.vocab {
        return Err(fail(
            TOKENIZER,
            format!("it has {} words, {CONFIG} says {}", tokenizer.len(), config.vocab),
        ));
    }
    let tensors = read_tensors(&at(WEIGHTS))?;
    let params = import(&config, &tensors, device).map_err(|reason| fail(WEIGHTS, reason))?;
    Ok((params, tokenizer))
}

fn read_config(value: &Value) -> Result<ModelConfig, String> {
    let whole = |name: &str| {
        value.get(name).and_then(Value::as_i64).ok_or_else(|| format!("no whole number under `{name}`"))
    };
    let real = |name: &str| {
        value.get(name).and_then(Value::as_f64).ok_or_else(|| format!("no number under `{name}`"))
    };
    let kind = value.get("model_type").and_then(Value::as_str).unwrap_or("nothing");
    if kind != "llama" {
        return Err(format!("model_type is {kind}; this program reads llama"));
    }
    for (name, allowed) in [("attention_bias", false), ("mlp_bias", false)] {
        if value.get(name).and_then(Value::as_bool).is_some_and(|found| found != allowed) {
            return Err(format!("`{name}` must be {allowed}"));
        }
    }
    if !value.get("rope_scaling").is_none_or(Value::is_null) {
        return Err("`rope_scaling` is not supported".to_owned());
    }
    let shape = Shape {
        width: whole("hidden_size")?,
        layers: whole("num_hidden_layers")?,
        heads: whole("num_attention_heads")?,
        kv_heads: whole("num_key_value_heads")?,
        ffn: whole("intermediate_size")?,
        max_positions: whole("max_position_embeddings")?,
        rope_theta: real("rope_theta")?,
        norm_eps: real("rms_norm_eps")?,
        tied: value.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
    };
    let config = ModelConfig::new(shape, whole("vocab_size")?.max(0) as usize, 0)
        .map_err(|error| error.to_string())?;
    if whole("head_dim").is_ok_and(|head| head != config.shape.head_dim()) {
        return Err("`head_dim` differs from hidden_size / num_attention_heads".to_owned());
    }
    Ok(config)
}

fn import(config: &ModelConfig, tensors: &HashMap<String, Tensor>, device: Device) -> Result<Params, String> {
    let shape = &config.shape;
    let head = shape.head_dim();
    let fetch = |name: &str, expected: &[i64]| -> Result<Tensor, String> {
        let tensor = tensors.get(name).ok_or_else(|| format!("no tensor `{name}`"))?;
        if tensor.size() != expected {
            return Err(format!(
                "`{name}` has shape {:?}, the configuration needs {expected:?}",
                tensor.size()
            ));
        }
        Ok(tensor.to_device(device))
    };
    // Everything is fetched before memory for the whole is asked for: a configuration may claim any size.
    let d = shape.width;
    let mut found = vec![("embed.own".to_owned(), fetch("model.embed_tokens.weight", &[config.vocab, d])?)];
    for layer in 0..shape.layers {
        let theirs = |name: &str, rows: i64, columns: i64| {
            fetch(&format!("model.layers.{layer}.{name}.weight"), &[rows, columns])
        };
        let norm = |name: &str| fetch(&format!("model.layers.{layer}.{name}.weight"), &[d]);
        let q = reorder(&theirs("self_attn.q_proj", shape.heads * head, d)?, head, false);
        let k = reorder(&theirs("self_attn.k_proj", shape.kv_heads * head, d)?, head, false);
        let v = theirs("self_attn.v_proj", shape.kv_heads * head, d)?;
        let gate = theirs("mlp.gate_proj", shape.ffn, d)?;
        let up = theirs("mlp.up_proj", shape.ffn, d)?;
        for (name, tensor) in [
            ("qkv", Tensor::cat(&[q, k, v], 0)),
            ("out", theirs("self_attn.o_proj", d, shape.heads * head)?),
            ("gate_up", Tensor::cat(&[gate, up], 0)),
            ("down", theirs("mlp.down_proj", d, shape.ffn)?),
            ("norm_attention", norm("input_layernorm")?),
            ("norm_ffn", norm("post_attention_layernorm")?),
        ] {
            found.push((format!("layers.{layer}.{name}"), tensor));
        }
    }
    found.push(("norm".to_owned(), fetch("model.norm.weight", &[d])?));
    if !shape.tied {
        found.push(("head".to_owned(), fetch("lm_head.weight", &[config.vocab, d])?));
    }
    let params = Params::zeros(config, device);
    tch::no_grad(|| {
        found.iter().try_for_each(|(name, tensor)| {
            let mut slot = params.get(name).ok_or_else(|| format!("no parameter `{name}`"))?;
            slot.f_copy_(tensor).map_err(|error| error.to_string())
        })
    })?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tiny;

    #[test]
    fn exporting_sums_the_factors_and_leaves_the_parameters_alone() {
        let words = ["mug_1", "mug_2", "look"].map(str::to_owned);
        let parts = |word: &str| word.split('_').map(str::to_owned).filter(|_| word.contains('_')).collect();
        let factors = Factors::collect(&words, parts);
        let config = ModelConfig::new(tiny(), words.len(), factors.len()).unwrap();
        let params = Params::init(&config, 1, Device::Cpu);
        let before = params.flat.copy();
        let row = |tensor: &Tensor, index: i64| values(&tensor.get(index));
        for _ in 0..2 {
            let tensors: HashMap<String, Tensor> = export(&params, &factors).into_iter().collect();
            let table = &tensors["model.embed_tokens.weight"];
            let (own, shared) = (params.get("embed.own").unwrap(), params.get("embed.factors").unwrap());
            assert_eq!(row(table, 2), row(&own, 2));
            let mug_1 = own.get(0) + shared.get(0) + shared.get(2);
            for (found, expected) in row(table, 0).into_iter().zip(values(&mug_1)) {
                assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
            }
            assert!(params.flat.equal(&before));
        }
    }
}
