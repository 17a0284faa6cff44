//! Conversion to and from the names and row order of transformers, which are the same in all families.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::tensor::Dtype;
use tch::{Device, Kind, Tensor};

use super::config::CONFIG;
use super::files::TensorFiles;
use super::tensors::{check_finite, decoded};
use crate::architecture::Architecture;
use crate::config::ModelConfig;
use crate::factors::Factors;
use crate::params::{Entry, Layout, Params};
use crate::weights::Weights;

const TABLE: &str = "model.embed_tokens.weight";
const NORM: &str = "model.norm.weight";
const HEAD: &str = "lm_head.weight";

/// Parts of factored embeddings.
#[derive(Debug)]
pub struct Embeddings<'a> {
    /// Embedding factors of each word.
    pub factors: &'a Factors,
    /// Own vectors, `[words, width]`.
    pub own: &'a Tensor,
    /// Vectors of the factors, `[factors, width]`.
    pub shared: &'a Tensor,
}

/// Reorders the rows of a query or key matrix or bias, or the gains of a head. Here, rotary pairs are neighbours
/// (2i, 2i+1); in transformers they are half a head apart (i, i + hd/2). `to_theirs` selects the direction.
pub(super) fn reorder(rows: &Tensor, head: i64, to_theirs: bool) -> Tensor {
    let sizes = rows.size();
    let split = if to_theirs { [-1, head / 2, 2] } else { [-1, 2, head / 2] };
    let split: Vec<i64> = split.into_iter().chain(sizes.get(1).copied()).collect();
    rows.view(split.as_slice()).transpose(1, 2).reshape(sizes.as_slice())
}

/// Exports the tensors under the names of transformers. `import` restores the same bits, except that factored embeddings
/// are exported as their sum.
///
/// # Panics
/// Never: [`Weights`] always hold all parameters of their model.
pub fn export(weights: &Weights) -> Vec<(String, Tensor)> {
    let factors = weights.factors();
    let config = weights.config();
    let shape = &config.shape;
    let head = config.head_dim();
    let Architecture { qkv_bias, out_bias, mlp_bias, qk_norm, .. } = config.architecture;
    let get = |name: &str| weights.get(name).expect("weights have every parameter of their model");
    tch::no_grad(|| {
        // No operation in place: these are views of the live parameters.
        let table = if factors.is_empty() {
            get("embed.own")
        } else {
            let part = |name: &str| get(name).to_kind(Kind::Float);
            factors.sum(&part("embed.own"), &part("embed.factors"))
        };
        let mut tensors = vec![(TABLE.to_owned(), table)];
        for layer in 0..shape.layers {
            let part = |name: &str| get(&format!("layers.{layer}.{name}"));
            let mut push = |name: &str, tensor: Tensor| tensors.push((of_layer(layer, name), tensor));
            let (q_rows, kv_rows) = (shape.heads * head, shape.kv_heads * head);
            let mut push_qkv = |suffix: &str, qkv: Tensor| {
                for (name, from, rows, rotated) in qkv_parts(q_rows, kv_rows) {
                    let rows = qkv.narrow(0, from, rows);
                    push(
                        &format!("{name}.{suffix}"),
                        if rotated { reorder(&rows, head, true) } else { rows },
                    );
                }
            };
            push_qkv("weight", part("qkv"));
            if qkv_bias {
                push_qkv("bias", part("qkv_bias"));
            }
            if qk_norm {
                push("self_attn.q_norm.weight", reorder(&part("norm_q"), head, true));
                push("self_attn.k_norm.weight", reorder(&part("norm_k"), head, true));
            }
            push("self_attn.o_proj.weight", part("out"));
            if out_bias {
                push("self_attn.o_proj.bias", part("out_bias"));
            }
            let mut push_gate_up = |suffix: &str, gate_up: Tensor| {
                push(&format!("mlp.gate_proj.{suffix}"), gate_up.narrow(0, 0, shape.ffn));
                push(&format!("mlp.up_proj.{suffix}"), gate_up.narrow(0, shape.ffn, shape.ffn));
            };
            push_gate_up("weight", part("gate_up"));
            if mlp_bias {
                push_gate_up("bias", part("gate_up_bias"));
            }
            push("mlp.down_proj.weight", part("down"));
            if mlp_bias {
                push("mlp.down_proj.bias", part("down_bias"));
            }
            push("input_layernorm.weight", part("norm_attention"));
            push("post_attention_layernorm.weight", part("norm_ffn"));
        }
        tensors.push((NORM.to_owned(), get("norm")));
        if !shape.tied {
            tensors.push((HEAD.to_owned(), get("head")));
        }
        tensors
    })
}

fn of_layer(layer: i64, name: &str) -> String {
    format!("model.layers.{layer}.{name}")
}

