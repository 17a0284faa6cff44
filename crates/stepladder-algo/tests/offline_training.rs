//! Offline runs resume bit for bit, keep the order of updates, and survive values that are not finite.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{PAD, compare, encoder, factors, offline_config, offline_rows, params, reseal, shape, weights};
use stepladder_algo::AlgoError;
use stepladder_algo::offline_ac::critics::{CRITIC, count, init};
use stepladder_algo::offline_ac::{
    OfflineConfig, TargetUpdate, gradients, start, train, workers as start_workers,
};
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::checkpoint::{load, save};
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::metrics::METRICS;
use stepladder_algo::runtime::net::Net;
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_core::Role;
use stepladder_data::OfflineRow;
use stepladder_model::checkpoint::Bases;
use tch::{Device, Kind, Tensor};

const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.01, clip: 1.0 };

fn identity(agent: &str) -> Identity {
    Identity { agent: agent.into(), style: "test-v1".into(), data: "0".into(), base: None }
}

/// A trainer in the middle of behaviour cloning, with moments.
fn cloned() -> Trainer {
    let params = params(shape(), &factors(), 12);
    let mut optimiser = AdamW::new(ADAM, &params.buffer);
    optimiser.steps = 40;
    optimiser.first = params.buffer.ones_like();
    let counters =
        Counters { step: 40, epoch: 2, cursor: 3, seconds: 9.0, tokens: 1000, ..Counters::start() };
    Trainer { optimiser, counters, ..Trainer::new(weights(&params), ADAM, identity("bc")) }
}

fn critic(trainer: &Trainer) -> &Net {
    trainer.nets.get(CRITIC, count(shape().width)).unwrap()
}

fn fresh() -> Trainer {
    start(cloned(), ADAM, identity("offline"), 7)
}

struct Watch<'a> {
    reports: Vec<StepReport>,
    stop_after: Option<u64>,
    stop: &'a AtomicBool,
}

impl Observer for Watch<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        assert_eq!(trainer.counters.step, report.step);
        assert!(trainer.nets.contains(CRITIC));
        self.reports.push(report.clone());
        if self.stop_after == Some(report.step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn run(
    config: &OfflineConfig,
    rows: &[OfflineRow],
    trainer: &mut Trainer,
    workers: usize,
    stop_after: Option<u64>,
) -> Result<(Ending, Vec<StepReport>), AlgoError> {
    let pool = start_workers(workers, &trainer.weights, config, Kind::Float);
    let stop = AtomicBool::new(false);
    let mut watch = Watch { reports: Vec::new(), stop_after, stop: &stop };
    let ending = train(config, rows, (PAD, 4), trainer, &pool, &stop, &mut watch)?;
    Ok((ending, watch.reports))
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor).unwrap().into_iter().map(f32::to_bits).collect()
}

/// All tensors of a trainer's state.
fn state(trainer: &Trainer) -> [&Tensor; 7] {
    let critic = critic(trainer);
    [
        &trainer.weights.trained.buffer,
        &trainer.optimiser.first,
        &trainer.optimiser.second,
        &critic.params,
        critic.target.as_ref().unwrap(),
        &critic.optimiser.first,
        &critic.optimiser.second,
    ]
}

fn schedule(steps: u64, mode: ActorMode, mixture: Mixture) -> OfflineConfig {
    OfflineConfig {
        schedule: Schedule::Cosine,
        warmup: 0.1,
        floor: 0.02,
        critic_warmup: 2,
        budget: Budget::Steps(steps),
        ..offline_config(mode, mixture)
    }
}

