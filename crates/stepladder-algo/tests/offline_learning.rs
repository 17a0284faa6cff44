//! On a small decision problem, critics converge to the solution of dynamic programming, and the actor follows the critics.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::sync::atomic::AtomicBool;

use common::{PAD, factors, offline_config, params, shape, weights};
use stepladder_algo::AlgoError;
use stepladder_algo::offline_ac::critics::{CRITIC, count, heads};
use stepladder_algo::offline_ac::quality::{metrics, quality};
use stepladder_algo::offline_ac::{OfflineConfig, start, train, workers};
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_core::Role;
use stepladder_data::offline::HeldOut;
use stepladder_data::rows::{Row, Span};
use stepladder_data::{Level, OfflineRow};
use stepladder_model::{Decoder, Frame, Lora, Params};
use tch::{Kind, Tensor};

const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.0, clip: 1e9 };
const END: u32 = 2;

/// `(state, action, reward, next state, length of the decision, times seen)`; no next state: done.
type Edge = (usize, u32, f64, Option<usize>, u32, u32);

/// Three states in a row, with the actions go on, give up, and (in the middle) stay.
const CHAIN: [Edge; 7] = [
    (0, 10, 0.0, Some(1), 2, 3),
    (0, 11, -1.0, None, 1, 1),
    (1, 10, 0.1, Some(2), 2, 2),
    (1, 12, -0.2, Some(1), 1, 1),
    (1, 11, 0.3, None, 1, 2),
    (2, 10, 1.0, None, 1, 4),
    (2, 11, -0.5, None, 1, 1),
];

fn prompt(state: usize) -> Vec<u32> {
    vec![20 + state as u32, 5]
}

fn row(role: Role, factor: f64, &(state, action, reward, next, steps, times): &Edge) -> OfflineRow {
    let mut ids = prompt(state);
    ids.extend([action, END]);
    let replies = vec![Span { start: 2, len: 2 }];
    let row = Row { role, ids, replies, prompts: Vec::new(), weight: times as f32 };
    OfflineRow::new(row, common::decision(reward * factor, steps as usize), next.map(prompt))
}

/// Rewards differ by level, so that a level that reads another one's rewards is detected.
fn factor_of(role: Role) -> f64 {
    match role {
        Role::Planner => 1.0,
        Role::Executor => -0.7,
        _ => 0.4,
    }
}

/// Fixed point of  Q = r + Γ V(x') within ± `bound`,  V = argmin Σ c w(V − Q)(V − Q)²,  by iteration.
fn solve(factor: f64, gamma: f64, omega: f64, bound: f64) -> ([f64; 3], [f64; 7]) {
    let (mut v, mut q) = ([0.0f64; 3], [0.0f64; 7]);
    for _ in 0..2000 {
        for (q, (_, _, reward, next, steps, _)) in q.iter_mut().zip(CHAIN) {
            let target = factor * reward + next.map_or(0.0, |next| gamma.powi(steps as i32) * v[next]);
            *q = target.clamp(-bound, bound);
        }
        for (state, v) in v.iter_mut().enumerate() {
            let (mut sum, mut total) = (0.0, 0.0);
            for (q, (at, .., times)) in q.iter().zip(CHAIN) {
                if at == state {
                    let weight = f64::from(times) * if *v < *q { 1.0 - omega } else { omega };
                    (sum, total) = (sum + weight * q, total + weight);
                }
            }
            *v = sum / total;
        }
    }
    (v, q)
}

struct Quiet;

impl Observer for Quiet {
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<(), AlgoError> {
        Ok(())
    }
}

fn identity() -> Identity {
    Identity { agent: "test".into(), style: "test-v1".into(), data: "0".into(), base: None }
}

fn fresh() -> Trainer {
    let params = params(shape(), &factors(), 3);
    let cloned = Trainer::new(weights(&params), ADAM, identity());
    start(cloned, ADAM, identity(), 1)
}

fn run(config: &OfflineConfig, trainer: &mut Trainer) {
    let rows: Vec<OfflineRow> = Level::ALL
        .into_iter()
        .map(Level::role)
        .flat_map(|role| CHAIN.iter().map(move |edge| row(role, factor_of(role), edge)))
        .collect();
    let pool = workers(1, &trainer.weights, config, Kind::Float);
    let stop = AtomicBool::new(false);
    let ending = train(config, &rows, (PAD, 4), trainer, &pool, &stop, &mut Quiet).unwrap();
    assert_eq!(ending, Ending::Complete);
}

/// `f` with the decoder of these parameters.
fn with_decoder<T>(params: &Params, f: impl FnOnce(&Decoder) -> T) -> T {
    let frame = Frame::new(&weights(params), Kind::Float);
    f(&frame.decoder(&params.buffer))
}

