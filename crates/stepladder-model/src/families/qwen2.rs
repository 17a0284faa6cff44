//! Qwen2 and Qwen2.5 (arXiv:2407.10671, arXiv:2412.15115): query, key and value matrices have a bias.

use serde_json::json;

use super::definition::{Definition, activation};
use crate::architecture::{Architecture, Family};

/// `model_type` qwen2.
pub(super) const DEFINITION: Definition = Definition {
    family: Family::Qwen2,
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    tied: false,
    rope_theta: Some(10_000.0),
    read: |fields| {
        Ok(Architecture {
            qkv_bias: true,
            activation: activation(fields, "hidden_act")?.unwrap_or_default(),
            ..Architecture::default()
        })
    },
    write: |_| json!({ "use_sliding_window": false }),
};
