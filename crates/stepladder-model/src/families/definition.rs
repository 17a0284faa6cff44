//! What a family's file defines.

use serde_json::Value;

use super::fields::Fields;
use crate::architecture::{Activation, Architecture, Family};

/// Meaning of one family's `config.json`.
pub(super) struct Definition {
    /// Family that this defines.
    pub(super) family: Family,
    /// Value of `model_type`.
    pub(super) model_type: &'static str,
    /// Class in transformers, the value of `architectures`.
    pub(super) class: &'static str,
    /// Value of `tie_word_embeddings` where it is absent.
    pub(super) tied: bool,
    /// Base of the rotary frequencies where it is absent.
    pub(super) rope_theta: Option<f64>,
    /// Derives the architecture from the fields that only this family has.
    pub(super) read: fn(&Fields<'_>) -> Result<Architecture, String>,
    /// Returns the fields that only this family has.
    pub(super) write: fn(&Architecture) -> Value,
}

/// Reads the activation of the gate from the field of this name.
pub(super) fn activation(fields: &Fields<'_>, name: &str) -> Result<Option<Activation>, String> {
    let Some(found) = fields.get(name) else { return Ok(None) };
    match found.as_str() {
        Some("silu" | "swish") => Ok(Some(Activation::Silu)),
        Some("gelu") => Ok(Some(Activation::Gelu)),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Some(Activation::GeluTanh)),
        _ => Err(format!(
            "`{name}` is {found}; this program computes \"silu\", \"gelu\" and \"gelu_pytorch_tanh\""
        )),
    }
}
