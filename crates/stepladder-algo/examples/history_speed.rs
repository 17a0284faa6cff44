//! Compares updates on episodes of a flat agent that reads its whole history: prompts that grow, computed once per episode, and the
//! same prompts with another first token each, which share nothing. On one thread.
//!
//! `cargo run --release -p stepladder-algo --example history_speed [steps [observation]]`
#![allow(clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::time::{Duration, Instant};

use rand::RngExt;
use stepladder_algo::online::samples::Sample;
use stepladder_algo::online::update::SurrogateWorkers;
use stepladder_algo::ops::surrogate::{Aggregate, SurrogateRule};
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_model::{Device, Kind, ModelConfig, Shape, Weights};

const EPISODES: usize = 16;
const TASK: usize = 60;
const REPLY: usize = 3;
const VOCAB: u32 = 560;
const ROUNDS: usize = 3;

/// Samples of one episode: each prompt is the one before, its reply and an observation.
fn episode(steps: usize, observation: usize, rng: &mut impl RngExt) -> Vec<Sample> {
    let mut draw = |count: usize| (0..count).map(|_| rng.random_range(1..VOCAB)).collect::<Vec<u32>>();
    let mut ids = draw(TASK);
    let mut samples = Vec::new();
    for step in 0..steps {
        if step > 0 {
            ids.extend(draw(observation));
        }
        let start = ids.len();
        ids.extend(draw(REPLY));
        let (old, advantage) = (vec![-6.0; REPLY], vec![if step % 2 == 0 { 1.0 } else { -1.0 }; REPLY]);
        samples.push(Sample { role: Role::Flat, ids: ids.clone(), start, old, advantage, count: 1.0 });
    }
    samples
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tch::set_num_threads(1);
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let size = |at: usize, default: usize| sizes.get(at).copied().unwrap_or(default);
    let (steps, observation) = (size(0, 60), size(1, 10));
    let shape = Shape {
        width: 96,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        ffn: 256,
        max_positions: (TASK + steps * (observation + REPLY)) as i64,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied: true,
    };
    let weights = Weights::init(&ModelConfig::new(shape, VOCAB as usize, 0)?, 1, Device::Cpu);
    let mut rng = stream(1, "example-episodes", &[]);
    let growing: Vec<Sample> = (0..EPISODES).flat_map(|_| episode(steps, observation, &mut rng)).collect();
    let mut apart = growing.clone();
    for (sample, first) in apart.iter_mut().zip((1..VOCAB).cycle()) {
        sample.ids[0] = first;
    }
    let workers = SurrogateWorkers::new(1, &weights, Kind::Float, 1.0);
    let rule = SurrogateRule { clip_low: 0.2, clip_high: 0.2, beta: 0.01 };
    let seconds = |samples: &[Sample]| {
        let members: Vec<&Sample> = samples.iter().collect();
        let start = Instant::now();
        let numbers = (rule, Aggregate::TokenMean);
        let reference = &weights.trained.buffer;
        workers.gradient(&weights.trained, reference, &members, numbers, (8192, 0)).map(|_| start.elapsed())
    };
    let mut best = [Duration::MAX; 2];
    // Alternating, so that both run under the same load.
    for _ in 0..ROUNDS {
        best[0] = best[0].min(seconds(&growing)?);
        best[1] = best[1].min(seconds(&apart)?);
    }
    let [growing, apart] = best.map(|time| time.as_secs_f64());
    println!(
        "{EPISODES} episodes of {steps} steps, {observation} tokens per observation, one update, one thread"
    );
    println!("growing prompts {growing:9.2} s");
    println!("all apart       {apart:9.2} s");
    println!("ratio           {:9.2}", apart / growing);
    Ok(())
}
