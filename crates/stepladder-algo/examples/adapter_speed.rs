//! Measures a cloning step and generation of a pretrained model with adapters: seconds and peak memory.
//!
//! `cargo run -p stepladder-algo --example adapter_speed -- DIR learn|reply [ROWS [TOKENS [WORKERS]]]`
#![allow(clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::path::Path;
use std::time::Instant;

use rand::RngExt;
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::seed::stream;
use stepladder_data::Batch;
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
    let [directory, what, sizes @ ..] = arguments.as_slice() else {
        return Err("usage: adapter_speed DIR learn|reply [ROWS [TOKENS [WORKERS]]]".into());
    };
    let size = |at: usize, default: usize| sizes.get(at).map_or(Ok(default), |size| size.parse());
    let (rows, tokens, workers) = (size(0, 2)?, size(1, 256)?, size(2, 1)?);
    let directory = Path::new(directory);
    let names = read_config(directory)?.parameters().into_iter().map(|each| each.name).collect();
    let weights = load(directory, &names, Device::Cpu)?.with_lora(&Lora::default(), 1)?;
    println!("loaded: {} MiB", memory("VmRSS"));
    let mut rng = stream(1, "example-rows", &[]);
    let mut ids = |count: usize| -> Vec<u32> { (0..count).map(|_| rng.random_range(3..40_000)).collect() };
    match what.as_str() {
        "learn" => {
            let pool = Workers::cloning(workers, &weights, Kind::Float);
            for _ in 0..ROUNDS {
                let batch = |ids: Vec<u32>| {
                    let of_row =
                        |row: usize| ((row + 1) * tokens - REPLY) as i64..((row + 1) * tokens) as i64;
                    let targets: Vec<i64> = (0..rows).flat_map(of_row).collect();
                    let weights = vec![1.0 / targets.len() as f32; targets.len()];
                    Batch { rows, len: tokens, tokens: ids.len(), ids, targets, weights, replies: Vec::new() }
                };
                let shards = (0..workers).map(|_| batch(ids(rows * tokens))).collect();
                let start = Instant::now();
                let (scored, _) = pool.gradient(&weights.trained, shards)?;
                println!("step {:.2} s, loss {:.3}", start.elapsed().as_secs_f64(), scored[0].loss);
            }
        }
        _ => {
            let start = Instant::now();
            let mut engine = engine::open(&weights, Kind::Float, workers, 64 << 20)?;
            println!("opened in {:.2} s: {} MiB", start.elapsed().as_secs_f64(), memory("VmRSS"));
            for budget in [1, 1 + REPLY] {
                let prompt = |ids| Prompt { ids, budget, sampling: None, constraint: None };
                let prompts: Vec<Prompt> = (0..rows).map(|_| prompt(ids(tokens))).collect();
                let start = Instant::now();
                engine.complete(prompts, &[], 0)?;
                println!("{budget} tokens each: {:.2} s", start.elapsed().as_secs_f64());
            }
        }
    }
    println!("peak: {} MiB", memory("VmHWM"));
    Ok(())
}