#[test]
fn a_start_keeps_the_model_and_nothing_else() {
    let trainer = fresh();
    assert_eq!(bits(&trainer.weights.trained.buffer), bits(&cloned().weights.trained.buffer));
    assert_eq!((trainer.optimiser.steps, trainer.optimiser.first.norm().double_value(&[])), (0, 0.0));
    assert_eq!(
        (trainer.counters.clone(), trainer.identity.clone()),
        (Counters::start(), identity("offline"))
    );
    let critic = critic(&trainer);
    let target = critic.target.as_ref().unwrap();
    assert_eq!(critic.params.size(), [count(shape().width)]);
    assert_eq!(bits(&critic.params), bits(target));
    // The target network is a copy, and the critics depend on the seed.
    assert_ne!(critic.params.data_ptr(), target.data_ptr());
    let other = init(shape().width, 8, ADAM, Device::Cpu);
    assert_ne!(bits(&other.params), bits(&critic.params));
    let bound = 1.0 / (shape().width as f64).sqrt();
    let largest = critic.params.abs().max().double_value(&[]);
    assert!(largest <= bound && largest > 0.95 * bound, "{largest} of {bound}");
}

#[test]
fn an_interrupted_run_ends_where_an_uninterrupted_one_does() {
    let rows = offline_rows(9, 24);
    let words = encoder();
    for (mode, mixture, update, workers) in [
        (ActorMode::Awr, Mixture::Pooled, TargetUpdate::AfterStep, 1),
        (ActorMode::Awr, Mixture::Pooled, TargetUpdate::AfterStep, 2),
        (ActorMode::LinearOuter, Mixture::Levels, TargetUpdate::BeforeStep, 2),
    ] {
        let config = OfflineConfig { target_update: update, ..schedule(9, mode, mixture) };
        let mut whole = fresh();
        let (ending, all) = run(&config, &rows, &mut whole, workers, None).unwrap();
        assert_eq!((ending, all.len()), (Ending::Complete, 9));
        assert!(whole.counters.epoch > 0, "the run stays within one epoch: {:?}", whole.counters);
        let folder = tempfile::tempdir().unwrap();
        for stop_after in [1, 5] {
            let what = format!("{mode:?} {mixture:?}, {workers} workers, stop after {stop_after}");
            let mut first = fresh();
            let (ending, head) = run(&config, &rows, &mut first, workers, Some(stop_after)).unwrap();
            assert_eq!((ending, head.len() as u64), (Ending::Interrupted, stop_after));
            let saved = save(folder.path(), &first, &words, 3).unwrap();
            drop(first);
            let mut second = load(&saved, ADAM, Device::Cpu, &Bases::default()).unwrap();
            let (ending, tail) = run(&config, &rows, &mut second, workers, None).unwrap();
            assert_eq!(ending, Ending::Complete, "{what}");
            let losses =
                |reports: &[StepReport]| -> Vec<f64> { reports.iter().map(|report| report.loss).collect() };
            assert_eq!([losses(&head), losses(&tail)].concat(), losses(&all), "{what}");
            for (index, (ours, theirs)) in state(&second).into_iter().zip(state(&whole)).enumerate() {
                assert!(bits(ours) == bits(theirs), "{what}: tensor {index}");
            }
            let steps = |trainer: &Trainer| {
                (trainer.optimiser.steps, critic(trainer).optimiser.steps, trainer.counters.step)
            };
            assert_eq!(steps(&second), steps(&whole));
            assert_eq!(steps(&second), (7, 9, 9), "the actor waits for the critics");
            let means =
                |trainer: &Trainer| trainer.counters.weight_means.map(|mean| (mean.factor, mean.count));
            assert_eq!(means(&second), means(&whole), "{what}: running means");
            assert_eq!(means(&whole).iter().all(|(_, count)| *count > 0.0), mode == ActorMode::Awr, "{what}");
        }
    }
}

