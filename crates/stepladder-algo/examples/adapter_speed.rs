//! Measures a cloning step and generation of a pretrained model with adapters: seconds and peak memory.
//!
//! `cargo run -p stepladder-algo --example adapter_speed -- DIR learn|reply [SETTING=VALUE…]`; settings are rows, tokens, workers,
//! bf16, dropout (percent), recompute, micro_tokens and full (all parameters trained).
#![allow(clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use rand::RngExt;
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::score::weighted_nll;
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::batch::{Reduction, collate};
use stepladder_data::rows::Span;
use stepladder_data::{Batch, Row};
use stepladder_model::checkpoint::{load, read_config};
use stepladder_model::{Device, Kind, Lora, engine};
use stepladder_rollout::engine::Prompt;

/// Tokens of a reply.
const REPLY: usize = 16;
const ROUNDS: usize = 3;

/// Returns a line of `/proc/self/status` in MiB; 0 on other systems.
fn memory(name: &str) -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tch::set_num_threads(1);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, what, settings @ ..] = arguments.as_slice() else {
        return Err("usage: adapter_speed DIR learn|reply [SETTING=VALUE…]".into());
    };
    let setting = |name: &str, default: usize| {
        let found = settings.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
        found.map_or(Ok(default), str::parse)
    };
    let (rows, tokens, workers) = (setting("rows", 2)?, setting("tokens", 256)?, setting("workers", 1)?);
    let directory = Path::new(directory);
    let names = read_config(directory)?.parameters().into_iter().map(|each| each.name).collect();
    let kind = if setting("bf16", 0)? > 0 { Kind::BFloat16 } else { Kind::Float };
    let lora = Lora { dropout: setting("dropout", 0)? as f64 / 100.0, ..Lora::default() };
    let weights = match setting("full", 0)? {
        0 => load(directory, &names, Device::Cpu)?.cast_frozen(kind).with_lora(&lora, 1)?,
        _ => load(directory, &BTreeSet::new(), Device::Cpu)?,
    };
    let passes = Passes {
        dtype: Kind::Float,
        recompute: setting("recompute", 0)? > 0,
        micro_tokens: setting("micro_tokens", 0)?,
    };
    println!("loaded: {} MiB", memory("VmRSS"));
    let mut rng = stream(1, "example-rows", &[]);
    let mut ids = |count: usize| -> Vec<u32> { (0..count).map(|_| rng.random_range(3..40_000)).collect() };
    match what.as_str() {
        "learn" => {
            let pool = Workers::new(workers, &weights, passes, weighted_nll);
            let weight = 1.0 / (workers * rows * REPLY) as f64;
            for round in 0..ROUNDS {
                let mut batch = |rows: usize| {
                    let mut row = || Row {
                        role: Role::Executor,
                        ids: ids(tokens),
                        replies: vec![Span { start: (tokens - REPLY) as u32, len: REPLY as u32 }],
                        prompts: Vec::new(),
                        weight: 1.0,
                    };
                    let rows: Vec<Row> = (0..rows).map(|_| row()).collect();
                    let scaled: Vec<(&Row, f64)> = rows.iter().map(|row| (row, weight)).collect();
                    collate(&scaled, Reduction::TokenMean)
                };
                let together = if passes.micro_tokens == 0 { rows } else { passes.micro_tokens / tokens };
                let mut shard = |_| {
                    let starts = (0..rows).step_by(together.max(1));
                    let batches = starts.map(|from| batch(together.max(1).min(rows - from)));
                    batches.collect::<Vec<Batch>>()
                };
                let shards: Vec<Vec<Batch>> = (0..workers).map(&mut shard).collect();
                let start = Instant::now();
                let (scored, gradient) = pool.gradient(&weights.trained, shards, round as u64)?;
                let (loss, norm) = (scored[0].loss, gradient.norm().double_value(&[]));
                println!("step {:.2} s, loss {loss:.4}, gradient {norm:.5}", start.elapsed().as_secs_f64());
            }
        }
        _ => {
            let start = Instant::now();
            let mut engine = engine::open(&weights, Kind::Float, workers, 64 << 20)?;
            println!("opened in {:.2} s: {} MiB", start.elapsed().as_secs_f64(), memory("VmRSS"));
            for budget in [1, 1 + REPLY] {
                let prompt = |ids| Prompt { ids, budget, sampling: None, constraint: None, stop: None };
                let prompts: Vec<Prompt> = (0..rows).map(|_| prompt(ids(tokens))).collect();
                let start = Instant::now();
                engine.complete(prompts, &[])?;
                println!("{budget} tokens each: {:.2} s", start.elapsed().as_secs_f64());
            }
        }
    }
    println!("peak: {} MiB", memory("VmHWM"));
    Ok(())
}