/// Parts of the fused query, key and value rows: name, first row, number of rows, and whether they are rotated.
fn qkv_parts(q_rows: i64, kv_rows: i64) -> [(&'static str, i64, i64, bool); 3] {
    [
        ("self_attn.q_proj", 0, q_rows, true),
        ("self_attn.k_proj", q_rows, kv_rows, true),
        ("self_attn.v_proj", q_rows + kv_rows, kv_rows, false),
    ]
}

/// Tensor of a checkpoint that is some of the rows of a parameter.
struct Part {
    name: String,
    rows: i64,
    /// Whether pairs of rows are rotated ([`reorder`]).
    rotated: bool,
}

/// Tensors of a checkpoint that are not yet assigned to a parameter.
struct Source {
    files: TensorFiles,
    device: Device,
    /// Width of a head.
    head: i64,
    /// Rows of parameters with several parts. Reused: parts in tensors of their own would leave gaps in the heap.
    rows: Vec<u8>,
}

impl Source {
    fn take(&mut self, name: &str, expected: &[i64]) -> Result<Tensor, String> {
        let tensor = self.files.take(name)?.ok_or_else(|| format!("no tensor `{name}`"))?;
        check_shape(name, &tensor.size(), expected)?;
        check_finite(name, &tensor)?;
        Ok(tensor.to_device(self.device))
    }

    /// Takes tensors with these columns, none for vectors, as the rows of one.
    fn join(&mut self, parts: &[Part], columns: &[i64]) -> Result<Tensor, String> {
        let Self { files, rows: joined, head, .. } = self;
        joined.clear();
        let mut first: Option<Dtype> = None;
        for Part { name, rows, rotated } in parts {
            let expected = [&[*rows], columns].concat();
            let found = files.with(name, |dtype, shape, data| {
                check_shape(name, &shape.iter().map(|&size| size as i64).collect::<Vec<_>>(), &expected)?;
                if let Some(first) = first.filter(|first| *first != dtype) {
                    let other = &parts[0].name;
                    return Err(format!(
                        "`{name}` is {dtype}, but `{other}` is {first}; both must have one dtype"
                    ));
                }
                match *rotated {
                    true => {
                        let (head, row) = (*head as usize, data.len() / *rows as usize);
                        for data in data.chunks_exact(head * row) {
                            let (low, high) = data.split_at(head / 2 * row);
                            for pair in low.chunks_exact(row).zip(high.chunks_exact(row)) {
                                joined.extend_from_slice(pair.0);
                                joined.extend_from_slice(pair.1);
                            }
                        }
                    }
                    false => joined.extend_from_slice(data),
                }
                Ok(dtype)
            });
            first = Some(found?.ok_or_else(|| format!("no tensor `{name}`"))?);
        }
        let (Some(Part { name, .. }), Some(dtype)) = (parts.first(), first) else {
            return Err("a parameter without parts".to_owned());
        };
        let shape = [&[parts.iter().map(|part| part.rows).sum()], columns].concat();
        let shape: Vec<usize> = shape.into_iter().map(|size| size as usize).collect();
        let tensor = decoded(name, dtype, &shape, joined)?;
        let mut from = 0;
        for Part { name, rows, .. } in parts {
            check_finite(name, &tensor.narrow(0, from, *rows))?;
            from += rows;
        }
        Ok(tensor.to_device(self.device))
    }
}

fn check_shape(name: &str, found: &[i64], expected: &[i64]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("`{name}` has shape {found:?}, the configuration needs {expected:?}"))
}

