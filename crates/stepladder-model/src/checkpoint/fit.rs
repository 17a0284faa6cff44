//! Whether tensor files fit a configuration, from their headers alone: a wrong tensor of a large model is named before any is read.

use std::collections::BTreeSet;

use super::config::CONFIG;
use super::files::{TensorFiles, fail};
use super::tensors::check_dtype;
use crate::ModelError;
use crate::architecture::Architecture;
use crate::config::ModelConfig;

/// Name in transformers and shape of a tensor.
type Expected = (String, Vec<i64>);

/// Returns all tensors of a model but those of its layers.
fn outside_layers(config: &ModelConfig) -> Vec<Expected> {
    let (vocab, width) = (config.vocab, config.shape.width);
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocab, width]),
        ("model.norm.weight".to_owned(), vec![width]),
    ];
    if !config.shape.tied {
        tensors.push(("lm_head.weight".to_owned(), vec![vocab, width]));
    }
    tensors
}

/// Returns all tensors of a layer.
fn of_layer(config: &ModelConfig, layer: i64) -> Vec<Expected> {
    let (shape, head) = (&config.shape, config.head_dim());
    let Architecture { qkv_bias, out_bias, mlp_bias, qk_norm, .. } = config.architecture;
    let (width, ffn) = (shape.width, shape.ffn);
    let (queries, keys) = (shape.heads * head, shape.kv_heads * head);
    let mut tensors = Vec::new();
    for (name, rows, columns, biased) in [
        ("self_attn.q_proj", queries, width, qkv_bias),
        ("self_attn.k_proj", keys, width, qkv_bias),
        ("self_attn.v_proj", keys, width, qkv_bias),
        ("self_attn.o_proj", width, queries, out_bias),
        ("mlp.gate_proj", ffn, width, mlp_bias),
        ("mlp.up_proj", ffn, width, mlp_bias),
        ("mlp.down_proj", width, ffn, mlp_bias),
    ] {
        tensors.push((format!("model.layers.{layer}.{name}.weight"), vec![rows, columns]));
        if biased {
            tensors.push((format!("model.layers.{layer}.{name}.bias"), vec![rows]));
        }
    }
    let mut gains = vec![("input_layernorm", width), ("post_attention_layernorm", width)];
    if qk_norm {
        gains.extend([("self_attn.q_norm", head), ("self_attn.k_norm", head)]);
    }
    tensors.extend(
        gains.into_iter().map(|(name, size)| (format!("model.layers.{layer}.{name}.weight"), vec![size])),
    );
    tensors
}

/// Checks that files hold exactly the tensors of a model, each with the shape of the configuration and a supported dtype.
///
/// # Errors
/// [`ModelError::Checkpoint`] that names the tensor.
pub(super) fn check(config: &ModelConfig, files: &TensorFiles) -> Result<(), ModelError> {
    let mut seen = BTreeSet::new();
    // A configuration may claim any number of layers: the first that is missing ends this.
    let layers = (0..config.shape.layers).flat_map(|layer| of_layer(config, layer));
    for (name, expected) in outside_layers(config).into_iter().chain(layers) {
        check_tensor(files, &name, &expected).map_err(|reason| fail(files.path_of(&name), reason))?;
        seen.insert(name);
    }
    // Early Llama checkpoints store the rotary frequencies, which the configuration determines. A head beside
    // tie_word_embeddings may be a copy of the table.
    let known = |name: &&str| {
        seen.contains(*name) || name.ends_with(".rotary_emb.inv_freq") || *name == "lm_head.weight"
    };
    let mut surplus = files.left().filter(|name| !known(name));
    let Some(first) = surplus.next() else { return Ok(()) };
    let more = surplus.count();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let class = config.architecture.family.class();
    let reason = format!("a {class} of this {CONFIG} has no `{first}`{more}; it would be ignored: remove it");
    Err(fail(files.path_of(first), reason))
}

/// Checks one tensor.
///
/// # Errors
/// One sentence that names it.
fn check_tensor(files: &TensorFiles, name: &str, expected: &[i64]) -> Result<(), String> {
    let (dtype, shape) = files.info(name).ok_or_else(|| format!("no tensor `{name}`"))?;
    check_dtype(name, dtype)?;
    if !shape.iter().map(|size| *size as i64).eq(expected.iter().copied()) {
        return Err(format!("`{name}` has shape {shape:?}, the configuration needs {expected:?}"));
    }
    Ok(())
}
