//! Decoders from Hugging Face directories of plain Llamas, without libtorch.
//!
//! `stepladder-model` reads every model family; this module reads the one that the kernels here compute, and gives the same bits
//! as the conversion of a decoder that `stepladder-model` loaded.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

use crate::error::CpuError;
use crate::weights::{BlockMatrices, Matrices, Shape, Weights, rotations};

/// File with the shape of the model.
pub const CONFIG: &str = "config.json";
/// File with its tensors.
pub const WEIGHTS: &str = "model.safetensors";

/// Loads a checkpoint directory: a Llama without biases and with unscaled rotary positions, in one file of f32, bf16 or f16.
///
/// # Errors
/// [`CpuError::Checkpoint`] for a missing, damaged or incomplete file and for another architecture; [`CpuError::Weights`] for
/// contradictory dimensions.
pub fn load(directory: &Path) -> Result<Weights, CpuError> {
    let path = directory.join(CONFIG);
    let text = fs_err::read_to_string(&path).map_err(|error| fail(&path, error))?;
    let config: Map<String, Value> = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
    let (shape, theta, tied) = read_config(&config).map_err(|reason| fail(&path, reason))?;
    let path = directory.join(WEIGHTS);
    let data = fs_err::read(&path).map_err(|error| fail(&path, error))?;
    let tensors = SafeTensors::deserialize(&data)
        .map_err(|error| fail(&path, format!("not a whole safetensors file: {error}")))?;
    let matrices = read_matrices(&tensors, &shape, tied).map_err(|reason| fail(&path, reason))?;
    Weights::new(shape, matrices, &rotations(&shape, theta))
}

fn fail(path: &Path, reason: impl ToString) -> CpuError {
    CpuError::Checkpoint { path: PathBuf::from(path), reason: reason.to_string() }
}

/// Fields with the only value that the kernels compute; they may be absent.
const FIXED: [(&str, &str); 6] = [
    ("attention_bias", "false"),
    ("hidden_act", "\"silu\""),
    ("mlp_bias", "false"),
    ("model_type", "\"llama\""),
    ("pretraining_tp", "1"),
    ("rope_scaling", "null"),
];

/// Reads the shape, the base of the rotary frequencies, and whether the output matrix is the embedding table.
fn read_config(config: &Map<String, Value>) -> Result<(Shape, f64, bool), String> {
    for (name, supported) in FIXED {
        if let Some(found) = config.get(name).filter(|found| format!("{found}") != supported) {
            return Err(format!("`{name}` is {found}; the CPU kernels compute {supported}"));
        }
    }
    let optional = |name: &str| match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
            Some(value) => Ok(Some(value as usize)),
            None => Err(format!("`{name}` is {value}; it must be a whole number")),
        },
    };
    let whole = |name: &str| optional(name)?.ok_or_else(|| format!("no whole number under `{name}`"));
    let rope = match config.get("rope_parameters") {
        None | Some(Value::Null) => None,
        Some(Value::Object(rope)) => {
            let kind = rope.get("rope_type").map_or("default", |kind| kind.as_str().unwrap_or("?"));
            if kind != "default" {
                return Err(format!(
                    "rotary positions are scaled (`{kind}`); the CPU kernels compute unscaled ones"
                ));
            }
            rope.get("rope_theta")
        }
        Some(_) => return Err("`rope_parameters` must be an object".to_owned()),
    };
    let theta = rope.or_else(|| config.get("rope_theta")).map_or(Some(10_000.0), Value::as_f64);
    let theta = theta.filter(|theta| *theta > 1.0).ok_or("`rope_theta` must be a number above 1")?;
    let norm_eps =
        config.get("rms_norm_eps").and_then(Value::as_f64).ok_or("no number under `rms_norm_eps`")?;
    let (width, heads) = (whole("hidden_size")?, whole("num_attention_heads")?);
    let head_dim = match optional("head_dim")? {
        Some(head_dim) => head_dim,
        None => width.checked_div(heads).ok_or("`num_attention_heads` is 0")?,
    };
    let shape = Shape {
        vocab: whole("vocab_size")?,
        width,
        layers: whole("num_hidden_layers")?,
        heads,
        kv_heads: optional("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        ffn: whole("intermediate_size")?,
        max_positions: whole("max_position_embeddings")?,
        norm_eps: norm_eps as f32,
    };
    let tied = config.get("tie_word_embeddings").is_some_and(|tied| tied == &Value::Bool(true));
    Ok((shape, theta, tied))
}

