//! Training reduces the loss, and an interrupted run resumes bit for bit.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{compare, encoder, factors, params, rows, shape, weights};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{BcConfig, batches, train};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::checkpoint::{load, save};
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::score::weighted_nll;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_data::batch::{Reduction, collate};
use stepladder_data::{PromptEncoder, Row};
use stepladder_model::checkpoint::{BaseId, Bases};
use stepladder_model::{Factors, Lora, ModelConfig, Params, Weights};
use tch::{Device, Kind, Tensor};

const OPTIMISER: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.01, clip: 1.0 };

fn trainer(params: Params) -> Trainer {
    let identity = Identity { agent: "test".into(), style: "test-v1".into(), data: "0".into(), base: None };
    Trainer::new(weights(&params), OPTIMISER, identity)
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
        group_rows: 0,
        ..BcConfig::default()
    }
}

/// Records losses and sets the stop flag after a given step.
struct Watch<'a> {
    losses: Vec<f64>,
    stop_after: Option<u64>,
    stop: &'a AtomicBool,
}

impl Observer for Watch<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        assert_eq!(trainer.counters.step, report.step);
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
    let pool = Workers::cloning(workers, &trainer.weights, Kind::Float);
    let stop = AtomicBool::new(false);
    let mut watch = Watch { losses: Vec::new(), stop_after, stop: &stop };
    let ending = train(config, rows, 4, trainer, &pool, &stop, &mut watch).unwrap();
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
    // One reply per row, which only the prompt determines; different prompts may differ in one word.
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
    // A new model is close to uniform over all words.
    assert!((first - f64::from(common::VOCAB).ln()).abs() < 0.7, "first loss {first}");
    assert!(last < 0.05, "last loss {last}");
}

/// Has what it wants after a number of steps.
struct Reached {
    taken: u64,
    goal: u64,
}

impl Observer for Reached {
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<(), AlgoError> {
        self.taken += 1;
        Ok(())
    }

    fn is_reached(&self) -> bool {
        self.taken >= self.goal
    }
}

#[test]
fn training_is_complete_when_the_goal_of_its_observer_is_reached() {
    let rows = three_levels(9, 24);
    for (goal, taken) in [(4, 4), (20, 11), (0, 0)] {
        let mut trainer = trainer(params(shape(), &factors(), 12));
        let pool = Workers::cloning(1, &trainer.weights, Kind::Float);
        let mut observer = Reached { taken: 0, goal };
        let config = config(Mixture::Pooled, 11);
        let stop = AtomicBool::new(false);
        let ending = train(&config, &rows, 4, &mut trainer, &pool, &stop, &mut observer).unwrap();
        assert_eq!((ending, trainer.counters.step), (Ending::Complete, taken), "goal {goal}");
        assert!(!trainer.counters.capped);
    }
}

#[test]
fn an_interrupted_run_ends_where_an_uninterrupted_one_does() {
    let rows = three_levels(9, 24);
    let encoder = encoder();
    for (mixture, workers) in [(Mixture::Pooled, 1), (Mixture::Pooled, 2), (Mixture::Levels, 2)] {
        let config = config(mixture, 11);
        let fresh = || trainer(params(shape(), &factors(), 12));
        let mut whole = fresh();
        let (ending, losses) = run(&config, &rows, &mut whole, workers, None);
        assert_eq!((ending, losses.len()), (Ending::Complete, 11));
        assert!(whole.counters.epoch > 0, "the run stays within one epoch: {:?}", whole.counters);

        let folder = tempfile::tempdir().unwrap();
        for stop_after in [1, 5] {
            let mut first = fresh();
            let (ending, head) = run(&config, &rows, &mut first, workers, Some(stop_after));
            assert_eq!((ending, head.len() as u64), (Ending::Interrupted, stop_after));
            let saved = save(folder.path(), &first, &encoder, 3).unwrap();
            drop(first);
            let mut second = load(&saved, OPTIMISER, Device::Cpu, &Bases::default()).unwrap();
            assert!(encoder.is_in(&saved).unwrap());
            assert_eq!(second.identity, whole.identity);
            let (ending, tail) = run(&config, &rows, &mut second, workers, None);
            assert_eq!(ending, Ending::Complete);
            assert_eq!(
                [head, tail].concat(),
                losses,
                "{mixture:?}, {workers} workers, stop after {stop_after}"
            );
            for (ours, theirs) in [
                (&second.weights.trained.buffer, &whole.weights.trained.buffer),
                (&second.optimiser.first, &whole.optimiser.first),
                (&second.optimiser.second, &whole.optimiser.second),
            ] {
                assert!(
                    bits(ours) == bits(theirs),
                    "{mixture:?}, {workers} workers, stop after {stop_after}"
                );
            }
            let steps = (second.optimiser.steps, second.counters.step, second.counters.tokens);
            assert_eq!(steps, (whole.optimiser.steps, whole.counters.step, whole.counters.tokens));
        }
    }
}

