//! Llama 2 and 3 (arXiv:2307.09288, arXiv:2407.21783), and models in this format, such as SmolLM2.

use serde_json::json;

use super::definition::{Definition, activation};
use crate::architecture::{Architecture, Family};

/// `model_type` llama.
pub(super) const DEFINITION: Definition = Definition {
    family: Family::Llama,
    model_type: "llama",
    class: "LlamaForCausalLM",
    tied: false,
    rope_theta: None,
    read: |fields| {
        let bias = fields.flag("attention_bias", false)?;
        Ok(Architecture {
            qkv_bias: bias,
            out_bias: bias,
            mlp_bias: fields.flag("mlp_bias", false)?,
            activation: activation(fields, "hidden_act")?.unwrap_or_default(),
            ..Architecture::default()
        })
    },
    write: |architecture| json!({ "attention_bias": architecture.qkv_bias, "mlp_bias": architecture.mlp_bias }),
};
