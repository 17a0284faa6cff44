//! Compares a device with the CPU on tiny checkpoints: `device_parity DIRECTORY DEVICE`, with DEVICE `cpu`, `cuda` or `cuda:N`.
//!
//! Each directory in DIRECTORY is a Hugging Face checkpoint. Logits of padded rows, loss and gradient of packed rows (of all
//! parameters, and of adapters over a frozen model) and greedy replies are computed on the device in f32 and bf16, and compared
//! with those of the CPU in f32. In bf16 the device may be twice as far from them as the CPU is. A reply is wrong if it parts from
//! the CPU's where the logits of the two tokens differ by more than twice the limit of logits. Prints one JSON object.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use rand::RngExt;
use serde_json::{Value, json};
use stepladder_algo::bc::{BcConfig, batches};
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::score::weighted_nll;
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::Row;
use stepladder_data::rows::Span;
use stepladder_model::checkpoint::{load, read_config};
use stepladder_model::decoder::index;
use stepladder_model::{Device, Frame, Kind, Lora, ModelConfig, Weights, device, engine};
use stepladder_rollout::engine::Prompt;
use tch::Tensor;

const SEED: u64 = 1;
/// New tokens of a greedy reply.
const BUDGET: usize = 12;

/// Differences from the CPU in f32.
#[derive(Clone, Copy)]
struct Differences {
    /// Largest one of the logits, relative to the largest logit.
    logits: f64,
    /// Largest one of the losses, relative to the loss.
    loss: f64,
    /// Norm of that of a gradient, relative to the norm of the gradient.
    gradient: f64,
}

/// Limits in f32, where sums are rounded in another order.
const F32: Differences = Differences { logits: 1e-4, loss: 1e-4, gradient: 1e-3 };

impl Differences {
    fn of(found: &Results, expected: &Results) -> Self {
        let largest = expected.logits.abs().max().double_value(&[]);
        let losses = found.losses.iter().zip(&expected.losses);
        let gradients = found.gradients.iter().zip(&expected.gradients);
        Self {
            logits: (&found.logits - &expected.logits).abs().max().double_value(&[]) / largest,
            loss: losses.map(|(found, expected)| (found / expected - 1.0).abs()).fold(0.0, larger),
            gradient: gradients
                .map(|(found, expected)| {
                    (found - expected).norm().double_value(&[]) / expected.norm().double_value(&[])
                })
                .fold(0.0, larger),
        }
    }

    /// Returns limits for bf16: twice the differences of the CPU, and at least those of eight bits.
    fn doubled(self) -> Self {
        let of = |value: f64| (2.0 * value).max(2e-2);
        Self { logits: of(self.logits), loss: of(self.loss), gradient: of(self.gradient) }
    }

    /// False also where a difference is not a number.
    fn within(self, limits: Self) -> bool {
        self.logits <= limits.logits && self.loss <= limits.loss && self.gradient <= limits.gradient
    }

    fn json(self) -> Value {
        json!({ "logits": self.logits, "loss": self.loss, "gradient": self.gradient })
    }
}

/// Returns the larger value, or NaN if one is.
fn larger(one: f64, other: f64) -> f64 {
    if one >= other || one.is_nan() { one } else { other }
}

/// Results on one device in one dtype.
struct Results {
    /// Of the first row, `[T, vocab]`.
    logits: Tensor,
    losses: Vec<f64>,
    gradients: Vec<Tensor>,
    replies: Vec<Vec<u32>>,
}

/// Draws rows of unequal length for a model, half of which begin alike; the last third of each is its reply.
fn rows(config: &ModelConfig) -> Vec<Row> {
    let (vocab, context) = (config.vocab as u32, config.shape.max_positions as usize);
    let mut rng = stream(SEED, "parity", &[]);
    let mut ids = |count: usize| (0..count).map(|_| rng.random_range(3..vocab)).collect::<Vec<u32>>();
    let prefix = ids(context / 4);
    let lengths = [5, 8, context / 3, context / 2, 4, 17, context, 11];
    lengths
        .into_iter()
        .enumerate()
        .map(|(at, length)| {
            let ids =
                if at % 2 == 0 { ids(length.min(context)) } else { [&prefix[..], &ids(length)].concat() };
            let len = ids.len() as u32 / 3;
            let replies = vec![Span { start: ids.len() as u32 - len, len }];
            Row { role: Role::Executor, ids, replies, prompts: Vec::new(), weight: 1.0 + at as f32 / 4.0 }
        })
        .collect()
}

/// Returns the beginnings of rows that leave a reply its tokens.
fn prompts(config: &ModelConfig, rows: Vec<Row>) -> Vec<Vec<u32>> {
    let most = config.shape.max_positions as usize - BUDGET;
    rows.into_iter().map(|row| row.ids.into_iter().take(most).collect()).collect()
}

/// Adds noise to the trained parameters, so that adapters do something and no gradient is zero.
fn stirred(mut weights: Weights) -> Weights {
    let mut rng = stream(SEED, "noise", &[]);
    let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.02..0.02)).collect();
    weights.trained.buffer = &weights.trained.buffer + Tensor::from_slice(&noise).to_device(weights.device());
    weights
}