/// Resuming without the moments fails the comparison above.
#[test]
fn a_forgotten_moment_shows() {
    let rows = three_levels(9, 24);
    let config = config(Mixture::Pooled, 6);
    let mut whole = trainer(params(shape(), &factors(), 12));
    run(&config, &rows, &mut whole, 1, None);
    let mut broken = trainer(params(shape(), &factors(), 12));
    run(&config, &rows, &mut broken, 1, Some(3));
    broken.optimiser = AdamW::new(OPTIMISER, &broken.weights.trained.buffer);
    run(&config, &rows, &mut broken, 1, None);
    assert!(bits(&broken.weights.trained.buffer) != bits(&whole.weights.trained.buffer));
}

fn frozen_trainer(names: &BTreeSet<String>, dtype: Kind) -> Trainer {
    let whole = trainer(params(shape(), &factors(), 12));
    let weights = whole.weights.freeze(names, dtype).unwrap();
    Trainer::new(weights, OPTIMISER, whole.identity)
}

/// Names of everything but the second block, and of all embeddings.
fn frozen_parts() -> [BTreeSet<String>; 2] {
    let whole = params(shape(), &factors(), 12);
    let names = |frozen: fn(&str) -> bool| {
        let all = whole.layout.entries.iter().map(|entry| entry.name.clone());
        all.filter(|name| frozen(name)).collect()
    };
    [names(|name| !name.starts_with("layers.1.")), names(|name| name.starts_with("embed."))]
}

#[test]
fn the_rest_of_a_frozen_model_gets_the_gradient_that_it_gets_in_the_whole() {
    let rows = rows(9, 8);
    let batch = collate(&rows.iter().map(|row| (row, 1.0)).collect::<Vec<_>>(), Reduction::RowMean);
    for frozen in frozen_parts() {
        let (whole, part) = (trainer(params(shape(), &factors(), 12)), frozen_trainer(&frozen, Kind::Float));
        let by_libtorch = |weights: &Weights| Workers::new(2, weights, Kind::Float, weighted_nll);
        let natively = |weights: &Weights| Workers::cloning(2, weights, Kind::Float);
        for make in [&by_libtorch as &dyn Fn(&Weights) -> Workers, &natively] {
            let gradient = |trainer: &Trainer| {
                let trained = &trainer.weights.trained;
                let workers = make(&trainer.weights);
                let (_, buffer) = workers.gradient(trained, vec![vec![batch.clone()]], 0).unwrap();
                Params { layout: trained.layout.clone(), buffer }
            };
            let (all, own) = (gradient(&whole), gradient(&part));
            assert_eq!(own.layout.entries.len() + frozen.len(), all.layout.entries.len());
            for entry in &own.layout.entries {
                let (found, expected) = (own.get(&entry.name).unwrap(), all.get(&entry.name).unwrap());
                compare(&entry.name, &found, &expected, 3e-6).unwrap();
            }
        }
    }
}

#[test]
fn training_leaves_what_is_frozen_as_it_is_and_a_run_goes_on_with_it() {
    let rows = three_levels(9, 24);
    let config = config(Mixture::Pooled, 9);
    for (frozen, dtype) in frozen_parts().into_iter().zip([Kind::Float, Kind::BFloat16]) {
        let mut whole = frozen_trainer(&frozen, dtype);
        run(&config, &rows, &mut whole, 2, None);
        let begin = frozen_trainer(&frozen, dtype);
        assert!(!whole.weights.trained.buffer.equal(&begin.weights.trained.buffer));
        let mut first = frozen_trainer(&frozen, dtype);
        run(&config, &rows, &mut first, 2, Some(4));
        let folder = tempfile::tempdir().unwrap();
        let saved = save(folder.path(), &first, &encoder(), 3).unwrap();
        let mut second = load(&saved, OPTIMISER, Device::Cpu, &Bases::default()).unwrap();
        run(&config, &rows, &mut second, 2, None);
        assert!(bits(&second.weights.trained.buffer) == bits(&whole.weights.trained.buffer));
        assert_eq!(whole.weights.frozen().len(), frozen.len());
        for (name, tensor) in begin.weights.frozen() {
            for found in [&whole.weights.frozen()[name], &second.weights.frozen()[name]] {
                assert!(found.kind() == dtype && found.equal(tensor), "{name}");
            }
        }
    }
}