fn ids(words: &[u32]) -> Tensor {
    Tensor::from_slice(&words.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).unsqueeze(0)
}

/// V of every state and Q of every edge, of one level.
fn learnt(trainer: &Trainer, level: Level) -> (Vec<f64>, Vec<f64>) {
    let width = shape().width;
    let heads = heads(&trainer.nets.get(CRITIC, count(width)).unwrap().params, width);
    with_decoder(&trainer.weights.trained, |decoder| {
        let last =
            |words: &[u32]| decoder.features(&decoder.hidden(&ids(words)).unwrap().select(1, -1)).unwrap();
        let v = (0..3).map(|state| heads[level].v.value(&last(&prompt(state))).unwrap().double_value(&[0]));
        let q = CHAIN.iter().map(|edge| {
            let words = row(Role::Planner, 1.0, edge).row.ids;
            heads[level].q.value(&last(&words)).unwrap().double_value(&[0])
        });
        (v.collect(), q.collect())
    })
}

#[test]
fn critics_learn_the_values_of_dynamic_programming() {
    let mut middle = Vec::new();
    for (omega, value_bound) in [(0.95, None), (0.5, None), (0.05, None), (0.5, Some(0.35))] {
        let config = OfflineConfig {
            omega,
            value_bound,
            gamma: 0.9,
            critic_warmup: u64::MAX,
            critic_learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            floor: 0.01,
            batch_tokens: 100_000,
            budget: Budget::Steps(700),
            ..offline_config(ActorMode::Awr, Mixture::Pooled)
        };
        let bound = value_bound.unwrap_or(f64::INFINITY);
        let mut trainer = fresh();
        let before = trainer.weights.trained.buffer.copy();
        run(&config, &mut trainer);
        assert!(trainer.weights.trained.buffer.equal(&before), "critics alone move no model");
        for level in Level::ALL {
            let role = level.role();
            let (v, q) = solve(factor_of(role), config.gamma, omega, bound);
            let (found_v, found_q) = learnt(&trainer, level);
            let worst = found_v.iter().zip(&v).chain(found_q.iter().zip(&q)).map(|(a, b)| (a - b).abs());
            let worst = worst.fold(0.0, f64::max);
            println!("ω {omega}, {}: V {found_v:.3?} for {v:.3?}, worst error {worst:.4}", role.name());
            assert!(
                worst < 0.005,
                "ω {omega}, {}: V {found_v:?} for {v:?}, Q {found_q:?} for {q:?}",
                role.name()
            );
        }
        middle.push(solve(1.0, 0.9, omega, bound).0[1]);
    }
    // The three directions are three different problems, and so is the bounded one.
    assert!(middle[0] < middle[1] - 0.1 && middle[1] < middle[2] - 0.1, "{middle:?}");
    assert!(middle[3] < middle[1] - 0.1, "{middle:?}");
}

/// Trains the planner's level and checks that it goes on wherever that was better.
fn prefers_what_was_better(mut trainer: Trainer, learning_rate: f64) {
    let config = OfflineConfig {
        omega: 0.5,
        gamma: 0.9,
        temperature: 0.1,
        critic_warmup: 300,
        critic_learning_rate: 5e-3,
        learning_rate,
        batch_rows: 7,
        budget: Budget::Steps(600),
        ..offline_config(ActorMode::Awr, Mixture::Levels)
    };
    // The levels share prompts and prefer different replies, so only one level is trained.
    let rows: Vec<OfflineRow> = CHAIN.iter().map(|edge| row(Role::Planner, 1.0, edge)).collect();
    let pool = workers(2, &trainer.weights, &config, Kind::Float);
    let stop = AtomicBool::new(false);
    train(&config, &rows, (PAD, 4), &mut trainer, &pool, &stop, &mut Quiet).unwrap();
    let frame = Frame::new(&trainer.weights, Kind::Float);
    let decoder = frame.decoder(&trainer.weights.trained.buffer);
    for state in 0..3 {
        let hidden = decoder.hidden(&ids(&prompt(state))).unwrap().select(1, -1);
        let said = decoder.logits(&hidden).unwrap().softmax(-1, Kind::Float);
        let [go, give_up] = [10, 11].map(|word| said.double_value(&[0, word]));
        // In the data, going on is 3, 1 and 4 times as frequent.
        let ratio = [3.0, 1.0, 4.0][state];
        assert!(go > 2.0 * ratio * give_up && go > 0.8, "state {state}: {go} and {give_up}");
    }
}

