//! Fields of a `config.json`: each is applied, refused by name, or known to have no effect.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::architecture::RotaryScaling;

/// Fields without effect on the computation: generation settings that other files hold, dropout of training, and notes of the
/// writing program.
const WITHOUT_EFFECT: [&str; 24] = [
    "_attn_implementation_autoset",
    "_name_or_path",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "eos_token_id",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_llama_config",
    "label2id",
    "max_window_layers",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "vocab_size",
];
/// Fields with the only value that is computed.
const FIXED: [(&str, &[&str]); 11] = [
    ("add_cross_attention", &["false"]),
    ("cross_attention_hidden_size", &[]),
    ("is_decoder", &["false", "true"]),
    ("is_encoder_decoder", &["false"]),
    ("pretraining_tp", &["1"]),
    ("pruned_heads", &["{}"]),
    ("rope_interleaved", &["false"]),
    ("tie_encoder_decoder", &["false"]),
    ("use_bfloat16", &["false", "true"]),
    ("use_bidirectional_attention", &["false"]),
    ("use_mrope", &["false"]),
];
/// Dtypes that weights may have.
const DTYPES: [&str; 3] = ["float32", "bfloat16", "float16"];

/// The object of a `config.json`; remembers the fields that were read.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    /// Creates a reader.
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, read: RefCell::new(BTreeSet::new()) }
    }

    /// Returns a field; none if absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(name.to_owned());
        self.object.get(name).filter(|found| !found.is_null())
    }

    /// Returns a required whole number.
    pub(super) fn whole(&self, name: &str) -> Result<i64, String> {
        self.get(name).and_then(Value::as_i64).ok_or_else(|| format!("no whole number under `{name}`"))
    }

    /// Returns a whole number, if the field is given.
    pub(super) fn maybe_whole(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name).is_some().then(|| self.whole(name)).transpose()
    }

    /// Returns a required number.
    pub(super) fn real(&self, name: &str) -> Result<f64, String> {
        self.get(name).and_then(Value::as_f64).ok_or_else(|| format!("no number under `{name}`"))
    }

    /// Returns a truth value, or the default.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        let read = |found: &Value| found.as_bool().ok_or_else(|| format!("`{name}` must be true or false"));
        self.get(name).map_or(Ok(default), read)
    }

    /// Checks a field with one supported value; it may be absent.
    pub(super) fn only(&self, name: &str, supported: &Value) -> Result<(), String> {
        match self.get(name) {
            Some(found) if found != supported => {
                Err(format!("`{name}` is {found}; this program computes {supported}"))
            }
            _ => Ok(()),
        }
    }

    /// Reads base and scaling of the rotary frequencies, from the keys of transformers 4, of 5, or both.
    pub(super) fn rotary(&self, default_base: Option<f64>) -> Result<(f64, RotaryScaling), String> {
        const NEW: &str = "rope_parameters";
        const OLD: &str = "rope_scaling";
        let old = self.get("rope_theta").map(|_| self.real("rope_theta")).transpose();
        let old =
            old.map_err(|_| format!("`rope_theta` is {}; it must be a number", self.object["rope_theta"]))?;
        let (mut new, mut scaling) = (None, RotaryScaling::None);
        for key in [NEW, OLD] {
            let Some(parameters) = self.get(key) else { continue };
            let parameters = parameters.as_object().ok_or_else(|| format!("`{key}` must be an object"))?;
            let (base, found) = scaling_of(key, parameters)?;
            new = new.or(base);
            if found != RotaryScaling::None {
                scaling = found;
            }
        }
        let base = match (old, new) {
            (Some(old), Some(new)) if old != new => {
                return Err(format!(
                    "`rope_theta` is {old}, but `{NEW}.rope_theta` is {new}; they must agree"
                ));
            }
            (old, new) => new.or(old).or(default_base),
        };
        let base = base.ok_or_else(|| match self.get(NEW) {
            Some(_) => format!("no number under `{NEW}.rope_theta`"),
            None => format!("no number under `rope_theta` or `{NEW}.rope_theta`"),
        })?;
        Ok((base, scaling))
    }

    /// Checks the fields that all families share, and refuses every field that was not read.
    pub(super) fn finish(self) -> Result<(), String> {
        for name in ["dtype", "torch_dtype"] {
            if let Some(found) = self.get(name).filter(|found| !DTYPES.iter().any(|known| *found == *known)) {
                return Err(format!("`{name}` is {found}; weights may be float32, bfloat16 or float16"));
            }
        }
        for (name, supported) in FIXED {
            if let Some(found) =
                self.get(name).filter(|found| !supported.contains(&found.to_string().as_str()))
            {
                return Err(format!("`{name}` is {found}, which is not supported"));
            }
        }
        let read = self.read.borrow();
        let unknown = |(name, found): &(&String, &Value)| {
            !found.is_null() && !read.contains(*name) && !WITHOUT_EFFECT.contains(&name.as_str())
        };
        match self.object.iter().find(unknown) {
            Some((name, _)) => Err(format!("`{name}` is not supported")),
            None => Ok(()),
        }
    }
}

/// Reads base and scaling from `rope_parameters` or `rope_scaling`.
fn scaling_of(key: &str, parameters: &Map<String, Value>) -> Result<(Option<f64>, RotaryScaling), String> {
    let number = |name: &str| match parameters.get(name) {
        Some(found) => {
            let fail = || format!("`{key}.{name}` is {found}; it must be a number");
            found.as_f64().map(Some).ok_or_else(fail)
        }
        None => Ok(None),
    };
    let needed = |name: &str| number(name)?.ok_or_else(|| format!("no number under `{key}.{name}`"));
    let kind = parameters.get("rope_type").or(parameters.get("type"));
    let kind = kind.map_or(Some("default"), Value::as_str).unwrap_or("no text");
    let (scaling, fields): (RotaryScaling, &[&str]) = match kind {
        "default" => (RotaryScaling::None, &[]),
        "linear" => (RotaryScaling::Linear { factor: needed("factor")? }, &["factor"]),
        "llama3" => (
            RotaryScaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: needed("original_max_position_embeddings")?,
            },
            &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        ),
        other => {
            return Err(format!(
                "`{key}.rope_type` is \"{other}\"; this program computes \"default\", \"linear\" and \"llama3\""
            ));
        }
    };
    for (name, found) in parameters {
        match name.as_str() {
            "rope_theta" | "rope_type" | "type" => {}
            "partial_rotary_factor" if found.as_f64() == Some(1.0) => {}
            name if fields.contains(&name) => {}
            _ => return Err(format!("`{key}.{name}` is not supported")),
        }
    }
    let positive = match scaling {
        RotaryScaling::None => true,
        RotaryScaling::Linear { factor } => factor > 0.0,
        RotaryScaling::Llama3 { factor, low, high, original } => {
            factor > 0.0 && low > 0.0 && high > low && original > 0.0
        }
    };
    if !positive {
        return Err(format!("`{key}` has factors that are not above 0 and in order"));
    }
    Ok((number("rope_theta")?, scaling))
}