#[test]
fn a_checkpoint_without_critics_still_loads_and_a_torn_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let saved = save(folder.path(), &cloned(), &encoder(), 3).unwrap();
    let text = fs_err::read_to_string(saved.join("trainer.json")).unwrap();
    assert!(!text.contains("critic"), "behaviour cloning writes what it always wrote");
    let mut trainer = load(&saved, ADAM, Device::Cpu, &Bases::default()).unwrap();
    assert!(!trainer.nets.contains(CRITIC));
    let config = schedule(1, ActorMode::Awr, Mixture::Pooled);
    let error = run(&config, &offline_rows(1, 6), &mut trainer, 1, None).unwrap_err();
    assert!(error.to_string().starts_with("network `critic`: the trainer has none"), "{error}");

    // The state lists critics, but their tensors are absent.
    fs_err::write(
        saved.join("trainer.json"),
        text.replacen("\"optimiser_steps\"", "\"critic_steps\": 3,\n  \"optimiser_steps\"", 1),
    )
    .unwrap();
    reseal(&saved);
    let message = load(&saved, ADAM, Device::Cpu, &Bases::default()).unwrap_err().to_string();
    assert!(message.contains("no tensor `critics`"), "{message}");
}

/// Time and size of the target networks' update, and its effect on the optimiser step.
#[test]
fn slow_copies_move_where_the_profile_says() {
    let rows = offline_rows(2, 12);
    for (update, before) in [(TargetUpdate::AfterStep, false), (TargetUpdate::BeforeStep, true)] {
        let config = OfflineConfig {
            target_update: update,
            batch_tokens: 10_000,
            schedule: Schedule::Constant,
            warmup: 0.0,
            ..schedule(1, ActorMode::Awr, Mixture::Pooled)
        };
        let mut trainer = fresh();
        let net = trainer.nets.get_mut(CRITIC, count(shape().width)).unwrap();
        net.target = Some(net.params.zeros_like());
        let start = net.params.copy();
        run(&config, &rows, &mut trainer, 1, None).unwrap();
        let critic = critic(&trainer);
        assert!(!critic.params.equal(&start));
        // Two updates by 0.2, or one by 1 − 0.8².
        let followed = if before { start } else { critic.params.copy() };
        compare("target networks", critic.target.as_ref().unwrap(), &(followed * 0.36), 1e-6).unwrap();
    }
}

/// Micro-steps are averaged separately; the step is the average of micro-steps.
#[test]
fn a_step_is_the_average_of_its_micro_steps() {
    let rows = offline_rows(5, 12);
    let config = OfflineConfig {
        target_update: TargetUpdate::BeforeStep,
        tau: 0.0,
        batch_rows: 4,
        critic_warmup: 0,
        schedule: Schedule::Constant,
        warmup: 0.0,
        ..schedule(1, ActorMode::LinearOuter, Mixture::Levels)
    };
    let mut trainer = fresh();
    let (_, reports) = run(&config, &rows, &mut trainer, 2, None).unwrap();
    let begin = fresh();
    let pool = start_workers(1, &begin.weights, &config, Kind::Float);
    let plan = stepladder_algo::runtime::plan::BatchPlan {
        mixture: Mixture::Levels,
        batch_tokens: 0,
        batch_rows: 4,
        seed: 4,
    };
    let measured: Vec<(Role, usize)> = rows.iter().map(|row| (row.row.role, row.row.ids.len())).collect();
    let group = plan.epoch(&measured, 0).remove(0);
    // The pairing lists one row per level in turn: the first six are the first half of each level.
    let loss: f64 = group
        .chunks(6)
        .map(|half| {
            let half = half.iter().map(|&index| &rows[index]).collect();
            gradients(&config, half, PAD, (&begin.weights.trained, critic(&begin)), true, &pool).unwrap().loss
                / 2.0
        })
        .sum();
    assert!((reports[0].loss - loss).abs() < 1e-5 * loss.abs(), "{} for {loss}", reports[0].loss);
}

