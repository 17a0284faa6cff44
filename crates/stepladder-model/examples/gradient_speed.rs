//! Compares the speed of log-probabilities and gradients of short replies: [`stepladder_cpu::gradient`] and libtorch, on
//! one thread.
//!
//! `cargo run --release -p stepladder-model --example gradient_speed [prompt [reply [width]]]`
#![allow(clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::time::{Duration, Instant};

use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_cpu::gradient::{Branch, Scorer};
use stepladder_model::{Device, Frame, Kind, ModelConfig, ModelError, Shape, Weights};
use tch::Tensor;

const ROWS: usize = 500;
const VOCAB: usize = 200;
/// Rows per call.
const CHUNK: usize = 125;
const ROUNDS: usize = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tch::set_num_threads(1);
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let size = |at: usize, default: usize| sizes.get(at).copied().unwrap_or(default);
    let (prompt, reply, width) = (size(0, 13), size(1, 2), size(2, 64));
    let shape = Shape {
        width: width as i64,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        ffn: width as i64 * 11 / 4,
        max_positions: 1024,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied: true,
    };
    let config = ModelConfig::new(shape, VOCAB, 0)?;
    let weights = Weights::init(&config, 1, Device::Cpu);
    let frame = Frame::new(&weights, Kind::Float);
    let mut rng = stream(1, "example-rows", &[]);
    let rows: Vec<Vec<u32>> =
        (0..ROWS).map(|_| (0..prompt + reply).map(|_| rng.random_range(0..VOCAB as u32)).collect()).collect();
    let decoder_of = |leaf: &Tensor| frame.decoder(leaf);
    let tokens = (ROWS * (prompt + reply)) as f64;

    let mut scorer = Scorer::new(decoder_of(&weights.trained.buffer).plain()?);
    let branches: Vec<Branch<'_>> =
        rows.iter().map(|row| Branch { prompt: &row[..prompt], replies: vec![&row[prompt..]] }).collect();
    let mut engine = || -> Result<Tensor, ModelError> {
        let leaf = weights.trained.leaf();
        let decoder = decoder_of(&leaf);
        scorer.update(decoder.plain()?);
        for chunk in branches.chunks(CHUNK) {
            let logprobs = scorer.logprobs(chunk)?;
            scorer.backward(&vec![-1.0; logprobs.len()])?;
        }
        decoder.pull_back(&scorer.gradient())?;
        Ok(leaf.grad())
    };
    let libtorch = || -> Result<Tensor, tch::TchError> {
        let leaf = weights.trained.leaf();
        for chunk in rows.chunks(CHUNK) {
            let ids: Vec<i64> = chunk.iter().flatten().map(|&id| i64::from(id)).collect();
            let ids = Tensor::from_slice(&ids).view([chunk.len() as i64, -1]);
            let targets: Vec<i64> = (0..chunk.len())
                .flat_map(|row| (prompt..prompt + reply).map(move |at| (row * (prompt + reply) + at) as i64))
                .collect();
            let logprobs = decoder_of(&leaf).logprobs(&ids, &Tensor::from_slice(&targets))?;
            (-logprobs.sum(Kind::Float)).backward();
        }
        Ok(leaf.grad())
    };
    let off = (engine()? - libtorch()?).abs().max().double_value(&[]);
    let mut best = [Duration::MAX; 2];
    // Alternating, so that both run under the same load.
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let _ = engine()?;
        best[0] = best[0].min(start.elapsed());
        let start = Instant::now();
        let _ = libtorch()?;
        best[1] = best[1].min(start.elapsed());
    }
    let [engine, libtorch] = best.map(|time| tokens / time.as_secs_f64());
    println!("width {width}, {ROWS} rows of {prompt} + {reply} tokens, forward and backward, one thread");
    println!("engine   {engine:9.0} tokens/s");
    println!("libtorch {libtorch:9.0} tokens/s");
    println!("ratio    {:9.2}   (gradients differ by {off:.1e} at most)", engine / libtorch);
    Ok(())
}
