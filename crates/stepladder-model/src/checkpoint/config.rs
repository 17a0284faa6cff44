//! `config.json` and `generation_config.json` as transformers 4.57 and 5 read and write them.

use serde_json::{Map, Value, json};
use stepladder_data::PromptEncoder;

use crate::config::ModelConfig;
use crate::families;

/// File with the shape of the model.
pub const CONFIG: &str = "config.json";

/// Ids that end a reply: a single number, or a list if there are several.
fn end(encoder: &dyn PromptEncoder) -> Value {
    match encoder.end() {
        [end] => json!(end),
        several => json!(several),
    }
}

/// Builds `config.json`.
pub(super) fn model(config: &ModelConfig, encoder: &dyn PromptEncoder) -> Value {
    let mut fields: Map<String, Value> = families::write(config);
    for (name, value) in [
        ("bos_token_id", Value::Null),
        ("eos_token_id", end(encoder)),
        ("pad_token_id", json!(encoder.pad())),
        ("dtype", json!("float32")),
        ("torch_dtype", json!("float32")),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
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
