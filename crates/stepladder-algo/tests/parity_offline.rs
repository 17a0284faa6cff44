//! Offline actor-critic against PyTorch (parity/offline_ac): losses, gradient norms, model, critics and target networks after
//! one and five optimiser steps, for every actor mode and both targets of V, with the tolerances that `meta.json` states.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use common::{compare, decision, named, read_json};
use serde_json::Value;
use stepladder_algo::AlgoError;
use stepladder_algo::offline_ac::critics::{CRITIC, count, entries};
use stepladder_algo::offline_ac::{OfflineConfig, WeightMean, start, train, workers as start_workers};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::net::Net;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_core::reply::Profile;
use stepladder_data::OfflineRow;
use stepladder_data::rows::{Row, Span};
use stepladder_model::{Params, checkpoint};
use tch::{Device, Kind, Tensor};

struct Fixture {
    directory: PathBuf,
    case: Value,
    meta: Value,
    expected: BTreeMap<String, Tensor>,
    pad: u32,
}

fn of_json<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn fixture() -> Fixture {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/offline_ac");
    let expected = checkpoint::read_tensors(&directory.join("expected.safetensors")).unwrap();
    let case = read_json(&directory.join("case.json"));
    let pad = case["pad"].as_u64().unwrap() as u32;
    let meta = read_json(&directory.join("meta.json"));
    Fixture { case, meta, expected: expected.into_iter().collect(), directory, pad }
}

/// Parameters in the alphabetical order of their names in transformers.
fn flat_model(params: &Params) -> Tensor {
    let sorted: BTreeMap<String, Tensor> = named(params).into_iter().collect();
    Tensor::cat(&sorted.into_values().map(|tensor| tensor.reshape([-1])).collect::<Vec<_>>(), 0)
}

fn state(trainer: &Trainer) -> [(&'static str, Tensor); 3] {
    let width = trainer.weights.config().shape.width;
    let critic = trainer.nets.get(CRITIC, count(width)).unwrap();
    [
        ("model", flat_model(&trainer.weights.trained)),
        ("critics", critic.params.copy()),
        ("targets", critic.target.as_ref().unwrap().copy()),
    ]
}

impl Fixture {
    fn rows(&self) -> Vec<OfflineRow> {
        let row = |row: &Value| {
            let rewards = decision(of_json(&row["reward"]), of_json(&row["steps"]));
            let next: Vec<u32> = of_json(&row["next"]);
            let done: bool = of_json(&row["done"]);
            let row = Row {
                role: of_json(&row["role"]),
                ids: of_json(&row["ids"]),
                replies: vec![Span { start: of_json(&row["start"]), len: of_json(&row["len"]) }],
                prompts: Vec::new(),
                weight: of_json(&row["weight"]),
            };
            OfflineRow::new(row, rewards, (!done).then_some(next))
        };
        self.case["rows"].as_array().unwrap().iter().map(row).collect()
    }

    /// One step with all rows.
    fn config(&self, variant: &Value) -> OfflineConfig {
        let number = |name: &str| self.case["numbers"][name].as_f64().unwrap();
        OfflineConfig {
            actor_mode: of_json(&variant["actor_mode"]),
            v_target_at: of_json(&variant["v_target_at"]),
            mixture: of_json(&variant["mixture"]),
            target_update: of_json(&variant["target_update"]),
            critic_warmup: of_json(&variant["critic_warmup"]),
            micro_steps: of_json(&variant["micro_steps"]),
            gamma: number("gamma"),
            omega: number("omega"),
            tau: number("tau"),
            temperature: number("temperature"),
            weight_clip: number("weight_clip"),
            learning_rate: number("actor_learning_rate"),
            critic_learning_rate: number("critic_learning_rate"),
            weight_mean: WeightMean::Step,
            schedule: Schedule::Constant,
            batch_rows: 4,
            batch_tokens: 100_000,
            budget: Budget::Steps(5),
            ..OfflineConfig::profile(Profile::Fixed)
        }
    }

    fn trainer(&self) -> Trainer {
        let weights = checkpoint::load(&self.directory, &BTreeSet::new(), Device::Cpu).unwrap();
        let adam: AdamWConfig = of_json(&self.case["optimiser"]);
        let identity = Identity { agent: "test".into(), style: "test".into(), data: "0".into(), base: None };
        let cloned = Trainer::new(weights, adam, identity.clone());
        let mut trainer = start(cloned, adam, identity, 0);
        let width = trainer.weights.config().shape.width;
        let critic = trainer.nets.get_mut(CRITIC, count(width)).unwrap();
        let mut values = checkpoint::read_tensors(&self.directory.join("critics.safetensors")).unwrap();
        assert_eq!(of_json::<Vec<(String, Vec<i64>)>>(&self.case["critics"]), entries(width));
        critic.params = values.remove("online").unwrap();
        critic.target = values.remove("target");
        trainer
    }

    /// Returns the largest relative error of an update over five steps of a variant against PyTorch.
    fn check(
        &self,
        variant: &Value,
        workers: usize,
        change: impl Fn(&mut OfflineConfig, &mut Net),
    ) -> Result<f64, String> {
        let mut config = self.config(variant);
        let mut trainer = self.trainer();
        let width = trainer.weights.config().shape.width;
        change(&mut config, trainer.nets.get_mut(CRITIC, count(width)).unwrap());
        let begin = state(&self.trainer());
        let mut compared = Compared { fixture: self, variant, begin, worst: 0.0, failure: None };
        let pool = start_workers(workers, &trainer.weights, &config, Kind::Float);
        let stop = AtomicBool::new(false);
        train(&config, &self.rows(), (self.pad, 0), &mut trainer, &pool, &stop, &mut compared).unwrap();
        assert_eq!(trainer.counters.step, 5);
        compared.failure.map_or(Ok(compared.worst), Err)
    }
}

struct Compared<'a> {
    fixture: &'a Fixture,
    variant: &'a Value,
    begin: [(&'static str, Tensor); 3],
    worst: f64,
    failure: Option<String>,
}

impl Compared<'_> {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), String> {
        let name = self.variant["name"].as_str().unwrap();
        let meta = &self.fixture.meta;
        let wanted = &meta["steps"][name][report.step as usize - 1];
        let actor = report.extra.iter().find(|(name, _)| *name == "actor_loss").unwrap().1;
        // While only critics are trained, the reported loss includes the actor's.
        for (what, found, tolerance) in [
            ("loss", report.loss, "loss"),
            ("actor_loss", actor, "loss"),
            ("norm", report.gradient_norm, "norm"),
        ] {
            let tolerance = meta["tolerance"][tolerance]["relative"].as_f64().unwrap();
            let expected = wanted[what].as_f64().unwrap();
            if (found - expected).abs() > tolerance * (0.1 + expected.abs()) {
                return Err(format!("{name} step {}: {what} {found} for {expected}", report.step));
            }
        }
        let after = format!("after_{}", report.step);
        for (part, now) in state(trainer) {
            let Some(wanted) = self.fixture.expected.get(&format!("{name}/{after}/{part}")) else { continue };
            let (_, begin) = self.begin.iter().find(|(other, _)| *other == part).unwrap();
            let updates = [&now, wanted].map(|now| now.to_kind(Kind::Double) - begin.to_kind(Kind::Double));
            let tolerance = meta["tolerance"][&after]["relative_to_largest_update"].as_f64().unwrap();
            let error = compare(&format!("{name} {after} {part}"), &updates[0], &updates[1], tolerance)?;
            self.worst = self.worst.max(error);
        }
        Ok(())
    }
}