fn results(folder: &Path, device: Device, dtype: Kind) -> Result<Results, Box<dyn Error>> {
    let whole = load(folder, &BTreeSet::new(), device)?;
    let names: BTreeSet<String> =
        read_config(folder)?.parameters().into_iter().map(|each| each.name).collect();
    let adapted =
        stirred(load(folder, &names, device)?.cast_frozen(dtype).with_lora(&Lora::default(), SEED)?);
    let rows = rows(whole.config());
    let decoder = Frame::new(&adapted, dtype).decoder(&adapted.trained.buffer);
    let first = index(&rows[6].ids).to_device(device).unsqueeze(0);
    let logits = tch::no_grad(|| decoder.logits(&decoder.hidden(&first)?.squeeze_dim(0)))?;
    let config = BcConfig::default();
    let scale = 1.0 / rows.iter().map(|row| f64::from(row.weight)).sum::<f64>();
    let passes = Passes { dtype, recompute: false, micro_tokens: 0 };
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (weights, recompute) in [(&whole, false), (&adapted, false), (&adapted, true)] {
        let passes = Passes { recompute, ..passes };
        let scaled: Vec<(&Row, f64)> = rows.iter().map(|row| (row, scale)).collect();
        let shards = batches(&config, scaled, 1, passes);
        let (scored, gradient) =
            Workers::new(1, weights, passes, weighted_nll).gradient(&weights.trained, shards, 0)?;
        losses.push(scored.iter().map(|shard| shard.loss).sum());
        gradients.push(gradient.to_device(Device::Cpu));
    }
    let mut engine = engine::open(&adapted, dtype, 1, 1 << 20)?;
    let prompts = prompts(whole.config(), rows).into_iter().map(|ids| Prompt {
        ids,
        budget: BUDGET,
        sampling: None,
        constraint: None,
        stop: None,
    });
    let replies = engine.complete(prompts.collect(), &[])?.into_iter().map(|reply| reply.ids).collect();
    Ok(Results { logits: logits.to_device(Device::Cpu), losses, gradients, replies })
}

/// Whether the logits of both tokens where two replies part differ by at most `tie` times the largest, by the CPU.
fn is_tie(
    folder: &Path,
    (ids, one, other): (&[u32], &[u32], &[u32]),
    tie: f64,
) -> Result<bool, Box<dyn Error>> {
    let at = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or_default();
    let names = read_config(folder)?.parameters().into_iter().map(|each| each.name).collect();
    let weights =
        load(folder, &names, Device::Cpu)?.cast_frozen(Kind::Float).with_lora(&Lora::default(), SEED)?;
    let weights = stirred(weights);
    let decoder = Frame::new(&weights, Kind::Float).decoder(&weights.trained.buffer);
    let ids = index(&[ids, &one[..at]].concat()).unsqueeze(0);
    let hidden = decoder.hidden(&ids)?.squeeze_dim(0);
    let logits = decoder.logits(&hidden)?.get(-1);
    let of = |id: u32| logits.double_value(&[i64::from(id)]);
    Ok((of(one[at]) - of(other[at])).abs() <= tie * logits.abs().max().double_value(&[]))
}

fn compare(
    folder: &Path,
    (found, dtype): (&Results, Kind),
    expected: &Results,
    limits: Differences,
) -> Result<Value, Box<dyn Error>> {
    let differences = Differences::of(found, expected);
    let config = read_config(folder)?;
    let prompts = prompts(&config, rows(&config));
    let (mut same, mut wrong) = (0, 0);
    for ((one, other), ids) in found.replies.iter().zip(&expected.replies).zip(&prompts) {
        if one == other {
            same += 1;
        } else if !is_tie(folder, (ids, one, other), 2.0 * limits.logits)? {
            wrong += 1;
        }
    }
    Ok(json!({
        "checkpoint": folder.file_name().unwrap_or_default().to_string_lossy(),
        "dtype": if dtype == Kind::Float { "f32" } else { "bf16" },
        "differences": differences.json(),
        "limits": limits.json(),
        "replies": prompts.len(),
        "same_replies": same,
        "wrong_replies": wrong,
        "passed": differences.within(limits) && wrong == 0,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, name] = arguments.as_slice() else {
        return Err("usage: device_parity DIRECTORY DEVICE".into());
    };
    // Before any other call of libtorch.
    let device = device::open(name)?;
    device::one_thread_each();
    let entries = fs_err::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut folders = entries.collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    folders.sort();
    let mut checkpoints = Vec::new();
    for folder in &folders {
        let expected = results(folder, Device::Cpu, Kind::Float)?;
        let rounded = results(folder, Device::Cpu, Kind::BFloat16)?;
        let limits = [F32, Differences::of(&rounded, &expected).doubled()];
        for (dtype, limits) in [Kind::Float, Kind::BFloat16].into_iter().zip(limits) {
            let found = results(folder, device, dtype)?;
            checkpoints.push(compare(folder, (&found, dtype), &expected, limits)?);
        }
    }
    let passed = !checkpoints.is_empty() && checkpoints.iter().all(|each| each["passed"] == true);
    println!("{}", json!({ "device": name, "passed": passed, "checkpoints": checkpoints }));
    Ok(())
}
