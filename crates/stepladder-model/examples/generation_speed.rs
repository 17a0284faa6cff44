//! Times greedy generation: `generation_speed DIRECTORY REQUESTS [WORKERS] [DTYPE] [REPEATS] [DEVICE]`.
//!
//! A DIRECTORY with `config.json` alone is a model with random weights, drawn on the device.
//! REQUESTS has one JSON object per line: `{"ids": [token ids of the prompt], "budget": new tokens}`. Only the budget ends a
//! reply. All requests are submitted at once to an engine without kept prefixes; DTYPE is `f32` or `bf16`, DEVICE `cpu`, `cuda` or `cuda:N`. Prints one JSON
//! object: seconds of each repeat, processor seconds, prompt and new tokens, new tokens per second of the median repeat,
//! peak memory of the process in MB, and the replies. Linux only.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../tests/memory/qwen.rs"]
mod qwen;

use std::path::Path;
use std::time::Instant;

use qwen::status;
use serde::Deserialize;
use stepladder_model::checkpoint::{INDEX, WEIGHTS, load, read_config};
use stepladder_model::engine::Memory;
use stepladder_model::{Device, Kind, Weights, device, engine};
use stepladder_rollout::engine::Prompt;

#[derive(Deserialize)]
struct Line {
    ids: Vec<u32>,
    budget: usize,
}

/// Processor time of this process in seconds, all threads.
fn processor_seconds() -> f64 {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|&field: &usize| fields[field].parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Reads a model, or draws it where there are no weights; all of it frozen.
fn opened(directory: &Path, dtype: Kind, device: Device) -> Weights {
    let config = read_config(directory).unwrap();
    if ![WEIGHTS, INDEX].iter().any(|name| directory.join(name).exists()) {
        return Weights::drawn_on(&config, 1, (dtype, device)).unwrap();
    }
    let names = config.parameters().into_iter().map(|each| each.name).collect();
    load(directory, &names, device).unwrap().cast_frozen(dtype)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let get = |place: usize, default: &str| arguments.get(place).map_or(default, String::as_str).to_owned();
    let workers: usize = get(2, "2").parse().unwrap();
    let dtype = match get(3, "f32").as_str() {
        "bf16" => Kind::BFloat16,
        _ => Kind::Float,
    };
    let repeats: usize = get(4, "1").parse().unwrap();
    let file = fs_err::read_to_string(&arguments[1]).unwrap();
    let lines: Vec<Line> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prompts: Vec<Prompt> = lines
        .into_iter()
        .map(|Line { ids, budget }| Prompt { ids, budget, sampling: None, constraint: None, stop: None })
        .collect();
    // Before any other call of libtorch.
    let device = device::open(&get(5, "cpu")).unwrap();
    device::one_thread_each();
    let weights = opened(Path::new(&arguments[0]), dtype, device);
    let prompt_tokens: usize = prompts.iter().map(|prompt| prompt.ids.len()).sum();
    let new_tokens: usize = prompts.iter().map(|prompt| prompt.budget).sum();
    let (mut seconds, mut processor, mut replies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repeats {
        let Memory { prefix_bytes, .. } = Memory::on(device);
        let mut engine = engine::open(&weights, dtype, workers, prefix_bytes).unwrap();
        let (start, before) = (Instant::now(), processor_seconds());
        replies = engine.complete(prompts.clone(), &[]).unwrap();
        seconds.push(start.elapsed().as_secs_f64());
        processor.push(processor_seconds() - before);
    }
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let replies: Vec<Vec<u32>> = replies.into_iter().map(|reply| reply.ids).collect();
    let report = serde_json::json!({
        "seconds": seconds,
        "processor_seconds": processor,
        "requests": prompts.len(),
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "new_tokens_per_second": new_tokens as f64 / median,
        "peak_mb": status("VmHWM") as f64 / 1e6,
        "replies": replies,
    });
    println!("{report}");
}
