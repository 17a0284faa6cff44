//! One policy at the lock: cloning of demonstrations in random order, then learning by playing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::seq::SliceRandom;
use stepladder_agent::himac::{Blueprint, Sees};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::himac::{Himac, HimacConfig, Phases, Selection};
use stepladder_algo::online::rollouts::{Rollouts, Sampled};
use stepladder_algo::online::{Method, OnlineConfig, train};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::blueprint::{write, write_micro};
use stepladder_core::codec::Plain;
use stepladder_core::seed::stream;
use stepladder_core::{Observation, Query, Role, TaskKey};
use stepladder_data::rows::{row, texts};
use stepladder_data::{Budgets, CompactWords, PromptEncoder, Sample};
use stepladder_env::TaskSet;
use stepladder_model::engine::Memory;
use stepladder_model::{Factors, LocalSource, ModelConfig, Shape, Weights};
use stepladder_rollout::Job;
use tch::{Device, Kind};

use crate::env::{Guide, LEVERS, Locks, STATIONS, code, hall, named, path, stations, task};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Steps of cloning after which an executor carries out every blueprint.
pub(crate) const CLONING: u64 = 600;
const ADAMW: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

/// Macro and micro, each prompt with the active sub-goal alone.
pub(crate) fn himac() -> AgentSpec {
    AgentSpec { history: Some(0), sees: Sees::Segment, ..AgentSpec::from(AgentKind::Himac) }
}

/// One role that sees the task and the place.
pub(crate) fn flat() -> AgentSpec {
    AgentSpec { history: Some(1), ..AgentSpec::from(AgentKind::Flat) }
}

/// HiMAC with these phases.
pub(crate) fn method(phases: Phases) -> Himac {
    let config = HimacConfig { explore_mini_batch: Some(16), kl_idle: 1.0, ..HimacConfig::default() };
    Himac { selection: Selection::Best, coevolution: true, phases, config }
}

/// The hyperparameters of every method.
pub(crate) fn config(env_steps: u64) -> OnlineConfig {
    OnlineConfig {
        tasks_per_iteration: 8,
        group: 8,
        batch_tokens: 4096,
        mini_batch: 4096,
        learning_rate: 1e-3,
        kl: 0.0,
        budget: Budget::EnvSteps(env_steps),
        ..OnlineConfig::default()
    }
}

fn seen(place: &str) -> Observation {
    Observation { feedback: place.to_owned(), context: String::new() }
}

/// The places of a visit to a station with the action in each.
fn visit(pulled: &[usize], station: usize, moves: u32) -> Vec<(String, String)> {
    let mut steps = vec![(hall(pulled), format!("walk {}", STATIONS[station]))];
    steps.extend((1..moves).map(|walked| (path(station, walked, moves), "on".to_owned())));
    steps.push((path(station, moves, moves), "pull".to_owned()));
    steps
}

/// Demonstrations that pull the levers of each task in `orders` random orders, as an agent plays them.
fn demonstrations(agent: AgentSpec, moves: u32, orders: usize, seed: u64) -> Vec<Sample> {
    let mut rng = stream(seed, "lock demonstrations", &[]);
    let mut samples = Vec::new();
    for named in named() {
        for _ in 0..orders {
            let mut order = named;
            order.shuffle(&mut rng);
            let names = order.map(|station| STATIONS[station]);
            let query = Query::Macro { task: task(&named), observation: seen(&hall(&[])) };
            samples.push(Sample { query, reply: write(&names) });
            let mut before = (String::new(), hall(&[]));
            for (count, &station) in order.iter().enumerate() {
                for (place, action) in visit(&order[..count], station, moves) {
                    let query = Query::Micro {
                        task: String::new(),
                        blueprint: vec![names[count].to_owned()],
                        active: 0,
                        history: Vec::new(),
                        observation: seen(&place),
                    };
                    samples.push(Sample { query, reply: write_micro(Some(&action), action == "pull") });
                    let history = vec![(before.0.clone(), place.clone())];
                    let query = Query::Flat { task: task(&named), context: String::new(), history };
                    samples.push(Sample { query, reply: action.clone() });
                    before = (action, place);
                }
            }
        }
    }
    samples.retain(|sample| agent.has(sample.role()));
    samples
}

/// What a method learnt.
pub(crate) struct Learnt {
    /// Environment steps and greedy success, at the beginning, about every `every` steps and at the end.
    pub(crate) points: Vec<(u64, f64)>,
    /// Follow rate of every iteration of HiMAC.
    pub(crate) follow_rates: Vec<f64>,
    /// Fraction of degenerate groups in every phase B.
    pub(crate) degenerate: Vec<f64>,
}

struct Curve<'a> {
    lock: &'a Trial,
    every: u64,
    learnt: Learnt,
}

impl Observer for Curve<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let metric =
            |wanted: &str| report.extra.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        self.learnt.follow_rates.extend(metric("follow_rate"));
        self.learnt.degenerate.extend(metric("adapt/degenerate_groups"));
        let steps = trainer.counters.env_steps;
        if self.learnt.points.last().is_none_or(|&(last, _)| steps >= last + self.every) {
            let success = self.lock.success(trainer, |_| Blueprint::Own)?;
            self.learnt.points.push((steps, success));
        }
        Ok(())
    }
}

/// A lock with a cloned policy.
pub(crate) struct Trial {
    encoder: Arc<CompactWords>,
    locks: Locks,
    pool: Vec<TaskKey>,
    agent: AgentSpec,
    seed: u64,
}

