//! Random Qwen2 models of any size, and the memory of this process.
#![allow(dead_code, reason = "the test and the example each use their part")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::io::Write;
use std::path::Path;

use rand::RngExt;
use serde_json::{Map, Value, json};
use stepladder_core::seed::stream;
use stepladder_model::checkpoint::{CONFIG, WEIGHTS, load, read_config};
use stepladder_model::{Device, Weights};

/// Returns a size that the kernel reports of this process, in bytes.
pub(crate) fn status(key: &str) -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs a step. Returns its result, the memory that it keeps and the most that it needed, both beyond what was resident before.
pub(crate) fn measured<T>(step: impl FnOnce() -> T) -> (T, [f64; 2]) {
    let before = status("VmRSS");
    fs_err::write("/proc/self/clear_refs", "5").unwrap(); // The peak starts anew.
    let result = step();
    let megabytes = |bytes: u64| bytes.saturating_sub(before) as f64 / 1e6;
    (result, [megabytes(status("VmRSS")), megabytes(status("VmHWM"))])
}

/// Shape of a Qwen2 with a tied head.
pub(crate) struct Shape {
    pub(crate) width: u64,
    pub(crate) ffn: u64,
    pub(crate) layers: u64,
    pub(crate) heads: u64,
    pub(crate) kv_heads: u64,
    pub(crate) vocab: u64,
}

impl Shape {
    /// Qwen2.5-0.5B, as its published `config.json` has it.
    pub(crate) const QWEN: Self =
        Self { width: 896, ffn: 4864, layers: 24, heads: 14, kv_heads: 2, vocab: 151_936 };

    fn config(&self) -> Value {
        json!({
            "architectures": ["Qwen2ForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": 1,
            "eos_token_id": 1,
            "hidden_act": "silu",
            "hidden_size": self.width,
            "initializer_range": 0.02,
            "intermediate_size": self.ffn,
            "max_position_embeddings": 32768,
            "max_window_layers": 24,
            "model_type": "qwen2",
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "sliding_window": 32768,
            "tie_word_embeddings": true,
            "torch_dtype": "bfloat16",
            "use_cache": true,
            "use_mrope": false,
            "use_sliding_window": false,
            "vocab_size": self.vocab,
        })
    }

    fn tensors(&self) -> Vec<(String, Vec<u64>)> {
        let Self { width, ffn, layers, heads, kv_heads, vocab } = *self;
        let keys = width / heads * kv_heads;
        let mut all = vec![("embed_tokens.weight".to_owned(), vec![vocab, width])];
        for layer in 0..layers {
            let mut push =
                |name: &str, shape: &[u64]| all.push((format!("layers.{layer}.{name}"), shape.to_vec()));
            for (name, rows) in [("q", width), ("k", keys), ("v", keys)] {
                push(&format!("self_attn.{name}_proj.weight"), &[rows, width]);
                push(&format!("self_attn.{name}_proj.bias"), &[rows]);
            }
            push("self_attn.o_proj.weight", &[width, width]);
            push("mlp.gate_proj.weight", &[ffn, width]);
            push("mlp.up_proj.weight", &[ffn, width]);
            push("mlp.down_proj.weight", &[width, ffn]);
            push("input_layernorm.weight", &[width]);
            push("post_attention_layernorm.weight", &[width]);
        }
        all.push(("norm.weight".to_owned(), vec![width]));
        all
    }

    /// Writes a random model in bf16 without holding it; returns the bytes of its tensors.
    pub(crate) fn write(&self, directory: &Path) -> u64 {
        fs_err::write(directory.join(CONFIG), self.config().to_string()).unwrap();
        let (mut header, mut end) = (Map::new(), 0);
        for (name, shape) in self.tensors() {
            let start = end;
            end += 2 * shape.iter().product::<u64>();
            header.insert(
                format!("model.{name}"),
                json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
            );
        }
        let header = Value::Object(header).to_string();
        let mut file = std::io::BufWriter::new(fs_err::File::create(directory.join(WEIGHTS)).unwrap());
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        let mut rng = stream(17, "memory", &[]);
        for _ in 0..end / 2 {
            // Sign and fraction are random; the exponent is that of 1/64.
            let bits = 0x3C80 | (rng.random::<u16>() & 0x807F);
            file.write_all(&bits.to_le_bytes()).unwrap();
        }
        file.flush().unwrap();
        end
    }
}

/// Loads a model, all of it frozen.
pub(crate) fn loaded(directory: &Path) -> Weights {
    let names = read_config(directory).unwrap().parameters().into_iter().map(|each| each.name).collect();
    load(directory, &names, Device::Cpu).unwrap()
}
