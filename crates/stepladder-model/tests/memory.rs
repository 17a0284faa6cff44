//! Memory of a pretrained model: while it is loaded, and in an engine. Peaks are those of the whole process, so every test needs a
//! process of its own, as `cargo nextest` gives it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::path::Path;

use rand::RngExt;
use serde_json::{Map, Value, json};
use stepladder_core::seed::stream;
use stepladder_model::checkpoint::{CONFIG, WEIGHTS, load, read_config};
use stepladder_model::{Device, Kind, Weights, engine};
use stepladder_rollout::engine::Prompt;
use stepladder_testing::data_root;

/// Returns a size that the kernel reports of this process, in bytes.
fn status(key: &str) -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs a step. Returns its result, the memory that it keeps and the most that it needed, both beyond what was resident before.
fn measured<T>(step: impl FnOnce() -> T) -> (T, [f64; 2]) {
    let before = status("VmRSS");
    fs_err::write("/proc/self/clear_refs", "5").unwrap(); // The peak starts anew.
    let result = step();
    let megabytes = |bytes: u64| bytes.saturating_sub(before) as f64 / 1e6;
    (result, [megabytes(status("VmRSS")), megabytes(status("VmHWM"))])
}

/// Shape of a Qwen2 with a tied head.
struct Shape {
    width: u64,
    ffn: u64,
    layers: u64,
    heads: u64,
    kv_heads: u64,
    vocab: u64,
}

impl Shape {
    /// Qwen2.5-0.5B, as its published `config.json` has it.
    const QWEN: Self = Self { width: 896, ffn: 4864, layers: 24, heads: 14, kv_heads: 2, vocab: 151_936 };

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
    fn write(&self, directory: &Path) -> u64 {
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
fn loaded(directory: &Path) -> Weights {
    let names = read_config(directory).unwrap().parameters().into_iter().map(|each| each.name).collect();
    load(directory, &names, Device::Cpu).unwrap()
}

/// Prints the memory of a model on the way from its file to replies.
fn report(directory: &Path, workers: usize) {
    let file = fs_err::metadata(directory.join(WEIGHTS)).unwrap().len();
    let before = status("VmRSS");
    let mut highest = before;
    let mut print = |step: &str, [kept, peak]: [f64; 2]| {
        println!("{step}: {peak:.0} MB at most, {kept:.0} MB kept");
        highest = highest.max(status("VmHWM"));
    };
    let (weights, memory) = measured(|| loaded(directory));
    print("weights", memory);
    let (mut engine, memory) = measured(|| engine::open(&weights, Kind::Float, workers, 0).unwrap());
    print(&format!("engine of {workers} workers"), memory);
    let prompt = Prompt { ids: (1..=64).collect(), budget: 16, sampling: None, constraint: None };
    for count in [1, 64] {
        let prompts = vec![prompt.clone(); count];
        let (replies, memory) = measured(|| engine.complete(prompts, &[], 0).unwrap());
        assert!(replies.len() == count && replies.iter().all(|reply| reply.ids.len() == 16));
        print(&format!("{count} replies of 16 tokens"), memory);
    }
    let megabytes = [file, before, highest].map(|bytes| bytes as f64 / 1e6);
    println!("file, process before, process at most: {megabytes:.0?} MB");
}

#[test]
fn loading_needs_little_more_memory_than_the_weights() {
    let directory = tempfile::tempdir().unwrap();
    // The first model brings libraries into memory.
    Shape { width: 64, ffn: 64, layers: 1, heads: 4, kv_heads: 2, vocab: 64 }.write(directory.path());
    drop(loaded(directory.path()));
    let shape = Shape { width: 512, ffn: 2048, layers: 24, heads: 8, kv_heads: 2, vocab: 30_000 };
    let bytes = shape.write(directory.path()) as f64 / 1e6;
    assert!(bytes > 100.0, "{bytes} MB");
    let (weights, [kept, peak]) = measured(|| loaded(directory.path()));
    println!("{bytes:.0} MB of weights: {peak:.0} MB at most, {kept:.0} MB kept");
    let little = (0.9 * bytes..1.2 * bytes).contains(&kept) && peak < 1.2 * kept;
    assert!(little, "{bytes:.0} MB of weights: {peak:.0} MB at most, {kept:.0} MB kept");
    drop(weights);
}

#[test]
#[ignore = "writes 1 GB; for docs/benchmarks.md"]
fn a_random_qwen_of_full_size() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Shape::QWEN.write(directory.path()), 2 * 494_032_768);
    report(directory.path(), 1);
}

fn smollm2(workers: usize) {
    let Some(root) = data_root("models/smollm2-135m-instruct/model.safetensors") else { return };
    report(&root.join("models/smollm2-135m-instruct"), workers);
}

#[test]
#[ignore = "for docs/benchmarks.md"]
fn smollm2_with_one_worker() {
    smollm2(1);
}

#[test]
#[ignore = "for docs/benchmarks.md"]
fn smollm2_with_two_workers() {
    smollm2(2);
}