/// Adapters with dropout over the model in `folder`.
fn adapted(folder: &std::path::Path, bases: &Bases, dropout: f64) -> Trainer {
    let base = BaseId::read(folder).unwrap();
    let lora = Lora { rank: 4, dropout, ..Lora::default() };
    let weights = bases.get(&base, Device::Cpu).unwrap().with_lora(&lora, 3).unwrap();
    let whole = trainer(params(shape(), &Factors::default(), 12));
    Trainer::new(weights, OPTIMISER, Identity { base: Some(base), ..whole.identity })
}

#[test]
fn an_interrupted_run_with_dropout_and_groups_draws_the_same_masks() {
    let mut rows = three_levels(9, 24);
    // An instruction per role.
    for row in &mut rows {
        row.ids.splice(0..0, std::iter::repeat_n(3 + row.role as u32, 20));
        row.replies.iter_mut().for_each(|span| span.start += 20);
    }
    let config = BcConfig { group_rows: 3, ..config(Mixture::Pooled, 9) };
    let (model, bases) = (tempfile::tempdir().unwrap(), Bases::default());
    let base = trainer(params(shape(), &Factors::default(), 12));
    stepladder_model::checkpoint::save(model.path(), &base.weights, &encoder()).unwrap();
    let fresh = |dropout| adapted(model.path(), &bases, dropout);
    for workers in [1, 2] {
        let mut whole = fresh(0.3);
        let (_, losses) = run(&config, &rows, &mut whole, workers, None);
        let mut first = fresh(0.3);
        let (_, head) = run(&config, &rows, &mut first, workers, Some(4));
        let folder = tempfile::tempdir().unwrap();
        let saved = save(folder.path(), &first, &encoder(), 3).unwrap();
        let mut second = load(&saved, OPTIMISER, Device::Cpu, &bases).unwrap();
        let (_, tail) = run(&config, &rows, &mut second, workers, None);
        assert_eq!([head, tail].concat(), losses);
        assert!(bits(&second.weights.trained.buffer) == bits(&whole.weights.trained.buffer));
    }
    // A new adapter has no effect, so neither has dropout.
    let losses = |dropout| run(&config, &rows, &mut fresh(dropout), 1, None).1;
    let (with, without) = (losses(0.3), losses(0.0));
    assert!(with[0] == without[0] && with[4..].iter().zip(&without[4..]).all(|(a, b)| a != b));
}

/// The loss is a weighted sum, so that micro-batches have the gradient of the whole.
#[test]
fn micro_batches_and_recomputation_have_the_gradient_of_the_whole() {
    let rows = rows(9, 30);
    let whole = trainer(params(shape(), &factors(), 12));
    let frozen = frozen_trainer(&frozen_parts()[0], Kind::Float);
    let scaled: Vec<(&Row, f64)> = rows.iter().map(|row| (row, 1.0 / 64.0)).collect();
    let config = BcConfig { reduction: Reduction::TokenMean, group_rows: 0, ..BcConfig::default() };
    for trainer in [&whole, &frozen] {
        for libtorch in [true, false] {
            let of = |workers: usize, micro_tokens: usize, recompute: bool| {
                let passes = Passes { dtype: Kind::Float, recompute, micro_tokens };
                let pool = match libtorch {
                    true => Workers::new(workers, &trainer.weights, passes, weighted_nll),
                    false => Workers::cloning(workers, &trainer.weights, passes),
                };
                let shards = batches(&config, scaled.clone(), workers, passes);
                let parts = shards.iter().map(Vec::len).sum::<usize>();
                let (scored, gradient) = pool.gradient(&trainer.weights.trained, shards, 0).unwrap();
                let logprobs: Vec<f32> = scored.iter().flat_map(|shard| shard.logprobs.clone()).collect();
                (scored.iter().map(|shard| shard.loss).sum::<f64>(), logprobs, gradient, parts)
            };
            let (loss, logprobs, gradient, parts) = of(1, 0, false);
            assert_eq!(parts, 1);
            for (workers, micro_tokens, recompute, least) in
                [(1, 40, false, 5), (2, 40, false, 5), (1, 1, false, 30), (1, 0, true, 1), (2, 60, true, 4)]
            {
                let (found, each, other, parts) = of(workers, micro_tokens, recompute);
                assert!(parts >= least, "{parts}");
                assert!((found - loss).abs() < 1e-6 * loss, "{found} for {loss}");
                assert!(each.iter().zip(&logprobs).all(|(a, b)| (a - b).abs() < 1e-5));
                compare("gradient", &other, &gradient, 1e-6).unwrap();
            }
        }
    }
}
