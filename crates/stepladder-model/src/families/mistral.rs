//! Mistral (arXiv:2310.06825). Its sliding window limits the context: within the window, attention is full.

use serde_json::json;

use super::definition::{Definition, activation};
use crate::architecture::{Architecture, Family};

/// `model_type` mistral.
pub(super) const DEFINITION: Definition = Definition {
    family: Family::Mistral,
    model_type: "mistral",
    class: "MistralForCausalLM",
    tied: false,
    rope_theta: Some(10_000.0),
    read: |fields| {
        Ok(Architecture {
            activation: activation(fields, "hidden_act")?.unwrap_or_default(),
            ..Architecture::default()
        })
    },
    write: |_| json!({ "sliding_window": null }),
};