fn read_matrices(tensors: &SafeTensors<'_>, shape: &Shape, tied: bool) -> Result<Matrices, String> {
    let Shape { vocab, width, heads, kv_heads, head_dim, ffn, .. } = *shape;
    let (q_rows, kv_rows) = (heads * head_dim, kv_heads * head_dim);
    let blocks = (0..shape.layers).map(|layer| {
        let take = |name: &str, expected: &[usize]| {
            read(tensors, &format!("model.layers.{layer}.{name}.weight"), expected)
        };
        let gain = take("input_layernorm", &[width])?;
        let mut qkv = pairs(&take("self_attn.q_proj", &[q_rows, width])?, head_dim, width);
        qkv.extend(pairs(&take("self_attn.k_proj", &[kv_rows, width])?, head_dim, width));
        qkv.extend(take("self_attn.v_proj", &[kv_rows, width])?);
        let ffn_gain = take("post_attention_layernorm", &[width])?;
        let mut gate_up = take("mlp.gate_proj", &[ffn, width])?;
        gate_up.extend(take("mlp.up_proj", &[ffn, width])?);
        Ok(BlockMatrices {
            qkv: scaled(qkv, &gain),
            out: take("self_attn.o_proj", &[width, q_rows])?,
            gate_up: scaled(gate_up, &ffn_gain),
            down: take("mlp.down_proj", &[width, ffn])?,
        })
    });
    let blocks = blocks.collect::<Result<_, String>>()?;
    let table = read(tensors, "model.embed_tokens.weight", &[vocab, width])?;
    let head = if tied { table.clone() } else { read(tensors, "lm_head.weight", &[vocab, width])? };
    let head = scaled(head, &read(tensors, "model.norm.weight", &[width])?);
    Ok(Matrices { table, blocks, head })
}

/// Reads a tensor as f32.
fn read(tensors: &SafeTensors<'_>, name: &str, expected: &[usize]) -> Result<Vec<f32>, String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("no tensor `{name}`"))?;
    if tensor.shape() != expected {
        return Err(format!("`{name}` has shape {:?}, {CONFIG} needs {expected:?}", tensor.shape()));
    }
    let data = tensor.data();
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        other => return Err(format!("`{name}` is {other}; expected F32, BF16 or F16")),
    };
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(format!("`{name}` contains NaN or infinite values; use an earlier checkpoint")),
    }
}

/// Reorders rows of heads: rotary pairs, half a head apart in files, become neighbours.
fn pairs(rows: &[f32], head_dim: usize, width: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(head_dim * width) {
        let (low, high) = head.split_at(head_dim / 2 * width);
        for (low, high) in low.chunks_exact(width).zip(high.chunks_exact(width)) {
            ordered.extend_from_slice(low);
            ordered.extend_from_slice(high);
        }
    }
    ordered
}

/// Multiplies the columns of a matrix by the gain of the norm before it.
fn scaled(mut matrix: Vec<f32>, gain: &[f32]) -> Vec<f32> {
    for row in matrix.chunks_exact_mut(gain.len()) {
        row.iter_mut().zip(gain).for_each(|(value, gain)| *value *= gain);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(changes: &[(&str, Value)]) -> Map<String, Value> {
        let text = r#"{ "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 16, "vocab_size": 5, "rms_norm_eps": 1e-5 }"#;
        let mut config: Map<String, Value> = serde_json::from_str(text).unwrap();
        config.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        config
    }

    #[test]
    fn a_configuration_is_read_or_refused_by_field() {
        let (shape, theta, tied) = read_config(&config(&[])).unwrap();
        assert_eq!((shape.head_dim, shape.kv_heads, theta, tied), (4, 2, 10_000.0, false));
        let rope = serde_json::json!({ "rope_type": "default", "rope_theta": 500.0 });
        let (shape, theta, tied) = read_config(&config(&[
            ("rope_parameters", rope),
            ("rope_theta", 7.into()),
            ("num_key_value_heads", 1.into()),
            ("head_dim", 6.into()),
            ("tie_word_embeddings", true.into()),
        ]))
        .unwrap();
        assert_eq!((shape.head_dim, shape.kv_heads, theta, tied), (6, 1, 500.0, true));
        let llama3 = serde_json::json!({ "rope_type": "llama3", "rope_theta": 500.0 });
        for (name, value, said) in [
            ("model_type", "qwen2".into(), "`model_type` is \"qwen2\"; the CPU kernels compute \"llama\""),
            ("attention_bias", true.into(), "`attention_bias` is true; the CPU kernels compute false"),
            ("hidden_size", Value::Null, "no whole number under `hidden_size`"),
            ("hidden_size", (-1).into(), "`hidden_size` is -1; it must be a whole number"),
            ("num_attention_heads", 0.into(), "`num_attention_heads` is 0"),
            ("rope_theta", "x".into(), "`rope_theta` must be a number above 1"),
            (
                "rope_parameters",
                llama3,
                "rotary positions are scaled (`llama3`); the CPU kernels compute unscaled ones",
            ),
        ] {
            assert_eq!(read_config(&config(&[(name, value)])).unwrap_err(), said);
        }
    }

    #[test]
    fn a_missing_or_damaged_directory_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = || load(folder.path()).unwrap_err().to_string();
        assert!(said().contains(CONFIG), "{}", said());
        fs_err::write(folder.path().join(CONFIG), Value::Object(config(&[])).to_string()).unwrap();
        assert!(said().contains(WEIGHTS), "{}", said());
        fs_err::write(folder.path().join(WEIGHTS), [0; 9]).unwrap();
        assert!(said().contains("not a whole safetensors file"), "{}", said());
    }

    #[test]
    fn rotary_pairs_become_neighbours() {
        let rows: Vec<f32> = (0..8).map(|row| row as f32).collect();
        assert_eq!(pairs(&rows, 4, 1), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(scaled(vec![1.0, 2.0, 3.0, 4.0], &[1.0, 10.0]), [1.0, 20.0, 3.0, 40.0]);
    }
}
