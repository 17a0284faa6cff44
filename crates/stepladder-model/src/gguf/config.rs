//! From metadata to `config.json`: every key that changes the computation is applied or refused by name.

use serde_json::{Value as Json, json};

use super::read::Gguf;
use super::rotary;
use super::value::Value;

/// Architecture of a file, and the model of transformers that computes the same.
pub(super) struct Family {
    /// Value of `general.architecture`, and prefix of its keys.
    pub(super) name: &'static str,
    /// `model_type` in transformers.
    model_type: &'static str,
    /// Class in transformers.
    class: &'static str,
    /// Activation of the gate.
    activation: &'static str,
    /// Whether queries, keys and values have a bias.
    pub(super) biases: bool,
    /// Whether queries and keys are normalised.
    pub(super) head_norms: bool,
    /// Whether llama.cpp's conversion interleaves the rows of queries and keys.
    pub(super) interleaved: bool,
    /// Whether llama.cpp's conversion adds 1 to the gains of norms.
    pub(super) gains_plus_one: bool,
}

const FAMILIES: [Family; 4] = [
    Family {
        name: "llama",
        model_type: "llama",
        class: "LlamaForCausalLM",
        activation: "silu",
        biases: false,
        head_norms: false,
        interleaved: true,
        gains_plus_one: false,
    },
    Family {
        name: "qwen2",
        model_type: "qwen2",
        class: "Qwen2ForCausalLM",
        activation: "silu",
        biases: true,
        head_norms: false,
        interleaved: false,
        gains_plus_one: false,
    },
    Family {
        name: "qwen3",
        model_type: "qwen3",
        class: "Qwen3ForCausalLM",
        activation: "silu",
        biases: false,
        head_norms: true,
        interleaved: false,
        gains_plus_one: false,
    },
    Family {
        name: "gemma",
        model_type: "gemma",
        class: "GemmaForCausalLM",
        activation: "gelu_pytorch_tanh",
        biases: false,
        head_norms: false,
        interleaved: false,
        gains_plus_one: true,
    },
];

/// Keys of an architecture that are applied, without its prefix.
const APPLIED: [&str; 15] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.type",
    "vocab_size",
];

/// Keys that tell how a file came about, or belong to a kind of rotary scaling that is refused; they change nothing.
const WITHOUT_EFFECT: [&str; 3] =
    ["rope.scaling.finetuned", "rope.scaling.original_context_length", "tensor_data_layout"];