impl Trial {
    /// Creates the lock and clones its demonstrations as an agent plays them, in `steps` steps.
    pub(crate) fn new(
        agent: AgentSpec,
        moves: u32,
        seed: u64,
        steps: u64,
    ) -> Result<(Self, Trainer), AlgoError> {
        let samples = demonstrations(agent, moves, 12, seed);
        let bare = CompactWords::new(Arc::new(Plain), Budgets { short: 8, long: 16, ..Budgets::default() });
        let words: Vec<String> = texts(&samples, &bare);
        let encoder = Arc::new(bare.with_words(words.iter().map(String::as_str)));
        let shape = Shape {
            width: 48,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            ffn: 96,
            max_positions: 64,
            rope_theta: 100.0,
            norm_eps: 1e-5,
            tied: true,
        };
        let factors = Factors { names: vec![], of_word: vec![vec![]; encoder.vocab()] };
        let model = ModelConfig::new(shape, encoder.vocab(), 0)?;
        let weights = Weights::init(&model, seed, Device::Cpu).with_factors(factors)?;
        let text = || "lock".to_owned();
        let identity = Identity { agent: text(), style: text(), data: text(), base: None };
        let mut trainer = Trainer::new(weights, ADAMW, identity);
        let rows = samples.iter().map(|sample| row(sample, &*encoder)).collect::<Result<Vec<_>, _>>();
        let mut rows = rows.map_err(|error| AlgoError::NoData(error.to_string()))?;
        // Every distinct sample once, so that all orders of a task are alike; scripted moves are the same in all of them.
        let mut distinct = HashSet::new();
        rows.retain(|row| distinct.insert(row.ids.clone()));
        let cloning = BcConfig {
            budget: Budget::Steps(steps),
            batch_tokens: 2048,
            learning_rate: 3e-3,
            warmup: 0.1,
            group_rows: 0,
            ..BcConfig::default()
        };
        let workers = Workers::cloning(1, &trainer.weights, Kind::Float);
        bc::train(&cloning, &rows, seed, &mut trainer, &workers, &NEVER, &mut Silent)?;
        trainer.counters = Counters::start();
        trainer.optimiser = AdamW::new(ADAMW, &trainer.weights.trained.buffer);
        let locks = Locks { moves };
        let pool = locks.tasks("all").map_err(|error| AlgoError::NoData(error.to_string()))?;
        Ok((Self { encoder, locks, pool, agent, seed }, trainer))
    }

    fn rollouts(&self) -> Rollouts<'_> {
        Rollouts {
            tasks: &self.locks,
            pool: &self.pool,
            encoder: self.encoder.clone(),
            generators: Arc::new(LocalSource::new(Device::Cpu, 1, Memory::on(Device::Cpu))),
            limit: LEVERS as u32 * (self.locks.moves + 1) + 3,
            slots: 128,
            stop_strings: None,
            workers: 1,
            passes: Kind::Float.into(),
            seed: self.seed,
            agent: self.agent,
            expert: Some(&Guide),
            stop: &NEVER,
        }
    }

    /// Plays every task once, greedily; returns the fraction that was solved.
    pub(crate) fn success(
        &self,
        trainer: &Trainer,
        blueprint: impl Fn(&TaskKey) -> Blueprint,
    ) -> Result<f64, AlgoError> {
        let job = |task| Job { blueprint: blueprint(task), ..Job::sampled(task, 0) };
        let jobs: Vec<Job> = self.pool.iter().map(job).collect();
        // Nothing of an agent is sampled if only another agent's role is.
        let other = if self.agent.kind == AgentKind::Flat { Role::Micro } else { Role::Flat };
        let sampled = Sampled { temperature: 1.0, only: Some(other) };
        let (episodes, _) = self.rollouts().play(trainer, &jobs, sampled, u64::MAX)?;
        Ok(episodes.iter().filter(|episode| episode.won).count() as f64 / episodes.len() as f64)
    }

    /// Success with the right blueprint of every task: whether the executor does as it is told.
    pub(crate) fn follow_rate(&self, trainer: &Trainer) -> Result<f64, AlgoError> {
        let names =
            |order: Vec<usize>| order.into_iter().map(|station| STATIONS[station].to_owned()).collect();
        self.success(trainer, |task| Blueprint::Follow(names(code(stations(task)))))
    }

    /// Trains with a method until the budget is used up, with a point of the curve about every `every` environment steps.
    pub(crate) fn learn(
        &self,
        trainer: &mut Trainer,
        method: &mut dyn Method,
        config: &OnlineConfig,
        every: u64,
    ) -> Result<Learnt, AlgoError> {
        let reference = trainer.weights.trained.buffer.copy();
        let start = self.success(trainer, |_| Blueprint::Own)?;
        let learnt = Learnt { points: vec![(0, start)], follow_rates: Vec::new(), degenerate: Vec::new() };
        let mut curve = Curve { lock: self, every, learnt };
        train(method, config, &self.rollouts(), trainer, &reference, &mut curve)?;
        let end = (trainer.counters.env_steps, self.success(trainer, |_| Blueprint::Own)?);
        curve.learnt.points.push(end);
        Ok(curve.learnt)
    }
}

struct Silent;

impl Observer for Silent {
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<(), AlgoError> {
        Ok(())
    }
}
