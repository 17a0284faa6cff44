//! Measures tokens per second of behaviour cloning and offline actor-critic on synthetic rows of the demo's size.
//! `cargo run --release -p stepladder-algo --example train_speed -- WORKERS WIDTH LAYERS BATCH_TOKENS`
#![allow(clippy::print_stdout)]

use std::sync::atomic::AtomicBool;

use rand::RngExt;
use stepladder_algo::bc::{BcConfig, train};
use stepladder_algo::offline_ac::{self, OfflineConfig};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_core::reply::Profile;
use stepladder_core::seed::stream;
use stepladder_data::OfflineRow;
use stepladder_data::batch::Reduction;
use stepladder_data::rows::{Row, Span};
use stepladder_model::{Factors, ModelConfig, Shape, Weights};
use tch::{Device, Kind};

struct Last(Option<StepReport>);

impl Observer for Last {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<(), stepladder_algo::AlgoError> {
        self.0 = Some(report.clone());
        Ok(())
    }
}

fn main() -> Result<(), stepladder_algo::AlgoError> {
    let numbers: Vec<i64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let pick = |index: usize, default: i64| numbers.get(index).copied().unwrap_or(default);
    let (workers, width, layers, batch_tokens) = (pick(0, 2), pick(1, 128), pick(2, 4), pick(3, 1536));
    tch::set_num_threads(1);
    let vocab = 900u32;
    let mut rng = stream(0, "bench", &[]);
    let rows: Vec<Row> = (0..20_000)
        .map(|_| {
            let prompt = rng.random_range(12..40);
            let reply = rng.random_range(3..8);
            Row {
                role: Role::Executor,
                ids: (0..prompt + reply).map(|_| rng.random_range(0..vocab)).collect(),
                replies: vec![Span { start: prompt, len: reply }],
                prompts: Vec::new(),
                weight: 1.0,
            }
        })
        .collect();
    let shape = Shape {
        width,
        layers,
        heads: width / 32,
        kv_heads: (width / 64).max(1),
        ffn: width * 11 / 4,
        max_positions: 512,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied: true,
    };
    let factors = Factors {
        names: (0..200).map(|n| n.to_string()).collect(),
        of_word: (0..vocab).map(|n| vec![n % 150, 150 + n % 50]).collect(),
    };
    let config = ModelConfig::new(shape, vocab as usize, factors.len())?;
    let weights = Weights::init(&config, 0, Device::Cpu).with_factors(factors)?;
    let adam = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.05, clip: 1.0 };
    println!("{} parameters", weights.trained.count());
    let identity = Identity { agent: String::new(), style: String::new(), data: String::new(), base: None };
    let mut trainer = Trainer::new(weights, adam, identity);
    let pool = Workers::cloning(workers as usize, &trainer.weights, Kind::Float);
    let config = BcConfig {
        learning_rate: 1e-3,
        schedule: Schedule::Cosine,
        warmup: 0.02,
        floor: 0.02,
        reduction: Reduction::TokenMean,
        mixture: Mixture::Pooled,
        batch_tokens: batch_tokens as usize,
        batch_rows: 8,
        planner_every: 4,
        budget: Budget::Steps(60),
        group_rows: 0,
        ..BcConfig::default()
    };
    let mut last = Last(None);
    train(&config, &rows, 0, &mut trainer, &pool, &AtomicBool::new(false), &mut last)?;
    print("behaviour cloning", &last);
    drop(pool);

    // The same rows with next prompts of the same lengths; a third of them is done, as with subtasks of three steps.
    let rows: Vec<OfflineRow> = rows
        .into_iter()
        .map(|row| {
            let done = rng.random_bool(0.3);
            let prompt = row.replies[0].start as usize;
            let next = if done { Vec::new() } else { row.ids[..prompt].to_vec() };
            OfflineRow::new(row, vec![f64::from(u8::from(done))], (!done).then_some(next))
        })
        .collect();
    let config = OfflineConfig {
        critic_warmup: 0,
        mixture: Mixture::Pooled,
        batch_tokens: batch_tokens as usize,
        budget: Budget::Steps(60),
        ..OfflineConfig::profile(Profile::Fixed)
    };
    let identity = trainer.identity.clone();
    let mut trainer = offline_ac::start(trainer, adam, identity, 0);
    let pool = offline_ac::workers(workers as usize, &trainer.weights, &config, Kind::Float);
    let mut last = Last(None);
    offline_ac::train(&config, &rows, (0, 0), &mut trainer, &pool, &AtomicBool::new(false), &mut last)?;
    print("offline actor-critic", &last);
    Ok(())
}

fn print(what: &str, last: &Last) {
    if let Some(report) = &last.0 {
        println!(
            "{what}: {:.0} tokens/s, {:.1} ms per step, loss {:.3}",
            report.tokens as f64 / report.seconds,
            1e3 * report.seconds / report.step as f64,
            report.loss
        );
    }
}