impl Observer for Compared<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let failure = self.step(trainer, report).err();
        self.failure = self.failure.take().or(failure);
        Ok(())
    }
}

#[test]
fn every_variant_makes_pytorchs_steps() {
    let fixture = fixture();
    let variants = fixture.case["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 10);
    assert_eq!(fixture.expected.len(), variants.len() * 2 * 3);
    for variant in variants {
        for workers in [1, 2] {
            let worst = fixture.check(variant, workers, |_, _| {}).unwrap();
            println!("{}, {workers} workers: worst relative error {worst:.1e}", variant["name"]);
        }
    }
}

/// Variants on which the released code and its description differ, and likely mistakes: each one fails as any other.
#[test]
fn other_algorithms_do_not_pass() {
    let fixture = fixture();
    let variant = &fixture.case["variants"][0];
    assert!(fixture.check(variant, 1, |_, _| {}).is_ok());
    let passes = |change: &dyn Fn(&mut OfflineConfig, &mut Net)| fixture.check(variant, 1, change).is_ok();
    for other in &fixture.case["variants"].as_array().unwrap()[1..] {
        let other = fixture.config(other);
        assert!(
            !passes(&|config, _| *config = other.clone()),
            "{:?} {:?}",
            other.actor_mode,
            other.v_target_at
        );
    }
    assert!(!passes(&|config, _| config.omega = 1.0 - config.omega));
    assert!(!passes(&|config, _| config.gamma = 1.0));
    assert!(!passes(&|config, _| config.weight_clip = 20.0));
    assert!(!passes(&|config, _| config.temperature = 0.25));
    assert!(!passes(&|config, _| config.weight_mean = WeightMean::Running));
    assert!(!passes(&|config, _| config.micro_steps = 1));
    assert!(!passes(&|config, _| config.learning_rate *= 1.01));
    assert!(!passes(&|config, _| config.critic_learning_rate *= 1.01));
    assert!(!passes(&|_, critic| critic.target = Some(critic.params.copy())));
    assert!(!passes(&|_, critic| critic.optimiser.config.weight_decay = 0.0));
}