#[test]
fn the_actor_prefers_what_was_better_than_expected() {
    prefers_what_was_better(fresh(), 2e-3);
}

#[test]
fn adapters_over_a_frozen_model_prefer_what_was_better_than_expected() {
    let base = weights(&params(shape(), &factors(), 3));
    // Vectors of the length of pretrained ones; adapters do not reach the output matrix.
    let _ = base.get("embed.own").unwrap().g_mul_scalar_(10.0);
    let lora = Lora { rank: 8, alpha: 16.0, ..Lora::default() };
    let adapted = Trainer::new(base.with_lora(&lora, 1).unwrap(), ADAM, identity());
    prefers_what_was_better(start(adapted, ADAM, identity(), 1), 5e-3);
}

/// State, action and next state of an episode that gives up in the first state or goes on to the end.
fn walk(up_to: usize, last_action: u32, reward: f64, ends: bool) -> Vec<Edge> {
    (0..=up_to)
        .map(|state| {
            let last = state == up_to;
            let next = if last { (!ends).then_some(state) } else { Some(state + 1) };
            (state, if last { last_action } else { 10 }, if last { reward } else { 0.0 }, next, 1, 1)
        })
        .collect()
}

fn planner(edges: &[Edge]) -> Vec<OfflineRow> {
    edges.iter().map(|edge| row(Role::Planner, 1.0, edge)).collect()
}

/// A chain with a step limit. Episodes end in the third state, where one half is solved and the other walks in circles until the limit.
/// Where the limit ends the return, the critics learn that the circle is worth nothing. Where it bootstraps, no transition says so: the
/// circle feeds on its own value and is worth as much as the way out.
#[test]
fn failures_at_the_step_limit_become_worth_less_only_where_the_limit_ends_the_return() {
    let solved = walk(2, 10, 1.0, true);
    let circle = (2, 12, 0.0, Some(2), 1, 1);
    let failed = |ends: bool| {
        let mut edges = walk(1, 10, 0.0, false);
        edges[1].3 = Some(2);
        edges.extend([circle, (2, 12, 0.0, (!ends).then_some(2), 1, 1)]);
        edges
    };
    let held = |edges: &[Edge], solved| HeldOut { rows: planner(edges), solved };
    let mut found = Vec::new();
    for ends in [true, false] {
        let config = OfflineConfig {
            omega: 0.05,
            gamma: 0.9,
            critic_warmup: u64::MAX,
            critic_learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            floor: 0.01,
            batch_tokens: 100_000,
            budget: Budget::Steps(500),
            ..offline_config(ActorMode::Awr, Mixture::Pooled)
        };
        let rows = [planner(&solved), planner(&failed(ends))].concat();
        let mut trainer = fresh();
        let pool = workers(1, &trainer.weights, &config, Kind::Float);
        train(&config, &rows, (PAD, 4), &mut trainer, &pool, &AtomicBool::new(false), &mut Quiet).unwrap();
        let episodes = [held(&solved, true), held(&failed(ends), false)];
        let measured = quality(&config, &episodes, PAD, &trainer, Kind::Float).unwrap();
        let of_planner = measured.planner.clone().unwrap();
        assert!(measured.executor.is_none() && measured.progress.is_none());
        assert_eq!(metrics(&measured).len(), 4);
        assert_eq!(of_planner.rows, 3 + 4);
        // The values that the heads have for the edges themselves.
        let (_, q) = learnt(&trainer, Level::Planner);
        let way_out = q[5];
        let mean = (q[0] + q[2] + way_out) / 3.0;
        assert!((of_planner.q.mean_solved - mean).abs() < 1e-4, "{of_planner:?} {mean}");
        found.push((of_planner.q.mean_failed, of_planner.q.auc));
    }
    // By dynamic programming, with q the value of the circle and v = V(2) = (0.95 + 0.1 q) / 1.05: q = 0.9 v / 2 where the limit ends the
    // return, and 0.9 v where it does not. Both episodes share their first two decisions, worth 0.81 v and 0.9 v.
    let [(ended, auc), (bootstrapped, _)] = found[..] else { panic!("two runs") };
    let mean_failed = |q_of_v: f64| {
        let v = 0.95 / (1.05 - 0.1 * q_of_v);
        v * (0.81 + 0.9 + 2.0 * q_of_v) / 4.0
    };
    assert!((ended - mean_failed(0.45)).abs() < 0.02, "{ended} for {}", mean_failed(0.45));
    assert!((bootstrapped - mean_failed(0.9)).abs() < 0.02, "{bootstrapped} for {}", mean_failed(0.9));
    assert!((auc - 5.0 / 6.0).abs() < 0.01, "{auc}");
}
