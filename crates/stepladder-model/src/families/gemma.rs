//! Gemma 1 (arXiv:2403.08295): gains stored minus one, scaled embeddings, GELU, tied output matrix.

use serde_json::{Value, json};

use super::definition::{Definition, activation};
use crate::architecture::{Activation, Architecture, Family};

/// `model_type` gemma.
pub(super) const DEFINITION: Definition = Definition {
    family: Family::Gemma,
    model_type: "gemma",
    class: "GemmaForCausalLM",
    tied: true,
    rope_theta: Some(10_000.0),
    read: |fields| {
        fields.only("attention_bias", &Value::Bool(false))?;
        let given = activation(fields, "hidden_act")?.unwrap_or(Activation::GeluTanh);
        // Early files name the exact GELU in `hidden_act`; `hidden_activation` replaces it there.
        let activation = activation(fields, "hidden_activation")?.unwrap_or(given);
        Ok(Architecture { head_dim: Some(256), activation, gemma_norm: true, ..Architecture::default() })
    },
    write: |_| json!({ "attention_bias": false }),
};