/// Converts the tensors of a file to weights; with `embeddings`, factored ones. Parameters in `frozen` keep their dtype.
pub(super) fn import(
    config: &ModelConfig,
    files: TensorFiles,
    embeddings: Option<&Embeddings<'_>>,
    frozen: &BTreeSet<String>,
    device: Device,
) -> Result<Weights, String> {
    let shape = &config.shape;
    let (d, head) = (shape.width, config.head_dim());
    let Architecture { qkv_bias, out_bias, mlp_bias, qk_norm, .. } = config.architecture;
    let mut source = Source { files, device, head, rows: Vec::new() };
    // All tensors are checked before memory for the whole is allocated: a configuration may claim any size.
    let table = source.take(TABLE, &[config.vocab, d])?;
    let mut found = Vec::new();
    match embeddings {
        None => found.push(("embed.own".to_owned(), table.shallow_clone())),
        Some(parts) => {
            let sum = parts.factors.sum(&parts.own.to_kind(Kind::Float), &parts.shared.to_kind(Kind::Float));
            if !sum.equal(&table.to_device(Device::Cpu)) {
                return Err(format!("`{TABLE}` is not the sum of the embeddings in the trainer's state"));
            }
            found.push(("embed.own".to_owned(), parts.own.to_device(device)));
            found.push(("embed.factors".to_owned(), parts.shared.to_device(device)));
        }
    }
    for layer in 0..shape.layers {
        let (q_rows, kv_rows) = (shape.heads * head, shape.kv_heads * head);
        let mut push = |name: &str, tensor: Tensor| found.push((format!("layers.{layer}.{name}"), tensor));
        let part = |name: &str, rows: i64, rotated: bool| Part { name: of_layer(layer, name), rows, rotated };
        // Matrices have `width` columns, biases none.
        let qkv = |suffix: &str| {
            qkv_parts(q_rows, kv_rows)
                .map(|(name, _, rows, rotated)| part(&format!("{name}.{suffix}"), rows, rotated))
        };
        push("qkv", source.join(&qkv("weight"), &[d])?);
        if qkv_bias {
            push("qkv_bias", source.join(&qkv("bias"), &[])?);
        }
        if qk_norm {
            push("norm_q", source.join(&[part("self_attn.q_norm.weight", head, true)], &[])?);
            push("norm_k", source.join(&[part("self_attn.k_norm.weight", head, true)], &[])?);
        }
        let gate_up = |suffix: &str| {
            ["gate_proj", "up_proj"].map(|name| part(&format!("mlp.{name}.{suffix}"), shape.ffn, false))
        };
        push("gate_up", source.join(&gate_up("weight"), &[d])?);
        if mlp_bias {
            push("gate_up_bias", source.join(&gate_up("bias"), &[])?);
        }
        let mut theirs = |name: &str, shape: &[i64]| source.take(&of_layer(layer, name), shape);
        if mlp_bias {
            push("down_bias", theirs("mlp.down_proj.bias", &[d])?);
        }
        if out_bias {
            push("out_bias", theirs("self_attn.o_proj.bias", &[d])?);
        }
        push("out", theirs("self_attn.o_proj.weight", &[d, q_rows])?);
        push("down", theirs("mlp.down_proj.weight", &[d, shape.ffn])?);
        push("norm_attention", theirs("input_layernorm.weight", &[d])?);
        push("norm_ffn", theirs("post_attention_layernorm.weight", &[d])?);
    }
    found.push(("norm".to_owned(), source.take(NORM, &[d])?));
    if !shape.tied {
        found.push(("head".to_owned(), source.take(HEAD, &[config.vocab, d])?));
    } else if source.files.contains(HEAD) && !source.take(HEAD, &[config.vocab, d])?.equal(&table) {
        return Err(format!("`{HEAD}` differs from `{TABLE}`, but {CONFIG} sets tie_word_embeddings"));
    }
    let mut found: BTreeMap<String, Tensor> = found.into_iter().collect();
    if let Some(name) = frozen.iter().find(|name| !found.contains_key(*name)) {
        return Err(format!("the model has no parameter `{name}` that could be frozen"));
    }
    let trained = config.parameters().into_iter().filter(|parameter| !frozen.contains(&parameter.name));
    let trained = Params::zeros(Layout::of(config, trained), device);
    tch::no_grad(|| {
        trained.layout.entries.iter().try_for_each(|Entry { name, .. }| {
            let slot = trained.get(name).zip(found.remove(name));
            let (mut slot, tensor) = slot.ok_or_else(|| format!("no parameter `{name}`"))?;
            // Trained parameters are f32, whatever the dtype of the file.
            slot.f_copy_(&tensor).map(drop).map_err(|error| error.to_string())
        })
    })?;
    let weights = Weights::new(trained, found);
    let weights = match embeddings {
        None => weights,
        Some(parts) => weights.and_then(|weights| weights.with_factors(parts.factors.clone())),
    };
    weights.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tensors::values;
    use super::*;
    use crate::config::tiny;

    #[test]
    fn exporting_sums_the_factors_and_leaves_the_parameters_alone() {
        let words = ["mug_1", "mug_2", "look"].map(str::to_owned);
        let parts = |word: &str| word.split('_').map(str::to_owned).filter(|_| word.contains('_')).collect();
        let factors = Factors::collect(&words, parts);
        let config = ModelConfig::new(tiny(), words.len(), factors.len()).unwrap();
        let weights = Weights::init(&config, 1, Device::Cpu).with_factors(factors).unwrap();
        let before = weights.trained.buffer.copy();
        let row = |tensor: &Tensor, index: i64| values(&tensor.get(index));
        for _ in 0..2 {
            let tensors: std::collections::HashMap<String, Tensor> = export(&weights).into_iter().collect();
            let table = &tensors["model.embed_tokens.weight"];
            let (own, shared) = (weights.get("embed.own").unwrap(), weights.get("embed.factors").unwrap());
            assert_eq!(row(table, 2), row(&own, 2));
            let mug_1 = own.get(0) + shared.get(0) + shared.get(2);
            for (found, expected) in row(table, 0).into_iter().zip(values(&mug_1)) {
                assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
            }
            assert!(weights.trained.buffer.equal(&before));
        }
    }
}
