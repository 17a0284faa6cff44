//! Conversion to and from the names and row order of transformers' Llama.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tch::{Device, Kind, Tensor};

use super::config::CONFIG;
use super::tensors::check_finite;
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

/// Reorders the rows of a query or key matrix. Here, rotary pairs are neighbours (2i, 2i+1); in transformers they are half a
/// head apart (i, i + hd/2). `to_theirs` selects the direction.
fn reorder(rows: &Tensor, head: i64, to_theirs: bool) -> Tensor {
    let sizes = rows.size();
    let split = if to_theirs { [-1, head / 2, 2, sizes[1]] } else { [-1, 2, head / 2, sizes[1]] };
    rows.view(split).transpose(1, 2).reshape(sizes.as_slice())
}

/// Exports the tensors under the names of transformers. `import` restores the same bits, except that factored embeddings
/// are exported as their sum.
///
/// # Panics
/// Never: [`Weights`] always hold all parameters of their model.
pub fn export(weights: &Weights) -> Vec<(String, Tensor)> {
    let factors = weights.factors();
    let shape = &weights.config().shape;
    let head = shape.head_dim();
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
            let qkv = part("qkv");
            let (q_rows, kv_rows) = (shape.heads * head, shape.kv_heads * head);
            push("self_attn.q_proj", reorder(&qkv.narrow(0, 0, q_rows), head, true));
            push("self_attn.k_proj", reorder(&qkv.narrow(0, q_rows, kv_rows), head, true));
            push("self_attn.v_proj", qkv.narrow(0, q_rows + kv_rows, kv_rows));
            push("self_attn.o_proj", part("out"));
            let gate_up = part("gate_up");
            push("mlp.gate_proj", gate_up.narrow(0, 0, shape.ffn));
            push("mlp.up_proj", gate_up.narrow(0, shape.ffn, shape.ffn));
            push("mlp.down_proj", part("down"));
            push("input_layernorm", part("norm_attention"));
            push("post_attention_layernorm", part("norm_ffn"));
        }
        tensors.push((NORM.to_owned(), get("norm")));
        if !shape.tied {
            tensors.push((HEAD.to_owned(), get("head")));
        }
        tensors
    })
}

fn of_layer(layer: i64, name: &str) -> String {
    format!("model.layers.{layer}.{name}.weight")
}

/// Tensors of a file that are not yet assigned to a parameter.
struct Source {
    tensors: HashMap<String, Tensor>,
    device: Device,
}

impl Source {
    fn take(&mut self, name: &str, expected: &[i64]) -> Result<Tensor, String> {
        let tensor = self.tensors.remove(name).ok_or_else(|| format!("no tensor `{name}`"))?;
        if tensor.size() != expected {
            return Err(format!(
                "`{name}` has shape {:?}, the configuration needs {expected:?}",
                tensor.size()
            ));
        }
        check_finite(name, &tensor)?;
        Ok(tensor.to_device(self.device))
    }

    fn check_nothing_left(&self) -> Result<(), String> {
        let mut names: BTreeSet<&str> = self.tensors.keys().map(String::as_str).collect();
        let Some(first) = names.pop_first() else { return Ok(()) };
        let more = if names.is_empty() { String::new() } else { format!(" and {} more", names.len()) };
        Err(format!("a Llama of this {CONFIG} has no `{first}`{more}; it would be ignored: remove it"))
    }
}

/// Converts the tensors of a file to weights; with `embeddings`, factored ones. Parameters in `frozen` keep their dtype.
pub(super) fn import(
    config: &ModelConfig,
    tensors: HashMap<String, Tensor>,
    embeddings: Option<&Embeddings<'_>>,
    frozen: &BTreeSet<String>,
    device: Device,
) -> Result<Weights, String> {
    let shape = &config.shape;
    let (d, head) = (shape.width, shape.head_dim());
    let mut source = Source { tensors, device };
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
        let mut theirs = |name: &str, shape: &[i64]| source.take(&of_layer(layer, name), shape);
        let (q_rows, kv_rows) = (shape.heads * head, shape.kv_heads * head);
        let q = reorder(&theirs("self_attn.q_proj", &[q_rows, d])?, head, false);
        let k = reorder(&theirs("self_attn.k_proj", &[kv_rows, d])?, head, false);
        let v = theirs("self_attn.v_proj", &[kv_rows, d])?;
        let gate = theirs("mlp.gate_proj", &[shape.ffn, d])?;
        let up = theirs("mlp.up_proj", &[shape.ffn, d])?;
        for (name, tensor) in [
            ("qkv", Tensor::cat(&[q, k, v], 0)),
            ("out", theirs("self_attn.o_proj", &[d, q_rows])?),
            ("gate_up", Tensor::cat(&[gate, up], 0)),
            ("down", theirs("mlp.down_proj", &[d, shape.ffn])?),
            ("norm_attention", theirs("input_layernorm", &[d])?),
            ("norm_ffn", theirs("post_attention_layernorm", &[d])?),
        ] {
            found.push((format!("layers.{layer}.{name}"), tensor));
        }
    }
    found.push(("norm".to_owned(), source.take(NORM, &[d])?));
    if !shape.tied {
        found.push(("head".to_owned(), source.take(HEAD, &[config.vocab, d])?));
    } else if source.tensors.contains_key(HEAD) && !source.take(HEAD, &[config.vocab, d])?.equal(&table) {
        return Err(format!("`{HEAD}` differs from `{TABLE}`, but {CONFIG} sets tie_word_embeddings"));
    }
    source.check_nothing_left()?;
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
            if tensor.kind() != Kind::Float {
                return Err(format!("`{name}` is {:?}; trained parameters are stored as F32", tensor.kind()));
            }
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
            let tensors: HashMap<String, Tensor> = export(&weights).into_iter().collect();
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
