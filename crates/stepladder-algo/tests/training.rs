//! Training learns, and an interrupted run continues as if nothing had happened.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{PAD, factors, params, rows, shape, tokenizer};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{BcConfig, train};
use stepladder_algo::runtime::checkpoint::{load, save};
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::Budget;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_data::Row;
use stepladder_data::batch::Reduction;
use stepladder_model::{ModelConfig, Params};
use tch::{Device, Kind, Tensor};

const OPTIMISER: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.01, clip: 1.0 };

fn trainer(params: Params) -> Trainer {
    let identity = Identity { agent: "test".into(), style: "test-v1".into(), data: "0".into() };
    Trainer::new(params, factors(), OPTIMISER, identity)
}

fn config(mixture: Mixture, steps: u64) -> BcConfig {
    BcConfig {
        learning_rate: 5e-3,
        schedule: Schedule::Cosine,
        warmup: 0.05,
        floor: 0.02,
        reduction: Reduction::RowMean,
        mixture,
        batch_tokens: 120,
        batch_rows: 2,
        planner_every: 4,
        budget: Budget::Steps(steps),
        seed: 4,
        kind: Kind::Float,
    }
}

/// Remembers losses and sets the stop flag after some step.
struct Watch<'a> {
    losses: Vec<f64>,
    stop_after: Option<u64>,
    stop: &'a AtomicBool,
}

impl Observer for Watch<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        assert_eq!(trainer.progress.step, report.step);
        self.losses.push(report.loss);
        if self.stop_after == Some(report.step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn run(
    config: &BcConfig,
    rows: &[Row],
    trainer: &mut Trainer,
    workers: usize,
    stop_after: Option<u64>,
) -> (Ending, Vec<f64>) {
    let pool = Workers::cloning(workers, &trainer.params, &trainer.factors, Kind::Float);
    let stop = AtomicBool::new(false);
    let mut watch = Watch { losses: Vec::new(), stop_after, stop: &stop };
    let ending = train(config, rows, PAD, trainer, &pool, &stop, &mut watch).unwrap();
    (ending, watch.losses)
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor).unwrap().into_iter().map(f32::to_bits).collect()
}

fn three_levels(seed: u64, count: usize) -> Vec<Row> {
    rows(seed, count).into_iter().filter(|row| row.role != Role::Flat).collect()
}

#[test]
fn a_small_batch_is_memorised() {
    // One reply per row: nothing but the prompt says what it is, and different prompts may be one word apart.
    let mut rows = three_levels(6, 27);
    for (index, row) in rows.iter_mut().enumerate() {
        row.ids.insert(0, 3 + index as u32);
        for span in &mut row.replies {
            span.start += 1;
        }
    }
    assert!(rows.len() >= 20);
    let shape = stepladder_model::Shape { norm_eps: 1e-5, rope_theta: 10_000.0, ..shape() };
    let model = ModelConfig::new(shape, common::VOCAB as usize, factors().len()).unwrap();
    let mut trainer = trainer(Params::init(&model, 2, Device::Cpu));
    let config = BcConfig { batch_tokens: 10_000, ..config(Mixture::Pooled, 300) };
    let (ending, losses) = run(&config, &rows, &mut trainer, 1, None);
    assert_eq!((ending, losses.len()), (Ending::Complete, 300));
    let (first, last) = (losses[0], losses[299]);
    println!("loss {first:.3} at first, {last:.4} at the end");
    // A fresh model spreads its probability over all words.
    assert!((first - f64::from(common::VOCAB).ln()).abs() < 0.7, "first loss {first}");
    assert!(last < 0.05, "last loss {last}");
}

#[test]
fn an_interrupted_run_ends_where_an_uninterrupted_one_does() {
    let rows = three_levels(9, 24);
    let tokenizer = tokenizer();
    for (mixture, workers) in [(Mixture::Pooled, 1), (Mixture::Pooled, 2), (Mixture::Levels, 2)] {
        let config = config(mixture, 11);
        let fresh = || trainer(params(shape(), &factors(), 12));
        let mut whole = fresh();
        let (ending, losses) = run(&config, &rows, &mut whole, workers, None);
        assert_eq!((ending, losses.len()), (Ending::Complete, 11));
        assert!(whole.progress.epoch > 0, "the run stays within one epoch: {:?}", whole.progress);

        let folder = tempfile::tempdir().unwrap();
        for stop_after in [1, 5] {
            let mut first = fresh();
            let (ending, head) = run(&config, &rows, &mut first, workers, Some(stop_after));
            assert_eq!((ending, head.len() as u64), (Ending::Interrupted, stop_after));
            let saved = save(folder.path(), &first, &tokenizer, 3).unwrap();
            drop(first);
            let (mut second, words) = load(&saved, OPTIMISER, Device::Cpu).unwrap();
            assert_eq!(words.words(), tokenizer.words());
            assert_eq!(second.identity, whole.identity);
            let (ending, tail) = run(&config, &rows, &mut second, workers, None);
            assert_eq!(ending, Ending::Complete);
            assert_eq!(
                [head, tail].concat(),
                losses,
                "{mixture:?}, {workers} workers, stop after {stop_after}"
            );
            for (ours, theirs) in [
                (&second.params.flat, &whole.params.flat),
                (&second.optimiser.first, &whole.optimiser.first),
                (&second.optimiser.second, &whole.optimiser.second),
            ] {
                assert!(
                    bits(ours) == bits(theirs),
                    "{mixture:?}, {workers} workers, stop after {stop_after}"
                );
            }
            let steps = (second.optimiser.steps, second.progress.step, second.progress.tokens);
            assert_eq!(steps, (whole.optimiser.steps, whole.progress.step, whole.progress.tokens));
        }
    }
}

/// Continuing without the moments is not continuing: the comparison above has teeth.
#[test]
fn a_forgotten_moment_shows() {
    let rows = three_levels(9, 24);
    let config = config(Mixture::Pooled, 6);
    let mut whole = trainer(params(shape(), &factors(), 12));
    run(&config, &rows, &mut whole, 1, None);
    let mut broken = trainer(params(shape(), &factors(), 12));
    run(&config, &rows, &mut broken, 1, Some(3));
    broken.optimiser = AdamW::new(OPTIMISER, &broken.params.flat);
    run(&config, &rows, &mut broken, 1, None);
    assert!(bits(&broken.params.flat) != bits(&whole.params.flat));
}
