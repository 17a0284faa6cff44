//! Helpers of several test files: tiny models, random rows, gradients, and a comparison that names the worst element.
#![allow(clippy::unwrap_used)]
// Every test file is a separate program and uses a different part of this module.
#![allow(dead_code)]

pub(crate) mod textbook;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::RngExt;
use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_algo::offline_ac::critics;
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::net::Net;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::score::Loss;
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_core::codec::Plain;
use stepladder_core::reply::Profile;
use stepladder_core::seed::stream;
use stepladder_data::batch::Reduction;
use stepladder_data::rows::{Row, Span};
use stepladder_data::{Batch, Budgets, CompactWords, Level, OfflineRow, PromptEncoder};
use stepladder_model::{Factors, ModelConfig, Params, Shape, Weights, checkpoint};
use tch::{Device, Kind, Tensor};

pub(crate) const VOCAB: u32 = 30;
pub(crate) const PAD: u32 = 0;
pub(crate) const REDUCTIONS: [Reduction; 2] = [Reduction::RowMean, Reduction::TokenMean];

/// Grouped queries; three rotary pairs per head, so that a wrong row order is not an involution; a large ε and a small
/// rotary base, so that mistakes in either are visible.
pub(crate) fn shape() -> Shape {
    Shape {
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 20,
        max_positions: 48,
        rope_theta: 100.0,
        norm_eps: 1e-2,
        tied: true,
    }
}

/// Two shared factors for every third word, one for the next, none for the rest.
pub(crate) fn factors() -> Factors {
    let of_word = (0..VOCAB)
        .map(|word| match word % 3 {
            0 => vec![word % 4, 4 + word % 3],
            1 => vec![word % 7],
            _ => vec![],
        })
        .collect();
    Factors { names: (0..7).map(|name| name.to_string()).collect(), of_word }
}

/// A model with gains other than 1 and matrices large enough for every non-linearity to have an effect.
pub(crate) fn params(shape: Shape, factors: &Factors, seed: u64) -> Params {
    let config = ModelConfig::new(shape, VOCAB as usize, factors.len()).unwrap();
    let mut params = Params::init(&config, seed, Device::Cpu);
    let mut rng = stream(seed, "test-noise", &[]);
    let noise: Vec<f32> = (0..params.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
    params.buffer = &params.buffer + Tensor::from_slice(&noise);
    params
}

/// A model without frozen parameters; its factors, if it has any, are [`factors`].
pub(crate) fn weights(params: &Params) -> Weights {
    let trained = Params { layout: params.layout.clone(), buffer: params.buffer.copy() };
    let of_words = if trained.layout.config().factors > 0 { factors() } else { Factors::default() };
    Weights::new(trained, BTreeMap::new()).unwrap().with_factors(of_words).unwrap()
}

/// Rows of different lengths, roles and weights; every fourth has two replies; padding ids occur as ordinary words.
pub(crate) fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut rng = stream(seed, "test-rows", &[]);
    (0..count)
        .map(|index| {
            let mut replies = Vec::new();
            let mut len = 0;
            for _ in 0..1 + u32::from(index % 4 == 3) {
                len += rng.random_range(1..10);
                let reply = rng.random_range(1..6);
                replies.push(Span { start: len, len: reply });
                len += reply;
            }
            Row {
                role: Role::ALL[index % 4],
                ids: (0..len).map(|_| rng.random_range(0..VOCAB)).collect(),
                replies,
                prompts: Vec::new(),
                weight: (1 + index % 3) as f32,
            }
        })
        .collect()
}

/// Loss and gradient as the trainer computes them: one shard per worker.
pub(crate) fn gradient_of(params: &Params, shards: Vec<Batch>, workers: usize, loss: Loss) -> (f64, Params) {
    let pool = Workers::new(workers, &weights(params), Kind::Float, loss);
    let shards = shards.into_iter().map(|batch| vec![batch]).collect();
    let (scored, buffer) = pool.gradient(params, shards, 0).unwrap();
    (scored.iter().map(|shard| shard.loss).sum(), Params { layout: params.layout.clone(), buffer })
}

