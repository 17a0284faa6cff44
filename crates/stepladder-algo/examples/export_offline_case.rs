//! Writes a small model, critics, rows and variants for `parity/offline_ac/export.py`, which adds the results of
//! PyTorch. `cargo run -p stepladder-algo --example export_offline_case -- DIRECTORY`

use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;
use serde_json::{Value, json};
use stepladder_algo::AlgoError;
use stepladder_algo::offline_ac::critics::{entries, init};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_core::codec::Plain;
use stepladder_core::seed::stream;
use stepladder_data::{Budgets, CompactWords, Level, PromptEncoder};
use stepladder_model::{ModelConfig, Shape, Weights, checkpoint};
use tch::{Device, Tensor};

const SEED: u64 = 31;
const VOCAB: u32 = 24;
const WIDTH: i64 = 8;

/// Twelve rows, four of each level; next prompts of all lengths, decisions of different length, weights from 1 to 3.
fn rows() -> Vec<Value> {
    let mut rng = stream(SEED, "export-rows", &[]);
    (0..12)
        .map(|index| {
            let (start, len) = (rng.random_range(1..8), rng.random_range(1..6));
            let done = index % 4 == 3;
            let mut words = |len: u32| -> Vec<u32> { (0..len).map(|_| rng.random_range(0..VOCAB)).collect() };
            let (ids, next) = (words(start + len), if done { vec![] } else { words(1 + index as u32 % 9) });
            // Few digits, so that text represents them exactly.
            let reward = f64::from(rng.random_range(-8..9)) / 8.0;
            json!({
                "role": Level::ALL[index % 3].role().name(), "ids": ids, "start": start, "len": len, "reward": reward,
                "done": done, "next": next, "steps": 1 + index % 3, "weight": 1 + index % 3,
            })
        })
        .collect()
}

/// Every actor mode with both targets of V; then another mixture with a critics-only phase, and the released order.
fn variants() -> Vec<Value> {
    let modes = ["awr", "linear", "linear_outer", "q_linear"];
    let variant = |mode: &str, v_target_at: &str, mixture: &str, update: &str, warmup: u64| {
        json!({
            "name": format!("{mode}-{v_target_at}-{mixture}-{update}"), "actor_mode": mode, "v_target_at": v_target_at,
            "mixture": mixture, "target_update": update, "critic_warmup": warmup,
            "micro_steps": if update == "before_step" { 1 } else { 2 },
        })
    };
    let mut variants = Vec::new();
    for mode in modes {
        for v_target_at in ["action_end", "state_end"] {
            variants.push(variant(mode, v_target_at, "levels", "after_step", 0));
        }
    }
    variants.push(variant("awr", "action_end", "pooled", "after_step", 2));
    variants.push(variant("linear_outer", "state_end", "levels", "before_step", 0));
    variants
}

fn main() -> Result<(), AlgoError> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let fail = |path: &PathBuf, error: std::io::Error| AlgoError::Checkpoint {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    fs_err::create_dir_all(&directory).map_err(|error| fail(&directory, error))?;
    let shape = Shape {
        width: WIDTH,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        ffn: 12,
        max_positions: 16,
        rope_theta: 100.0,
        norm_eps: 1e-2,
        tied: true,
    };
    let config = ModelConfig::new(shape, VOCAB as usize, 0)?;
    let mut weights = Weights::init(&config, SEED, Device::Cpu);
    // Gains other than 1, and matrices large enough for every non-linearity to have an effect.
    let mut rng = stream(SEED, "export-noise", &[]);
    let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.3..0.3)).collect();
    weights.trained.buffer = &weights.trained.buffer + Tensor::from_slice(&noise);
    let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
    let words: Vec<String> = (bare.vocab()..VOCAB as usize).map(|word| format!("w{word:02}")).collect();
    let encoder = bare.with_words(words.iter().map(String::as_str));
    checkpoint::save(&directory, &weights, &encoder)?;

    let adam = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-4, weight_decay: 0.05, clip: 0.05 };
    // Target networks differ from the critics, so that reading the wrong network is visible.
    let [online, target] = [SEED, SEED + 1].map(|seed| init(WIDTH, seed, adam, Device::Cpu).params);
    checkpoint::write_tensors(
        &directory.join("critics.safetensors"),
        &[("online".to_owned(), online), ("target".to_owned(), target)],
    )?;
    let case = json!({
        "seed": SEED,
        "pad": encoder.pad(),
        "rows": rows(),
        "critics": entries(WIDTH),
        "variants": variants(),
        // Effective clip and temperature, and an ε large enough to test its place in the formula.
        "numbers": {
            "gamma": 0.9, "omega": 0.9, "tau": 0.2, "temperature": 0.2, "weight_clip": 1.5,
            "actor_learning_rate": 0.01, "critic_learning_rate": 0.03,
        },
        "optimiser": adam,
    });
    let path = directory.join("case.json");
    fs_err::write(&path, format!("{case:#}\n")).map_err(|error| fail(&path, error))
}