#[test]
fn model_and_critics_are_clipped_together_and_step_with_rates_of_their_own() {
    let rows = offline_rows(2, 12);
    let config = OfflineConfig {
        batch_tokens: 10_000,
        critic_warmup: 0,
        schedule: Schedule::Constant,
        warmup: 0.0,
        ..schedule(1, ActorMode::Awr, Mixture::Pooled)
    };
    let begin = fresh();
    let pool = start_workers(1, &begin.weights, &config, Kind::Float);
    let start_critic = critic(&begin);
    let found =
        gradients(&config, rows.iter().collect(), PAD, (&begin.weights.trained, start_critic), true, &pool)
            .unwrap();
    let both = Tensor::cat(&[&found.actor, &found.critics], 0);
    let mut optimiser = AdamW::new(AdamWConfig { clip: 0.1, eps: 1e-3, ..ADAM }, &both);
    let start_values = Tensor::cat(&[&begin.weights.trained.buffer, &start_critic.params], 0);
    // One AdamW over everything, taken once with each rate.
    let after = [config.learning_rate, config.critic_learning_rate].map(|rate| {
        let mut buffer = start_values.copy();
        let mut optimiser = AdamW::new(optimiser.config, &buffer);
        optimiser.step(&mut buffer, &both, rate);
        buffer
    });
    let norm = optimiser.step(&mut start_values.copy(), &both, 1.0);
    assert!(norm > 0.1, "nothing is clipped");

    let mut trainer = start(cloned(), AdamWConfig { clip: 0.1, eps: 1e-3, ..ADAM }, identity("x"), 7);
    let (_, reports) = run(&config, &rows, &mut trainer, 1, None).unwrap();
    assert!((reports[0].gradient_norm - norm).abs() < 1e-5 * norm);
    let model = begin.weights.trained.count();
    compare("model", &trainer.weights.trained.buffer, &after[0].narrow(0, 0, model), 1e-6).unwrap();
    let wanted = after[1].narrow(0, model, count(shape().width));
    compare("critics", &critic(&trainer).params, &wanted, 1e-6).unwrap();
}

#[test]
fn broken_numbers_change_nothing_and_end_the_run() {
    let mut rows = offline_rows(2, 12);
    for row in &mut rows {
        row.rewards[0] = f64::NAN;
    }
    let config = schedule(50, ActorMode::Awr, Mixture::Pooled);
    let mut trainer = fresh();
    let error = run(&config, &rows, &mut trainer, 2, None).unwrap_err();
    assert!(matches!(error, AlgoError::NotFinite { times: 5, .. }), "{error}");
    for (index, (ours, theirs)) in state(&trainer).into_iter().zip(state(&fresh())).enumerate() {
        assert!(bits(ours) == bits(theirs), "tensor {index}");
    }
}

#[test]
fn a_level_without_rows_is_left_out_and_nothing_at_all_is_an_error() {
    let rows: Vec<OfflineRow> =
        offline_rows(2, 12).into_iter().filter(|row| row.row.role == Role::Executor).collect();
    for mixture in [Mixture::Pooled, Mixture::Levels] {
        let config = OfflineConfig { critic_warmup: 0, ..schedule(2, ActorMode::Awr, mixture) };
        let (_, reports) = run(&config, &rows, &mut fresh(), 2, None).unwrap();
        for report in reports {
            assert!(report.loss.is_finite());
            assert!(report.extra.iter().all(|(name, value)| {
                value.is_finite() && METRICS.iter().any(|(known, ..)| known == name)
            }));
            let names: Vec<&str> = report.extra.iter().map(|(name, _)| *name).collect();
            assert!(names.contains(&"q/executor") && !names.contains(&"q/planner"), "{names:?}");
            assert_eq!(report.per_role[Role::Planner as usize], (0.0, 0.0));
        }
    }
    let config = schedule(2, ActorMode::Awr, Mixture::Pooled);
    assert!(matches!(run(&config, &[], &mut fresh(), 1, None), Err(AlgoError::NoData(_))));
    let mut long = rows[0].clone();
    (long.done, long.next) = (false, vec![4; shape().max_positions as usize + 1]);
    let error = run(&config, &[long], &mut fresh(), 1, None).unwrap_err();
    assert!(
        error.to_string().starts_with("a training row has 49 tokens, the model's context window holds 48"),
        "{error}"
    );
    let mut silent = rows[0].clone();
    silent.row.replies.clear();
    assert!(matches!(run(&config, &[silent], &mut fresh(), 1, None), Err(AlgoError::NoData(_))));
}