/// Behaviour cloning with one worker, as in a run on this device.
pub(crate) fn gradient(params: &Params, batch: Batch) -> (f64, Params) {
    let pool = Workers::cloning(1, &weights(params), Kind::Float);
    let (scored, buffer) = pool.gradient(params, vec![vec![batch]], 0).unwrap();
    (scored.iter().map(|shard| shard.loss).sum(), Params { layout: params.layout.clone(), buffer })
}

/// Parameters, or a gradient, under the names and in the row order of transformers. Embeddings stay factored: own
/// vectors under the table's name, factor vectors as `factors`.
pub(crate) fn named(params: &Params) -> Vec<(String, Tensor)> {
    let own = Params { layout: params.layout.clone(), buffer: params.buffer.copy() };
    let mut tensors = checkpoint::export(&Weights::new(own, BTreeMap::new()).unwrap());
    tensors.extend(params.get("embed.factors").map(|shared| ("factors".to_owned(), shared)));
    tensors
}

/// Whether the largest difference is at most `tolerance` times the largest expected absolute value.
pub(crate) fn compare(name: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) -> Result<f64, String> {
    if actual.size() != expected.size() {
        return Err(format!("{name}: shape {:?} for {:?}", actual.size(), expected.size()));
    }
    let actual = actual.detach().to_kind(Kind::Double).reshape([-1]);
    let expected = expected.detach().to_kind(Kind::Double).reshape([-1]);
    let scale = expected.abs().max().double_value(&[]);
    let difference = (&actual - &expected).abs();
    let worst = difference.argmax(None, false).int64_value(&[]);
    let error = difference.double_value(&[worst]) / if scale > 0.0 { scale } else { 1.0 };
    // Written so that NaN fails.
    if error <= tolerance {
        return Ok(error);
    }
    Err(format!(
        "{name}: element {worst} is {:e}, expected {:e}: {error:e} of the largest entry {scale:e}; allowed {tolerance:e}",
        actual.double_value(&[worst]),
        expected.double_value(&[worst]),
    ))
}

/// Compares all tensors of both lists, which must have the same names; returns the largest relative error.
pub(crate) fn compare_all(
    actual: &[(String, Tensor)],
    expected: &[(String, Tensor)],
    tolerance: f64,
) -> Result<f64, String> {
    let mut worst = 0.0f64;
    if actual.len() != expected.len() || actual.is_empty() {
        return Err(format!("{} tensors for {}", actual.len(), expected.len()));
    }
    for (name, expected) in expected {
        let (_, actual) =
            actual.iter().find(|(other, _)| other == name).ok_or_else(|| format!("no `{name}`"))?;
        worst = worst.max(compare(name, actual, expected, tolerance)?);
    }
    Ok(worst)
}

/// An encoder of exactly [`VOCAB`] words.
pub(crate) fn encoder() -> CompactWords {
    let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
    let words: Vec<String> = (bare.vocab()..VOCAB as usize).map(|word| format!("w{word:02}")).collect();
    let encoder = bare.with_words(words.iter().map(String::as_str));
    assert_eq!(encoder.vocab(), VOCAB as usize);
    encoder
}

pub(crate) fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// Rewards of a decision of `steps` steps whose return is `reward` for any discount.
pub(crate) fn decision(reward: f64, steps: usize) -> Vec<f64> {
    [vec![reward], vec![0.0; steps - 1]].concat()
}