/// Keys that are refused unless they say that a model does without.
const NEUTRAL: [(&str, Value<'_>); 4] = [
    ("attention.causal", Value::Bool(true)),
    ("expert_count", Value::Unsigned(0)),
    ("expert_used_count", Value::Unsigned(0)),
    ("rope.scaling.attn_factor", Value::F32(1.0)),
];

/// Model that the metadata describe.
pub(super) struct Model {
    /// Architecture.
    pub(super) family: &'static Family,
    /// Values by field of `config.json`.
    pub(super) json: Json,
    /// Numbers of layers, of query heads and of key heads.
    pub(super) layers: u64,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// Sizes of the residual stream, of a head, of the feed-forward network and of the embedding table.
    pub(super) width: usize,
    pub(super) head: usize,
    pub(super) ffn: usize,
    pub(super) vocab: usize,
    /// Positions.
    pub(super) context: u64,
}

impl Model {
    /// Reads the metadata.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub(super) fn read(file: &Gguf<'_>) -> Result<Self, String> {
        let text = |key: &str| file.metadata.get(key).and_then(Value::text);
        if let Some(other) = text("general.type").filter(|found| *found != "model") {
            return Err(format!("`general.type` is {other}; this program reads models"));
        }
        if file.metadata.get("split.count").and_then(Value::unsigned).is_some_and(|count| count > 1) {
            return Err("one part of a split model; join the parts with llama-gguf-split --merge".to_owned());
        }
        let name = text("general.architecture").ok_or("no text under `general.architecture`")?;
        let family = FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
            let read = FAMILIES.map(|family| family.name).join(", ");
            format!("`general.architecture` is {name}; this program reads {read}")
        })?;
        let keys = Keys { file, prefix: family.name };
        keys.refuse()?;
        let heads = keys.size("attention.head_count")?;
        let kv_heads = keys.maybe("attention.head_count_kv")?.unwrap_or(heads);
        let width = keys.size("embedding_length")?;
        let head = match keys.maybe("attention.key_length")? {
            Some(head) => head,
            None => width / heads,
        };
        for key in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = keys.maybe(key)?.filter(|other| *other != head) {
                return Err(format!(
                    "`{name}.{key}` is {other}; this program computes models in which it is the size of a head, {head}"
                ));
            }
        }
        if head == 0 || !heads.is_multiple_of(kv_heads) || !head.is_multiple_of(2) {
            return Err(format!(
                "{heads} heads of size {head} over {kv_heads} heads of keys are impossible: the file is damaged"
            ));
        }
        let embeddings = file.tensors.get("token_embd.weight").ok_or("no tensor `token_embd.weight`")?;
        let vocab = embeddings.shape.first().copied().unwrap_or_default();
        if let Some(other) = keys.maybe("vocab_size")?.filter(|other| *other != vocab) {
            return Err(format!("`{name}.vocab_size` is {other}, but `token_embd.weight` has {vocab} rows"));
        }
        let (layers, context) = (keys.size("block_count")?, keys.size("context_length")?);
        let ffn = keys.size("feed_forward_length")?;
        let base = keys.real("rope.freq_base")?.unwrap_or(10_000.0);
        let epsilon = keys
            .real("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| format!("no number under `{name}.attention.layer_norm_rms_epsilon`"))?;
        let mut rope = keys.scaling(base, head)?;
        let mut json = json!({
            "architectures": [family.class],
            "model_type": family.model_type,
            "vocab_size": vocab,
            "hidden_size": width,
            "intermediate_size": ffn,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": head,
            "max_position_embeddings": context,
            "rope_theta": base,
            "rms_norm_eps": epsilon,
            "hidden_act": family.activation,
            "tie_word_embeddings": !file.tensors.contains_key("output.weight"),
            "dtype": "float32",
            "torch_dtype": "float32",
        });
        // transformers 4 reads `rope_scaling` beside `rope_theta`, transformers 5 `rope_parameters` with both.
        if rope["rope_type"] != "default" {
            json["rope_scaling"] = rope.clone();
        }
        rope["rope_theta"] = json!(base);
        json["rope_parameters"] = rope;
        if family.model_type == "llama" {
            json["attention_bias"] = json!(false);
            json["mlp_bias"] = json!(false);
        }
        if family.model_type == "gemma" {
            json["hidden_activation"] = json!(family.activation);
        }
        Ok(Self {
            family,
            json,
            layers: layers as u64,
            heads,
            kv_heads,
            width,
            head,
            ffn,
            vocab,
            context: context as u64,
        })
    }
}

