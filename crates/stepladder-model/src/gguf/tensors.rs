//! Tensors of a GGUF file as `model.safetensors` in f32, written row by row.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::config::Model;
use super::read::{Gguf, Tensor};

/// What is undone of llama.cpp's conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undo {
    Nothing,
    /// Rows of this number of heads in which the two halves of a rotation were interleaved.
    Interleaving(usize),
    /// An added 1.
    PlusOne,
}

/// Tensor to be written.
pub(super) struct Planned<'a> {
    /// Name in transformers.
    name: String,
    tensor: &'a Tensor<'a>,
    undo: Undo,
}

/// Finds every tensor of a model, under its name in transformers.
///
/// # Errors
/// One sentence that names a missing tensor, one of another shape, or one that the model does not have.
pub(super) fn plan<'a>(file: &'a Gguf<'a>, model: &Model) -> Result<Vec<Planned<'a>>, String> {
    let Model { family, heads, kv_heads, width, head, ffn, vocab, .. } = *model;
    let mut found = Vec::new();
    let mut used = BTreeSet::from(["rope_freqs.weight".to_owned()]);
    let mut add = |source: &str, name: String, shape: &[usize], undo: Undo| {
        let tensor = file.tensors.get(source).ok_or_else(|| format!("the tensor `{source}` is missing"))?;
        if tensor.shape != shape {
            return Err(format!(
                "the tensor `{source}` is {:?}, but the metadata ask for {shape:?}",
                tensor.shape
            ));
        }
        used.insert(source.to_owned());
        found.push(Planned { name, tensor, undo });
        Ok(())
    };
    let gain = if family.gains_plus_one { Undo::PlusOne } else { Undo::Nothing };
    let rows = |heads: usize| if family.interleaved { Undo::Interleaving(heads) } else { Undo::Nothing };
    add("token_embd.weight", "model.embed_tokens.weight".to_owned(), &[vocab, width], Undo::Nothing)?;
    add("output_norm.weight", "model.norm.weight".to_owned(), &[width], gain)?;
    if file.tensors.contains_key("output.weight") {
        add("output.weight", "lm_head.weight".to_owned(), &[vocab, width], Undo::Nothing)?;
    }
    for layer in 0..model.layers {
        let mut add = |source: &str, name: &str, shape: &[usize], undo: Undo| {
            add(&format!("blk.{layer}.{source}"), format!("model.layers.{layer}.{name}"), shape, undo)
        };
        add("attn_norm.weight", "input_layernorm.weight", &[width], gain)?;
        add("ffn_norm.weight", "post_attention_layernorm.weight", &[width], gain)?;
        add("attn_q.weight", "self_attn.q_proj.weight", &[heads * head, width], rows(heads))?;
        add("attn_k.weight", "self_attn.k_proj.weight", &[kv_heads * head, width], rows(kv_heads))?;
        add("attn_v.weight", "self_attn.v_proj.weight", &[kv_heads * head, width], Undo::Nothing)?;
        add("attn_output.weight", "self_attn.o_proj.weight", &[width, heads * head], Undo::Nothing)?;
        if family.biases {
            add("attn_q.bias", "self_attn.q_proj.bias", &[heads * head], Undo::Nothing)?;
            add("attn_k.bias", "self_attn.k_proj.bias", &[kv_heads * head], Undo::Nothing)?;
            add("attn_v.bias", "self_attn.v_proj.bias", &[kv_heads * head], Undo::Nothing)?;
        }
        if family.head_norms {
            add("attn_q_norm.weight", "self_attn.q_norm.weight", &[head], Undo::Nothing)?;
            add("attn_k_norm.weight", "self_attn.k_norm.weight", &[head], Undo::Nothing)?;
        }
        add("ffn_gate.weight", "mlp.gate_proj.weight", &[ffn, width], Undo::Nothing)?;
        add("ffn_up.weight", "mlp.up_proj.weight", &[ffn, width], Undo::Nothing)?;
        add("ffn_down.weight", "mlp.down_proj.weight", &[width, ffn], Undo::Nothing)?;
    }
    if let Some(other) = file.tensors.keys().find(|name| !used.contains(**name)) {
        return Err(format!("the tensor `{other}` is not supported: a {} has no such tensor", family.name));
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

/// Writes the tensors. Needs memory for one row.
///
/// # Errors
/// [`std::io::Error`] of the file.
pub(super) fn write(path: &Path, tensors: &[Planned<'_>]) -> std::io::Result<()> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut offset = 0;
    for Planned { name, tensor, .. } in tensors {
        let end = offset + tensor.shape.iter().product::<usize>() * size_of::<f32>();
        header.insert(
            name.clone(),
            json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end] }),
        );
        offset = end;
    }
    let mut header = Json::Object(header).to_string().into_bytes();
    // The data begin at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, fs_err::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    for planned in tensors {
        for row in 0..planned.rows() {
            planned.row(row, &mut values);
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            file.write_all(&bytes)?;
        }
    }
    file.flush()?;
    file.get_ref().sync_all()
}

impl Planned<'_> {
    fn rows(&self) -> usize {
        let shape = &self.tensor.shape;
        shape[..shape.len().saturating_sub(1)].iter().product()
    }

    /// Computes a row of the tensor in transformers.
    fn row(&self, row: usize, values: &mut Vec<f32>) {
        let tensor = self.tensor;
        let source = match self.undo {
            Undo::Interleaving(heads) => interleaved(row, self.rows() / heads),
            Undo::Nothing | Undo::PlusOne => row,
        };
        let length = tensor.columns() / tensor.kind.values() * tensor.kind.bytes();
        values.clear();
        tensor.kind.dequantise(&tensor.data[source * length..(source + 1) * length], values);
        if self.undo == Undo::PlusOne {
            values.iter_mut().for_each(|value| *value -= 1.0);
        }
    }
}

/// Returns the row of a GGUF file for a row in transformers, within heads of `head` rows: transformers rotates row `i` with row
/// `i + head / 2`, llama.cpp row `2 i` with row `2 i + 1`.
fn interleaved(row: usize, head: usize) -> usize {
    let (start, within) = (row / head * head, row % head);
    let half = head / 2;
    start + within % half * 2 + within / half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_head_are_no_longer_interleaved() {
        // Two heads of six rows. llama.cpp: `reshape(heads, 2, head / 2).swapaxes(1, 2)` of the rows in transformers.
        let gguf = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
        let rows: Vec<usize> = (0..12).map(|row| gguf[interleaved(row, 6)]).collect();
        assert_eq!(rows, (0..12).collect::<Vec<_>>());
    }
}