/// Rows of offline RL: all levels, one reply each, different rewards, ends, weights and lengths of decisions.
pub(crate) fn offline_rows(seed: u64, count: usize) -> Vec<OfflineRow> {
    let mut rng = stream(seed, "test-offline", &[]);
    (0..count)
        .map(|index| {
            let (prompt, reply) = (rng.random_range(1..10), rng.random_range(1..6));
            let done = rng.random_bool(0.4);
            let next = if done { 0 } else { rng.random_range(1..12) };
            let mut words = |len: u32| (0..len).map(|_| rng.random_range(0..VOCAB)).collect();
            let row = Row {
                role: Level::ALL[index % 3].role(),
                ids: words(prompt + reply),
                replies: vec![Span { start: prompt, len: reply }],
                prompts: Vec::new(),
                weight: (1 + index % 4) as f32,
            };
            let next = words(next);
            let rewards = decision(rng.random_range(-1.0..1.0), 1 + index % 5);
            OfflineRow { end: 1, ..OfflineRow::new(row, rewards, (!done).then_some(next)) }
        })
        .collect()
}

/// A configuration in which all parameters change: no warm-up, large rates.
pub(crate) fn offline_config(mode: ActorMode, mixture: Mixture) -> OfflineConfig {
    OfflineConfig {
        actor_mode: mode,
        mixture,
        temperature: 0.2,
        omega: 0.9,
        learning_rate: 3e-3,
        critic_learning_rate: 1e-2,
        critic_warmup: 0,
        batch_tokens: 120,
        batch_rows: 2,
        ..OfflineConfig::profile(Profile::Fixed)
    }
}

/// Critics for the tiny models, their target networks not equal to them.
pub(crate) fn critics(config: AdamWConfig, seed: u64) -> Net {
    let width = shape().width;
    let mut net = critics::init(width, seed, config, Device::Cpu);
    net.target = Some(critics::init(width, seed + 1, config, Device::Cpu).params);
    net
}

/// The golden cases of a group (tests/golden.json).
pub(crate) fn cases(group: &str) -> Vec<serde_json::Value> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/golden.json")).unwrap();
    let cases: Vec<serde_json::Value> =
        golden["cases"].as_array().unwrap().iter().filter(|case| case["group"] == group).cloned().collect();
    assert!(!cases.is_empty(), "no golden case of group {group}");
    cases
}

/// Recomputes all checksums of a checkpoint.
pub(crate) fn reseal(directory: &Path) {
    use sha2::{Digest, Sha256};
    let hex =
        |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let path = directory.join("trainer.json");
    let mut state = read_json(&path);
    for (name, sum) in state["files"].as_object_mut().unwrap() {
        *sum = hex(&fs_err::read(directory.join(name)).unwrap()).into();
    }
    state["checksum"] = "".into();
    let text = serde_json::to_string_pretty(&state).unwrap() + "\n";
    let sum = hex(text.as_bytes());
    fs_err::write(path, text.replacen("\"checksum\": \"\"", &format!("\"checksum\": \"{sum}\""), 1)).unwrap();
}

/// Rewrites a checkpoint of `params` in the format of version 1: all parameters in the trainer's tensors, no checksums.
pub(crate) fn as_first_version(directory: &Path, params: &Params) {
    let path = directory.join("trainer.safetensors");
    let mut tensors = checkpoint::read_tensors(&path).unwrap();
    tensors.retain(|name, _| !name.starts_with("embed."));
    tensors.insert("parameters".to_owned(), params.buffer.shallow_clone());
    checkpoint::write_tensors(&path, &tensors.into_iter().collect::<Vec<_>>()).unwrap();
    let path = directory.join("trainer.json");
    let mut state = read_json(&path);
    let fields = state.as_object_mut().unwrap();
    assert_eq!(fields["version"], 2);
    fields["version"] = 1.into();
    assert!(fields.remove("files").is_some() && fields.remove("checksum").is_some());
    fs_err::write(path, serde_json::to_string_pretty(&state).unwrap()).unwrap();
    for name in ["generation_config.json", "tokenizer_config.json"] {
        fs_err::remove_file(directory.join(name)).unwrap();
    }
}
