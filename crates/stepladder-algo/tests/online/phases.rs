//! HiMAC's rules of docs/spec/algorithms.md 9.2, on the toy environment.

use crate::echo::*;
use stepladder_algo::himac::{AllFailed, Himac, HimacConfig, Moments};
use stepladder_algo::online::reward::Reward;
use stepladder_algo::online::{OnlineConfig, train};
use stepladder_algo::runtime::optimiser::AdamW;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_env::TaskSet;

use crate::Kept;

type Metrics = std::collections::BTreeMap<&'static str, f64>;

fn run(rules: HimacConfig, config: &OnlineConfig) -> (Trainer, Vec<Metrics>) {
    let fixture = Fixture::new();
    let pool = Echoes.tasks("all").unwrap();
    let mut trainer = fixture.warm();
    let reference = trainer.weights.trained.buffer.copy();
    let mut kept = Kept(Vec::new());
    let mut method = Himac { config: rules, ..best() };
    let rollouts = fixture.rollouts(&pool, 1, himac());
    train(&mut method, config, &rollouts, &mut trainer, &reference, &mut kept).unwrap();
    (trainer, kept.0)
}

#[test]
fn each_phase_has_an_optimiser_state_of_its_own() {
    // One step per phase.
    let config = OnlineConfig { mini_batch: 10_000, ..config(3.0) };
    let (own, _) = run(HimacConfig::default(), &config);
    let (shared, _) = run(HimacConfig { moments: Moments::Shared, ..HimacConfig::default() }, &config);
    let adapt = own.adapt.as_ref().unwrap();
    assert!((1..=3).contains(&own.optimiser.steps) && (1..=3).contains(&adapt.steps));
    assert!(shared.adapt.is_none() && shared.optimiser.steps > 3);
    let moment = |optimiser: &AdamW| optimiser.first.norm().double_value(&[]);
    assert!(moment(&own.optimiser) > 0.0 && moment(adapt) > 0.0 && moment(&own.optimiser) != moment(adapt));
}

#[test]
fn tasks_that_no_blueprint_solves_are_left_out() {
    let config = OnlineConfig { reward: Reward::Success, group: 2, ..config(6.0) };
    let total = |metrics: &[Metrics], name: &str| metrics.iter().map(|row| row[name]).sum::<f64>();
    let (_, skipped) = run(HimacConfig::default(), &config);
    let (_, all) = run(HimacConfig { all_failed: AllFailed::Train, ..HimacConfig::default() }, &config);
    assert!(total(&skipped, "skipped_tasks") > 0.0);
    assert_eq!(total(&all, "skipped_tasks"), 0.0);
    // Six tasks, two episodes each, four steps.
    for row in &all {
        assert_eq!(row["adapt/env_steps"], 48.0);
    }
    for row in &skipped {
        assert_eq!(row["adapt/env_steps"], ((1.0 - row["skipped_tasks"]) * 48.0).round());
    }
}

#[test]
fn the_role_that_does_not_learn_stays_near_the_start() {
    let config = OnlineConfig { kl: 0.0, ..config(8.0) };
    let drift = |kl_idle| {
        let (_, metrics) = run(HimacConfig { kl_idle, ..HimacConfig::default() }, &config);
        metrics[4..].iter().map(|row| row["kl_idle"]).sum::<f64>() / 4.0
    };
    let (free, held) = (drift(1e-9), drift(3.0));
    assert!(held < 0.5 * free, "{held} {free}");
    let (_, metrics) = run(HimacConfig::default(), &config);
    assert!(metrics.iter().all(|row| !row.contains_key("kl_idle")));
}
