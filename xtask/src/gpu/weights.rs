//! Files in the safetensors format: bf16 copies of f32 files, and small random models.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::{Map, Value, json};

/// Bytes that are converted together.
const CHUNK: usize = 1 << 20;

/// Rounds to the nearest bf16, ties to even; NaN stays NaN.
fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

/// Writes a copy of a file of f32 tensors, in bf16.
///
/// # Errors
/// If the file is not a whole safetensors file of f32 tensors alone.
pub(super) fn to_bf16(source: &Path, target: &Path) -> Result<()> {
    let mut file = BufReader::new(fs::File::open(source)?);
    let mut size = [0; 8];
    file.read_exact(&mut size)?;
    let mut header = vec![0; usize::try_from(u64::from_le_bytes(size))?];
    file.read_exact(&mut header)?;
    let mut header: Map<String, Value> = serde_json::from_slice(&header)?;
    for (name, tensor) in header.iter_mut().filter(|(name, _)| *name != "__metadata__") {
        if tensor["dtype"] != "F32" {
            bail!("{}: `{name}` has the dtype {}, not F32", source.display(), tensor["dtype"]);
        }
        tensor["dtype"] = json!("BF16");
        let offsets = tensor["data_offsets"].as_array_mut().context("a tensor without offsets")?;
        for offset in offsets {
            *offset = json!(offset.as_u64().context("an offset that is no number")? / 2);
        }
    }
    let mut out = BufWriter::new(fs::File::create(target)?);
    begin(&mut out, header)?;
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        let (values, rest) = chunk.as_chunks::<4>();
        if !rest.is_empty() {
            bail!("{} is incomplete", source.display());
        }
        let halves: Vec<u8> =
            values.iter().flat_map(|value| rounded(f32::from_le_bytes(*value)).to_le_bytes()).collect();
        out.write_all(&halves)?;
    }
    out.flush()?;
    Ok(())
}

/// Writes the length of the header and the header.
fn begin(out: &mut impl Write, header: Map<String, Value>) -> Result<()> {
    let header = Value::Object(header).to_string();
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    Ok(())
}

/// Tokens of the embedding table of [`tiny`], more than its tokenizer has.
const VOCAB: usize = 448;
const WIDTH: usize = 16;
const FFN: usize = 24;
const LAYERS: usize = 2;
const HEADS: usize = 2;

/// Writes configuration and weights of a Llama of a few thousand parameters, in bf16.
pub(super) fn tiny(directory: &Path) -> Result<()> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH,
        "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": 1, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 1000.0,
        "tie_word_embeddings": true, "vocab_size": VOCAB,
    });
    fs::write(directory.join("config.json"), config.to_string())?;
    let head = WIDTH / HEADS;
    let mut shapes = vec![("embed_tokens".to_owned(), vec![VOCAB, WIDTH]), ("norm".to_owned(), vec![WIDTH])];
    for layer in 0..LAYERS {
        let of_layer = [
            ("self_attn.q_proj", vec![WIDTH, WIDTH]),
            ("self_attn.k_proj", vec![head, WIDTH]),
            ("self_attn.v_proj", vec![head, WIDTH]),
            ("self_attn.o_proj", vec![WIDTH, WIDTH]),
            ("mlp.gate_proj", vec![FFN, WIDTH]),
            ("mlp.up_proj", vec![FFN, WIDTH]),
            ("mlp.down_proj", vec![WIDTH, FFN]),
            ("input_layernorm", vec![WIDTH]),
            ("post_attention_layernorm", vec![WIDTH]),
        ];
        shapes.extend(of_layer.map(|(name, shape)| (format!("layers.{layer}.{name}"), shape)));
    }
    let (mut header, mut values) = (Map::new(), Vec::<u8>::new());
    let mut state = 1u64;
    for (name, shape) in shapes {
        let first = values.len();
        for _ in 0..shape.iter().product() {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = if shape.len() == 1 { 1.0 } else { (state >> 40) as f32 / (1 << 24) as f32 - 0.5 };
            values.extend(rounded(value).to_le_bytes());
        }
        let offsets = [first, values.len()];
        header.insert(
            format!("model.{name}.weight"),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": offsets }),
        );
    }
    let mut out = BufWriter::new(fs::File::create(directory.join("model.safetensors"))?);
    begin(&mut out, header)?;
    out.write_all(&values)?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_nearest() {
        let of = |bits: u32| u32::from(rounded(f32::from_bits(bits)));
        assert_eq!(of(0x3F80_0000), 0x3F80);
        // Half way: to the even one.
        assert_eq!(of(0x3F80_8000), 0x3F80);
        assert_eq!(of(0x3F81_8000), 0x3F82);
        assert_eq!(of(0x3F80_8001), 0x3F81);
        assert_eq!(of(0x3F80_7FFF), 0x3F80);
        assert_eq!(of(0xBF80_8001), 0xBF81);
        // The largest f32 rounds to infinity.
        assert_eq!(of(f32::MAX.to_bits()), 0x7F80);
        assert!(f32::from_bits(of(0x7F80_0001) << 16).is_nan());
    }

    #[test]
    fn a_copy_in_bf16_has_half_the_bytes_and_another_dtype_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (source, target) = (directory.path().join("a"), directory.path().join("b"));
        let header = json!({
            "__metadata__": { "format": "pt" },
            "x": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
            "y": { "dtype": "F32", "shape": [2], "data_offsets": [4, 12] },
        });
        let mut file = Vec::new();
        begin(&mut file, header.as_object().unwrap().clone()).unwrap();
        file.extend([1.5f32, -2.0, 1.0].iter().flat_map(|value| value.to_le_bytes()));
        fs::write(&source, &file).unwrap();
        to_bf16(&source, &target).unwrap();
        let copy = fs::read(&target).unwrap();
        assert_eq!(copy[copy.len() - 6..], [0xC0, 0x3F, 0x00, 0xC0, 0x80, 0x3F]);
        let header: Value = serde_json::from_slice(&copy[8..copy.len() - 6]).unwrap();
        assert_eq!(header["y"], json!({ "dtype": "BF16", "shape": [2], "data_offsets": [2, 6] }));
        assert!(to_bf16(&target, &source).unwrap_err().to_string().contains("has the dtype \"BF16\""));
        fs::write(&source, &file[..file.len() - 1]).unwrap();
        assert!(to_bf16(&source, &target).unwrap_err().to_string().contains("incomplete"));
    }
}
