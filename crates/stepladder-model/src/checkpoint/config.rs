//! `config.json` and `generation_config.json` as transformers 4.57 and 5 read and write them.

use serde_json::{Value, json};
use stepladder_data::PromptEncoder;

use crate::config::{ModelConfig, Shape};

/// File with the shape of the model.
pub const CONFIG: &str = "config.json";

/// Ids that end a reply: a single number, or a list if there are several.
fn end(encoder: &dyn PromptEncoder) -> Value {
    match encoder.end() {
        [end] => json!(end),
        several => json!(several),
    }
}

/// Builds `config.json`. transformers 4 reads `rope_theta` and `torch_dtype`, transformers 5 `rope_parameters` and `dtype`.
pub(super) fn model(config: &ModelConfig, encoder: &dyn PromptEncoder) -> Value {
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
        "rope_parameters": { "rope_type": "default", "rope_theta": shape.rope_theta },
        "rms_norm_eps": shape.norm_eps,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": null,
        "eos_token_id": end(encoder),
        "pad_token_id": encoder.pad(),
        "dtype": "float32",
        "torch_dtype": "float32",
    })
}

/// Builds `generation_config.json`: greedy decoding up to an end token or the end of the context window.
pub(super) fn generation(config: &ModelConfig, encoder: &dyn PromptEncoder) -> Value {
    json!({
        "do_sample": false,
        "bos_token_id": null,
        "eos_token_id": end(encoder),
        "pad_token_id": encoder.pad(),
        "max_length": config.shape.max_positions,
    })
}

/// Reads `config.json`; every field that changes the computation of a Llama is applied or refused.
pub(super) fn read(value: &Value) -> Result<ModelConfig, String> {
    let given = |name: &str| value.get(name).filter(|found| !found.is_null());
    let whole = |name: &str| {
        given(name).and_then(Value::as_i64).ok_or_else(|| format!("no whole number under `{name}`"))
    };
    let real =
        |name: &str| given(name).and_then(Value::as_f64).ok_or_else(|| format!("no number under `{name}`"));
    let model_type = value.get("model_type").and_then(Value::as_str).unwrap_or("nothing");
    if model_type != "llama" {
        return Err(format!("model_type is {model_type}; this program reads llama"));
    }
    for name in ["attention_bias", "mlp_bias"] {
        if given(name).is_some_and(|found| found != false) {
            return Err(format!("`{name}` must be false"));
        }
    }
    if let Some(other) = given("hidden_act").filter(|found| *found != "silu") {
        return Err(format!("`hidden_act` is {other}; this program computes \"silu\""));
    }
    for name in ["rope_scaling", "quantization_config"] {
        if given(name).is_some() {
            return Err(format!("`{name}` is not supported"));
        }
    }
    let tied = match given("tie_word_embeddings") {
        None => false,
        Some(found) => found.as_bool().ok_or("`tie_word_embeddings` must be true or false")?,
    };
    let heads = whole("num_attention_heads")?;
    let shape = Shape {
        width: whole("hidden_size")?,
        layers: whole("num_hidden_layers")?,
        heads,
        kv_heads: if given("num_key_value_heads").is_some() { whole("num_key_value_heads")? } else { heads },
        ffn: whole("intermediate_size")?,
        max_positions: whole("max_position_embeddings")?,
        rope_theta: rope_theta(value)?,
        norm_eps: real("rms_norm_eps")?,
        tied,
    };
    let config = ModelConfig::new(shape, whole("vocab_size")?.max(0) as usize, 0)
        .map_err(|error| error.to_string())?;
    if given("head_dim").is_some() && whole("head_dim")? != config.shape.head_dim() {
        return Err("`head_dim` differs from hidden_size / num_attention_heads".to_owned());
    }
    Ok(config)
}

/// Reads the rotary base from the key of transformers 4, that of 5, or both.
fn rope_theta(value: &Value) -> Result<f64, String> {
    const NEW: &str = "rope_parameters";
    let number = |found: &Value, name: &str| {
        found.as_f64().ok_or_else(|| format!("`{name}` is {found}; it must be a number"))
    };
    let present = |found: &&Value| !found.is_null();
    let old = value.get("rope_theta").filter(present).map(|found| number(found, "rope_theta")).transpose()?;
    let Some(parameters) = value.get(NEW).filter(present) else {
        return old.ok_or_else(|| format!("no number under `rope_theta` or `{NEW}.rope_theta`"));
    };
    let parameters = parameters.as_object().ok_or_else(|| format!("`{NEW}` must be an object"))?;
    let mut new = None;
    for (name, found) in parameters {
        let full = format!("{NEW}.{name}");
        match name.as_str() {
            "rope_theta" => new = Some(number(found, &full)?),
            "rope_type" if found == "default" => {}
            "rope_type" => return Err(format!("`{full}` is {found}; this program computes \"default\"")),
            "partial_rotary_factor" if found.as_f64() == Some(1.0) => {}
            _ => return Err(format!("`{full}` is not supported")),
        }
    }
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            Err(format!("`rope_theta` is {old}, but `{NEW}.rope_theta` is {new}; they must agree"))
        }
        (old, new) => new.or(old).ok_or_else(|| format!("no number under `{NEW}.rope_theta`")),
    }
}