/// Metadata under the prefix of an architecture.
struct Keys<'a> {
    file: &'a Gguf<'a>,
    prefix: &'static str,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value<'_>> {
        self.file.metadata.get(format!("{}.{key}", self.prefix).as_str())
    }

    /// Refuses keys of the architecture that would change the computation.
    fn refuse(&self) -> Result<(), String> {
        for (key, value) in &self.file.metadata {
            let own = key.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('.'));
            let Some(own) = own else { continue };
            let harmless = APPLIED.contains(&own)
                || WITHOUT_EFFECT.contains(&own)
                || NEUTRAL.iter().any(|(neutral, without)| *neutral == own && value == without);
            if !harmless {
                return Err(format!("`{key}` is not supported: this program does not compute such models"));
            }
        }
        Ok(())
    }

    fn maybe(&self, key: &str) -> Result<Option<usize>, String> {
        // Sizes far above any model's would overflow products.
        const LARGEST: u64 = 1 << 24;
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.unsigned().filter(|size| (1..=LARGEST).contains(size));
        let name = format!("{}.{key}", self.prefix);
        match (size, value.array()) {
            (Some(size), _) => Ok(Some(size as usize)),
            (_, Some(_)) => {
                Err(format!("`{name}` differs by layer; this program computes models with equal layers"))
            }
            _ => Err(format!("`{name}` must be a whole number above 0")),
        }
    }

    fn size(&self, key: &str) -> Result<usize, String> {
        self.maybe(key)?.ok_or_else(|| format!("no whole number under `{}.{key}`", self.prefix))
    }

    fn real(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let real = value.real().filter(|real| real.is_finite() && *real > 0.0);
        real.map(Some).ok_or_else(|| format!("`{}.{key}` must be a number above 0", self.prefix))
    }

    /// Returns the scaling of rotary frequencies, as transformers writes it.
    fn scaling(&self, base: f64, head: usize) -> Result<Json, String> {
        let kind = match self.get("rope.scaling.type") {
            None if self.get("rope.scale_linear").is_some() => "linear",
            None => "none",
            Some(kind) => {
                kind.text().ok_or_else(|| format!("no text under `{}.rope.scaling.type`", self.prefix))?
            }
        };
        let factor = self.real("rope.scaling.factor")?.or(self.real("rope.scale_linear")?);
        if let Some(factors) = self.file.tensors.get("rope_freqs.weight") {
            if kind != "none" {
                return Err(format!(
                    "`rope_freqs.weight` beside rotary scaling of type {kind} is not supported"
                ));
            }
            return rotary::llama3(factors, base, head);
        }
        match (kind, factor) {
            ("none", None) => Ok(json!({ "rope_type": "default" })),
            ("none" | "linear", Some(1.0)) => Ok(json!({ "rope_type": "default" })),
            ("linear", Some(factor)) => Ok(json!({ "rope_type": "linear", "factor": factor })),
            _ => Err(format!("`{}.rope.scaling.type` is {kind}, which is not supported", self.prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn scaling_of_rotary_frequencies_is_translated_or_refused() {
        let scaling = |entries: &[(&'static str, Value<'static>)]| {
            let file = Gguf { metadata: entries.iter().copied().collect(), tensors: BTreeMap::new() };
            Keys { file: &file, prefix: "llama" }.scaling(10_000.0, 64)
        };
        let kind = |kind| ("llama.rope.scaling.type", Value::Text(kind));
        let factor = ("llama.rope.scaling.factor", Value::F32(2.5));
        let original = ("llama.rope.scaling.original_context_length", Value::Unsigned(4096));
        assert_eq!(scaling(&[]).unwrap(), json!({ "rope_type": "default" }));
        assert_eq!(scaling(&[kind("none")]).unwrap(), json!({ "rope_type": "default" }));
        let linear = json!({ "rope_type": "linear", "factor": 2.5 });
        assert_eq!(scaling(&[kind("linear"), factor]).unwrap(), linear);
        assert_eq!(scaling(&[("llama.rope.scale_linear", Value::F32(2.5))]).unwrap(), linear);
        let refused = [
            (vec![kind("longrope"), factor], "`llama.rope.scaling.type` is longrope"),
            (vec![kind("linear")], "`llama.rope.scaling.type` is linear"),
            (vec![kind("yarn"), factor, original], "`llama.rope.scaling.type` is yarn"),
            (vec![kind("dynamic"), factor], "`llama.rope.scaling.type` is dynamic"),
            (vec![("llama.rope.scaling.factor", Value::F32(-1.0))], "must be a number above 0"),
        ];
        for (entries, message) in refused {
            let error = scaling(&entries).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
