//! Model families: what each one's `config.json` means, field by field.
//!
//! A family's file derives [`Architecture`] from the fields that only this family has; `decoder` reads the architecture.

mod definition;
mod fields;
mod gemma;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;

use serde_json::{Map, Value, json};

use crate::architecture::{Activation, Architecture, Family, RotaryScaling};
use crate::config::{ModelConfig, Shape};
use definition::Definition;
use fields::Fields;

const ALL: [&Definition; 5] =
    [&llama::DEFINITION, &mistral::DEFINITION, &qwen2::DEFINITION, &qwen3::DEFINITION, &gemma::DEFINITION];

impl Family {
    /// Returns the class in transformers.
    pub fn class(self) -> &'static str {
        definition(self).class
    }
}

fn definition(family: Family) -> &'static Definition {
    ALL.into_iter().find(|known| known.family == family).unwrap_or(&llama::DEFINITION)
}

/// Reads `config.json`: every field is applied, refused by name, or without effect.
///
/// # Errors
/// One sentence that names the field.
pub fn read(value: &Value) -> Result<ModelConfig, String> {
    let object = value.as_object().ok_or("it must be a JSON object")?;
    let model_type = object.get("model_type").and_then(Value::as_str).unwrap_or("nothing");
    let known = ALL.iter().find(|known| known.model_type == model_type).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|known| known.model_type).collect();
        format!("model_type is {model_type}; this program reads {}", names.join(", "))
    })?;
    let fields = Fields::new(object);
    fields.get("model_type");
    if let Some(classes) = fields.get("architectures")
        && *classes != json!([known.class])
    {
        return Err(format!("`architectures` is {classes}; this program computes [\"{}\"]", known.class));
    }
    let heads = fields.whole("num_attention_heads")?;
    let (rope_theta, rotary) = fields.rotary(known.rope_theta)?;
    let mut shape = Shape {
        width: fields.whole("hidden_size")?,
        layers: fields.whole("num_hidden_layers")?,
        heads,
        kv_heads: fields.maybe_whole("num_key_value_heads")?.unwrap_or(heads),
        ffn: fields.whole("intermediate_size")?,
        max_positions: fields.whole("max_position_embeddings")?,
        rope_theta,
        norm_eps: fields.real("rms_norm_eps")?,
        tied: fields.flag("tie_word_embeddings", known.tied)?,
    };
    let own = (known.read)(&fields)?;
    if let Some(window) = window(&fields)? {
        // Within the window, sliding attention is full attention.
        shape.max_positions = shape.max_positions.min(window);
    }
    let head_dim = fields.maybe_whole("head_dim")?.or(own.head_dim);
    // A head that is as wide as the shape says is not stored, so that plain Llamas are equal to models from scratch.
    let head_dim = head_dim.filter(|head| shape.heads < 1 || head * shape.heads != shape.width);
    let architecture = Architecture { family: known.family, head_dim, rotary, ..own };
    let vocab = fields.whole("vocab_size")?;
    fields.finish()?;
    ModelConfig::pretrained(shape, architecture, vocab).map_err(|error| error.to_string())
}

/// Reads the window of sliding attention, in tokens; none for full attention.
fn window(fields: &Fields<'_>) -> Result<Option<i64>, String> {
    let window = fields.maybe_whole("sliding_window")?;
    let used = fields.flag("use_sliding_window", true)?;
    let all_full = |types: &Value| {
        types.as_array().is_some_and(|types| types.iter().all(|each| each == "full_attention"))
    };
    let full = fields.get("layer_types").is_some_and(all_full);
    match window.filter(|_| used && !full) {
        Some(window) if window < 1 => Err(format!("`sliding_window` is {window}; it must be above 0")),
        window => Ok(window),
    }
}

/// Builds `config.json` without the ids of special tokens. transformers 4 reads `rope_theta`, `rope_scaling` and
/// `torch_dtype`, transformers 5 `rope_parameters` and `dtype`.
pub fn write(config: &ModelConfig) -> Map<String, Value> {
    let (shape, architecture) = (&config.shape, &config.architecture);
    let known = definition(architecture.family);
    let activation = match architecture.activation {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    };
    let mut fields = json!({
        "architectures": [known.class],
        "model_type": known.model_type,
        "vocab_size": config.vocab,
        "hidden_size": shape.width,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": config.head_dim(),
        "max_position_embeddings": shape.max_positions,
        "rope_theta": shape.rope_theta,
        "rope_parameters": { "rope_type": "default", "rope_theta": shape.rope_theta },
        "rms_norm_eps": shape.norm_eps,
        "hidden_act": activation,
    });
    let scaling = match architecture.rotary {
        RotaryScaling::None => None,
        RotaryScaling::Linear { factor } => Some(json!({ "rope_type": "linear", "factor": factor })),
        RotaryScaling::Llama3 { factor, low, high, original } => Some(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original as i64,
        })),
    };
    if let Some(mut scaling) = scaling {
        fields["rope_scaling"] = scaling.clone();
        scaling["rope_theta"] = json!(shape.rope_theta);
        fields["rope_parameters"] = scaling;
    }
    let (Value::Object(mut fields), Value::Object(own)) = (fields, (known.write)(architecture)) else {
        return Map::new();
    };
    fields.extend(own);
    fields.insert("tie_word_embeddings".to_owned(), json!(shape.tied));
    fields
}
