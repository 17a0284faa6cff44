//! Writes a small model and a batch for `parity/bc_gradients/export.py`, which adds the results of PyTorch.
//! `cargo run -p stepladder-algo --example export_bc_case -- DIRECTORY`

use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;
use serde_json::json;
use stepladder_algo::AlgoError;
use stepladder_core::codec::Plain;
use stepladder_core::seed::stream;
use stepladder_data::{Budgets, CompactWords, PromptEncoder};
use stepladder_model::{Factors, ModelConfig, Shape, Weights, checkpoint};
use tch::{Device, Tensor};

const SEED: u64 = 20;
const VOCAB: u32 = 36;

fn main() -> Result<(), AlgoError> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let fail = |path: &PathBuf, error: std::io::Error| AlgoError::Checkpoint {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    fs_err::create_dir_all(&directory).map_err(|error| fail(&directory, error))?;

    // Small, since its tensors are committed four times; large ε and small rotary base, so that mistakes in them are visible.
    let shape = Shape {
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 20,
        max_positions: 32,
        rope_theta: 100.0,
        norm_eps: 1e-2,
        tied: true,
    };
    let factors = Factors {
        names: (0..6).map(|name| name.to_string()).collect(),
        of_word: (0..VOCAB).map(|word| if word % 2 == 0 { vec![word % 6, 5] } else { vec![] }).collect(),
    };
    let config = ModelConfig::new(shape, VOCAB as usize, factors.len())?;
    let mut weights = Weights::init(&config, SEED, Device::Cpu).with_factors(factors)?;
    // Gains other than 1, and matrices large enough for every non-linearity to have an effect.
    let mut rng = stream(SEED, "export-noise", &[]);
    let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
    weights.trained.buffer = &weights.trained.buffer + Tensor::from_slice(&noise);
    let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
    let words: Vec<String> = (bare.vocab()..VOCAB as usize).map(|word| format!("w{word:02}")).collect();
    let encoder = bare.with_words(words.iter().map(String::as_str));
    checkpoint::save(&directory, &weights, &encoder)?;

    let mut rng = stream(SEED, "export-rows", &[]);
    let rows: Vec<_> = (0..8)
        .map(|index| {
            let mut len = 0u32;
            let mut replies = Vec::new();
            for _ in 0..1 + index / 6 {
                len += rng.random_range(1..9);
                let reply = rng.random_range(1..6);
                replies.push([len, reply]);
                len += reply;
            }
            let ids: Vec<u32> = (0..len).map(|_| rng.random_range(0..VOCAB)).collect();
            json!({"ids": ids, "replies": replies, "weight": 1 + index % 3})
        })
        .collect();
    let case = json!({
        "seed": SEED,
        "pad": encoder.pad(),
        "rows": rows,
        // Clipping in every step, and an ε large enough to test its place in the formula.
        "optimiser": {
            "learning_rate": 0.01, "beta1": 0.9, "beta2": 0.98, "eps": 1e-4, "weight_decay": 0.05, "clip": 0.25,
        },
    });
    let path = directory.join("case.json");
    fs_err::write(&path, format!("{case:#}\n")).map_err(|error| fail(&path, error))
}
