//! Qwen3, dense (arXiv:2505.09388): queries and keys are normalised per head, and the width of a head is a field.

use serde_json::json;

use super::definition::{Definition, activation};
use crate::architecture::{Architecture, Family};

/// `model_type` qwen3.
pub(super) const DEFINITION: Definition = Definition {
    family: Family::Qwen3,
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    tied: false,
    rope_theta: Some(10_000.0),
    read: |fields| {
        let bias = fields.flag("attention_bias", false)?;
        Ok(Architecture {
            head_dim: Some(128),
            qkv_bias: bias,
            out_bias: bias,
            qk_norm: true,
            activation: activation(fields, "hidden_act")?.unwrap_or_default(),
            ..Architecture::default()
        })
    },
    write: |architecture| json!({ "attention_bias": architecture.qkv_bias, "use_sliding_window": false }),
};
