//! Pretrained models of a test: random, small, in the format of transformers.

use std::path::{Path, PathBuf};

use rand::RngExt;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use stepladder_core::seed::stream;

pub(crate) const WIDTH: usize = 16;
pub(crate) const HEADS: usize = 2;
pub(crate) const FFN: usize = 24;
pub(crate) const LAYERS: usize = 2;
/// Rows of the embedding table: more than the tokenizer has tokens.
pub(crate) const ROWS: usize = 448;

/// Writes random tensors of these names and shapes; vectors are gains of 1.
pub(crate) fn tensors(path: &Path, shapes: &[(String, Vec<usize>)], dtype: Dtype, seed: u64) {
    let mut rng = stream(seed, "test/tiny llama", &[]);
    let values: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| {
            let mut draw = || if shape.len() == 1 { 1.0f32 } else { rng.random_range(-0.5f32..0.5) };
            let draws = (0..shape.iter().product()).map(|_| draw());
            match dtype {
                Dtype::F32 => draws.flat_map(f32::to_le_bytes).collect(),
                // The upper half of an f32.
                _ => draws.flat_map(|value| [value.to_le_bytes()[2], value.to_le_bytes()[3]]).collect(),
            }
        })
        .collect();
    let views = shapes
        .iter()
        .zip(&values)
        .map(|((name, shape), values)| (name, TensorView::new(dtype, shape.clone(), values).unwrap()));
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Writes a random Llama with a context window of `window` tokens and the tokenizer `gpt2` of the tests of `stepladder-data`.
pub(crate) fn write(folder: &Path, name: &str, window: usize, seed: u64) -> PathBuf {
    write_in(Dtype::F32, folder, name, window, seed)
}

/// Does the same with tensors of this dtype.
pub(crate) fn write_in(dtype: Dtype, folder: &Path, name: &str, window: usize, seed: u64) -> PathBuf {
    let place = folder.join(name);
    fs_err::create_dir_all(&place).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH,
        "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": 1, "max_position_embeddings": window, "rms_norm_eps": 1e-5, "rope_theta": 1000.0,
        "tie_word_embeddings": true, "vocab_size": ROWS,
    });
    fs_err::write(place.join("config.json"), config.to_string()).unwrap();
    let head = WIDTH / HEADS;
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![ROWS, WIDTH]),
        ("model.norm.weight".to_owned(), vec![WIDTH]),
    ];
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
        shapes.extend(of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
    }
    tensors(&place.join("model.safetensors"), &shapes, dtype, seed);
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-data/tests/pretrained/gpt2");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(tokenizer.join(file), place.join(file)).unwrap();
    }
    place
}
