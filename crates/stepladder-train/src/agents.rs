//! One model of an agent: where its weights come from, and its training phases.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use stepladder_agent::AgentKind;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::gigpo::Gigpo;
use stepladder_algo::grpo::Grpo;
use stepladder_algo::himac::Himac;
use stepladder_algo::offline_ac::{self, OfflineConfig};
use stepladder_algo::online::world::World;
use stepladder_algo::online::{self, Method, OnlineConfig};
use stepladder_algo::ops::group::{GroupMode, GroupRule};
use stepladder_algo::ops::returns::Gae;
use stepladder_algo::ops::surrogate::SurrogateRule;
use stepladder_algo::ppo::{Ppo, PpoConfig};
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::metrics::Metrics;
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::Budget;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::TaskKey;
use stepladder_data::{OfflineRow, Row};
use stepladder_model::Shape;
use stepladder_model::{Device, Kind};

use super::agent_run::AgentRun;
use super::watcher::{Logged, Watcher, trim_metrics};
use crate::config::{AgentConfig, Algo, Norm, OnlineSection};
use crate::envs::Registered;

impl AgentRun<'_> {
    /// Hyperparameters of one phase of behaviour cloning.
    fn bc_config(&self, budget: Budget) -> BcConfig {
        let bc = &self.config.algo.bc;
        BcConfig {
            learning_rate: self.numbers.learning_rate,
            schedule: bc.schedule,
            warmup: bc.warmup,
            floor: bc.floor,
            reduction: bc.reduction,
            // A flat episode is one row: there are no levels to pair.
            mixture: if self.numbers.kind == AgentKind::Flat { Mixture::Pooled } else { bc.mixture },
            batch_tokens: self.numbers.batch_tokens,
            batch_rows: bc.batch_rows,
            planner_every: bc.planner_every,
            budget,
            seed: self.config.seed,
            kind: self.kind(),
        }
    }

    fn kind(&self) -> Kind {
        if self.device == Device::Cpu { Kind::Float } else { Kind::BFloat16 }
    }

    fn identity(&self) -> Identity {
        Identity {
            agent: self.numbers.spec().to_string(),
            style: self.encoder.id(),
            data: self.data.current().to_owned(),
        }
    }

    /// Random weights, or those of another agent; in both cases nothing is trained yet.
    fn fresh(&self) -> Result<Trainer> {
        let config = self.config.algo.adamw;
        if let Some(from) = &self.from {
            let source = checkpoint::load(from, config, self.device)?;
            if !self.encoder.is_in(from)? {
                bail!("{} knows other words than this run's demonstrations have", from.display());
            }
            if self.numbers.algo == Algo::OfflineAc {
                return Ok(offline_ac::start(source, config, self.identity(), self.config.seed));
            }
            return Ok(Trainer::new(source.weights, source.factors, config, self.identity()));
        }
        let shape = &self.config.model.scratch;
        let (weights, factors) = self.scratch.weights(shape, self.config.seed, self.device)?;
        Ok(Trainer::new(weights, factors, config, self.identity()))
    }

    /// The newest checkpoint, or a fresh trainer.
    pub(crate) fn trainer(&self) -> Result<Trainer> {
        checkpoint::recover(&self.checkpoints())?;
        let Some(directory) = checkpoint::latest(&self.checkpoints()) else {
            return self.fresh();
        };
        let broken = || format!("the newest checkpoint cannot be loaded; {}", self.way_back(&directory));
        let trainer =
            checkpoint::load(&directory, self.config.algo.adamw, self.device).with_context(broken)?;
        let found = &trainer.weights.config().shape;
        if *found != self.config.model.scratch {
            bail!(
                "{} is a checkpoint of another configuration: {}; put config.toml back as it was, or start a new run",
                directory.display(),
                differences(found, &self.config.model.scratch)
            );
        }
        let identity = self.identity();
        let found = &trainer.identity;
        let known = found.agent == identity.agent && found.style == identity.style;
        let same = self.encoder.is_in(&directory).with_context(broken)?;
        if !same || !known || !self.data.matches(&found.data) {
            bail!(
                "{} was trained on other data: the demonstrations, the prompt style or the agent have changed since",
                directory.display()
            );
        }
        Ok(Trainer { identity, ..trainer })
    }

    /// What to do about a checkpoint that cannot be loaded.
    fn way_back(&self, damaged: &Path) -> String {
        let rest = checkpoint::list(&self.checkpoints());
        let before = rest.iter().rev().find(|path| *path != damaged);
        match before.and_then(|path| path.file_name()) {
            Some(name) => format!("remove {} to continue from {}", damaged.display(), name.to_string_lossy()),
            None => format!("remove {} to train {} from the start", damaged.display(), self.name),
        }
    }

    /// Begins to watch a trainer, wherever it stands.
    pub(crate) fn watch(&self, trainer: &Trainer) -> Result<Watcher<'_>> {
        fs_err::create_dir_all(&self.directory)?;
        let metrics = self.directory.join("metrics.jsonl");
        let probes = trim_metrics(&metrics, trainer.progress.step)?;
        let begun = metrics.metadata().is_ok_and(|file| file.len() > 0);
        Ok(Watcher {
            run: self,
            metrics: Metrics::open(&self.directory)?,
            progress: self.reporter.begin(self.name, 1000),
            logged: Logged::at(&trainer.progress),
            saved: trainer.progress.seconds,
            probes,
            begun,
        })
    }

    /// One phase of behaviour cloning on `rows`, until its budget is used up or `stop` is set; saves in both cases.
    pub(crate) fn clone_behaviour(
        &self,
        rows: &[Row],
        budget: Budget,
        trainer: &mut Trainer,
        stop: &AtomicBool,
    ) -> Result<Ending> {
        let mut watcher = self.watch(trainer)?;
        let workers = if self.device == Device::Cpu { self.workers } else { 1 };
        let bc = self.bc_config(budget);
        let pool = Workers::cloning(workers, &trainer.weights, &trainer.factors, bc.kind);
        let ending = bc::train(&bc, rows, self.encoder.pad(), trainer, &pool, stop, &mut watcher)?;
        watcher.finish(trainer)?;
        Ok(ending)
    }

    fn method(&self, numbers: &OnlineSection) -> Box<dyn Method> {
        let &AgentConfig { coevolution, selection, .. } = self.numbers;
        match self.numbers.algo {
            Algo::Himac => Box::new(Himac { selection, coevolution }),
            Algo::Gigpo => Box::new(Gigpo { gamma: numbers.gamma, omega: numbers.omega }),
            Algo::Ppo => Box::new(Ppo::new(PpoConfig {
                gae: Gae { gamma: numbers.gae_gamma, lambda: numbers.gae_lambda },
                value_clip: numbers.value_clip,
                learning_rate: numbers.critic_learning_rate,
            })),
            _ => Box::new(Grpo),
        }
    }

    fn online_config(&self, numbers: &OnlineSection) -> OnlineConfig {
        let mode = match (self.numbers.algo, numbers.norm) {
            (Algo::Rloo, _) => GroupMode::Rloo,
            (_, Norm::MeanStd) => GroupMode::MeanStd,
            (_, Norm::Mean) => GroupMode::Mean,
        };
        OnlineConfig {
            agent: self.numbers.spec(),
            tasks: numbers.tasks_per_iteration,
            group: numbers.group,
            temperature: numbers.temperature,
            reward: numbers.reward,
            penalty: numbers.penalty,
            rule: GroupRule::new(mode),
            cross_step_stats: numbers.cross_step_stats,
            surrogate: SurrogateRule {
                clip_low: numbers.clip_low,
                clip_high: numbers.clip_high,
                beta: numbers.kl,
            },
            aggregate: numbers.aggregate,
            mini_batch: numbers.mini_batch,
            batch_tokens: self.numbers.batch_tokens,
            learning_rate: self.numbers.learning_rate,
            budget: self.numbers.budget,
        }
    }

    /// Plays tasks and learns from it, until the budget is used up or `stop` is set; saves in both cases.
    pub(crate) fn play_and_learn(
        &self,
        numbers: &OnlineSection,
        env: &Registered,
        split: &str,
        tasks: &[TaskKey],
        trainer: &mut Trainer,
        stop: &AtomicBool,
    ) -> Result<Ending> {
        let from = self.from.as_ref().context("it needs a trained agent to start from")?;
        let reference = checkpoint::load(from, self.config.algo.adamw, self.device)?;
        let world = World {
            tasks: &*env.tasks,
            pool: tasks,
            encoder: self.encoder.clone(),
            generators: self.generators.clone(),
            limit: env.max_steps(self.config, split),
            slots: self.config.eval.slots,
            workers: if self.device == Device::Cpu { self.workers } else { 1 },
            kind: self.kind(),
            seed: self.config.seed,
        };
        let mut watcher = self.watch(trainer)?;
        let config = self.online_config(numbers);
        watcher.probe_start(trainer)?;
        let (reference, mut method) = (&reference.weights.trained.flat, self.method(numbers));
        let ending = online::train(&mut *method, &config, &world, trainer, reference, stop, &mut watcher)?;
        watcher.finish(trainer)?;
        Ok(ending)
    }

    /// Numbers of offline actor-critic.
    pub(crate) fn offline_config(&self) -> OfflineConfig {
        let numbers = &self.config.algo.offline_ac;
        OfflineConfig {
            actor_mode: self.numbers.actor_mode.unwrap_or(numbers.actor_mode),
            temperature: numbers.temperature,
            weight_clip: numbers.weight_clip,
            v_target_at: numbers.v_target_at,
            gamma: numbers.gamma,
            smdp_gamma: numbers.smdp_gamma,
            omega: self.numbers.omega.unwrap_or(numbers.omega),
            value_bound: numbers.value_bound,
            tau: numbers.tau,
            target_update: numbers.target_update,
            micro_steps: numbers.micro_steps,
            actor_learning_rate: self.numbers.learning_rate,
            critic_learning_rate: numbers.critic_learning_rate,
            critic_warmup: numbers.critic_warmup,
            schedule: numbers.schedule,
            warmup: numbers.warmup,
            floor: numbers.floor,
            mixture: numbers.mixture,
            batch_tokens: self.numbers.batch_tokens,
            batch_rows: numbers.batch_rows,
            budget: self.numbers.budget,
            seed: self.config.seed,
            kind: self.kind(),
        }
    }

    /// Offline actor-critic on `rows`, until its budget is used up or `stop` is set; saves in both cases.
    pub(crate) fn actor_critic(
        &self,
        rows: &[OfflineRow],
        trainer: &mut Trainer,
        stop: &AtomicBool,
    ) -> Result<Ending> {
        let mut watcher = self.watch(trainer)?;
        let workers = if self.device == Device::Cpu { self.workers } else { 1 };
        let config = self.offline_config();
        let pool = offline_ac::workers(workers, &trainer.weights, &trainer.factors, &config);
        let ending =
            offline_ac::train(&config, rows, self.encoder.pad(), trainer, &pool, stop, &mut watcher)?;
        watcher.finish(trainer)?;
        Ok(ending)
    }
}

/// The keys in which two shapes differ, with both values.
fn differences(found: &Shape, wanted: &Shape) -> String {
    // A shape is a struct of numbers and a truth value.
    let entries = |shape: &Shape| serde_json::to_value(shape).expect("a shape is JSON");
    let (found, wanted) = (entries(found), entries(wanted));
    let differing =
        found.as_object().into_iter().flatten().filter(|(key, value)| wanted[key.as_str()] != **value);
    let named: Vec<String> = differing
        .map(|(key, value)| {
            format!("its model.scratch.{key} is {value}, config.toml says {}", wanted[key.as_str()])
        })
        .collect();
    named.join(", ")
}
