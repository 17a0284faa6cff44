//! Training of one model of an agent: initial weights and phases.

use std::path::Path;

use anyhow::{Context, Result, bail};
use stepladder_agent::AgentKind;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::gigpo::Gigpo;
use stepladder_algo::grpo::Grpo;
use stepladder_algo::himac::Himac;
use stepladder_algo::offline_ac::{self, OfflineConfig};
use stepladder_algo::online::rollouts::Rollouts;
use stepladder_algo::online::{self, Method, OnlineConfig};
use stepladder_algo::ppo::Ppo;
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::metrics::Metrics;
use stepladder_algo::runtime::observer::{Ending, Observer};
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::{Role, TaskKey};
use stepladder_data::offline::HeldOut;
use stepladder_data::{OfflineRow, Row};
use stepladder_model::engine::placement;

use super::agent_run::AgentRun;
use super::gate::Gate;
use super::watcher::{Logged, Watcher, trim_metrics};
use crate::config::{AgentConfig, Algo, ModelSection};
use crate::envs::Registered;

impl AgentRun<'_> {
    /// Returns the hyperparameters of one phase of behaviour cloning.
    fn bc_config(&self, budget: Budget) -> BcConfig {
        let &AgentConfig { kind, batch_tokens, learning_rate, .. } = self.agent;
        let shared = self.config.algo.bc.clone();
        // A buffer episode is one row, so there are no levels to pair.
        let mixture = if kind == AgentKind::Flat { Mixture::Pooled } else { shared.mixture };
        let group_rows = if self.initial.base().is_some() { shared.group_rows } else { 0 };
        let bc = BcConfig { budget, batch_tokens, learning_rate, mixture, group_rows, ..shared };
        if !self.agent.algo.is_control() {
            return bc;
        }
        // The steps of offline actor-critic, with the loss of cloning.
        let &OfflineConfig { schedule, warmup, floor, mixture, batch_rows, .. } =
            &self.config.algo.offline_ac;
        BcConfig { schedule, warmup, floor, mixture, batch_rows, planner_every: 1, ..bc }
    }

    /// Returns the padding token and the seed of the row order.
    fn order(&self) -> (u32, u64) {
        (self.encoder.pad(), self.config.seed)
    }

    fn passes(&self) -> Passes {
        let &ModelSection { recompute, micro_tokens, .. } = &self.config.model;
        Passes { dtype: placement(self.device, self.workers).1, recompute, micro_tokens }
    }

    fn identity(&self) -> Identity {
        Identity {
            agent: self.agent.spec().to_string(),
            style: self.encoder.id(),
            data: self.data.current().to_owned(),
            base: self.initial.base().cloned(),
        }
    }

    /// Creates a trainer with random weights or those of another agent.
    fn fresh(&self) -> Result<Trainer> {
        let config = self.config.algo.adamw;
        if let Some(from) = &self.from {
            let source = checkpoint::load(from, config, self.device, self.bases)?;
            if !self.encoder.is_in(from)? {
                bail!("the vocabulary of {} differs from that of this run's demonstrations", from.display());
            }
            if self.agent.algo == Algo::OfflineAc {
                return Ok(offline_ac::start(source, config, self.identity(), self.config.seed));
            }
            return Ok(Trainer::new(source.weights, config, self.identity()));
        }
        let weights = self.initial.weights(self.config, self.device, self.bases)?;
        Ok(Trainer::new(weights, config, self.identity()))
    }

    /// Loads the newest checkpoint, or creates a fresh trainer if there is none.
    pub(crate) fn trainer(&self) -> Result<Trainer> {
        checkpoint::recover(&self.checkpoints())?;
        let Some(directory) = checkpoint::latest(&self.checkpoints()) else {
            return self.fresh();
        };
        let broken = || format!("the newest checkpoint cannot be loaded; {}", self.way_back(&directory));
        let trainer = checkpoint::load(&directory, self.config.algo.adamw, self.device, self.bases)
            .with_context(broken)?;
        let differences = self.initial.differences(trainer.weights.config(), self.config);
        if !differences.is_empty() {
            bail!(
                "{} is a checkpoint of another configuration: {differences}; put config.toml back as it was, or start a new run",
                directory.display(),
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

    /// Returns the remedy for a checkpoint that cannot be loaded.
    fn way_back(&self, damaged: &Path) -> String {
        let rest = checkpoint::list(&self.checkpoints());
        let before = rest.iter().rev().find(|path| *path != damaged);
        match before.and_then(|path| path.file_name()) {
            Some(name) => format!("remove {} to continue from {}", damaged.display(), name.to_string_lossy()),
            None => format!("remove {} to train {} from the start", damaged.display(), self.name),
        }
    }

    /// Starts the status line, metrics, probes and checkpoints for a trainer in any state.
    pub(crate) fn watch(&self, trainer: &Trainer) -> Result<Watcher<'_>> {
        fs_err::create_dir_all(&self.directory)?;
        let metrics = self.directory.join("metrics.jsonl");
        let probed = trim_metrics(&metrics, &trainer.counters)?;
        let begun = metrics.metadata().is_ok_and(|file| file.len() > 0);
        Ok(Watcher {
            run: self,
            metrics: Metrics::open(&self.directory)?,
            status: self.reporter.begin(self.name, 1000),
            logged: Logged::at(&trainer.counters),
            saved: trainer.counters.seconds,
            probed,
            begun,
        })
    }

    /// Runs one phase of behaviour cloning on `rows` until its budget is used up or the caller stops, then saves.
    ///
    /// A stop inside a probe saves nothing: a continuation repeats the steps since the last checkpoint, and the probe.
    pub(crate) fn clone_behaviour(
        &self,
        rows: &[Row],
        budget: Budget,
        trainer: &mut Trainer,
    ) -> Result<Ending> {
        let mut watcher = self.watch(trainer)?;
        let (workers, _) = placement(self.device, self.workers);
        let bc = self.bc_config(budget);
        let pool = Workers::cloning(workers, &trainer.weights, self.passes());
        let ending = bc::train(&bc, rows, self.config.seed, trainer, &pool, self.stop, &mut watcher)?;
        if let (Ending::Complete, Some(until), false) = (ending, self.agent.until, watcher.is_reached()) {
            let name = self.name;
            self.reporter.warn(&format!(
                "{name} used its budget up, but no probe reached agents.{name}.until = {until} (best: {:.2}); raise agents.{name}.budget",
                watcher.probed.best
            ));
        }
        watcher.finish(trainer)?;
        Ok(ending)
    }

    fn method(&self) -> Result<Box<dyn Method>> {
        let &AgentConfig { coevolution, selection, phases, .. } = self.agent;
        let algo = &self.config.algo;
        Ok(match self.agent.algo {
            Algo::Himac => Box::new(Himac { selection, coevolution, phases, config: algo.himac }),
            Algo::Gigpo => Box::new(Gigpo { config: algo.gigpo.clone() }),
            Algo::Ppo => Box::new(Ppo::new(algo.ppo.clone())),
            Algo::Rloo => Box::new(Grpo::Rloo),
            Algo::Grpo => Box::new(Grpo::Grpo),
            other @ (Algo::Bc
            | Algo::Dagger
            | Algo::OfflineAc
            | Algo::MoreBc
            | Algo::FilteredBc
            | Algo::TopBc) => bail!("{} does not learn by playing", other.name()),
        })
    }

    fn online_config(&self) -> OnlineConfig {
        let &AgentConfig { budget, batch_tokens, learning_rate, .. } = self.agent;
        OnlineConfig { budget, batch_tokens, learning_rate, ..self.config.algo.online.clone() }
    }

    /// Trains online on `tasks` until the budget is used up or the caller stops, then saves.
    ///
    /// A stop inside a probe saves nothing: a continuation repeats the steps since the last checkpoint, and the probe.
    pub(crate) fn play_and_learn(
        &self,
        env: &Registered,
        split: &str,
        tasks: &[TaskKey],
        trainer: &mut Trainer,
    ) -> Result<Ending> {
        // The reference policy is the initial one: for adapters, those that training starts with, not the model below them.
        let reference = match &self.from {
            Some(from) => checkpoint::load(from, self.config.algo.adamw, self.device, self.bases)?.weights,
            None => self.initial.weights(self.config, self.device, self.bases)?,
        };
        let rollouts = Rollouts {
            tasks: &*env.tasks,
            pool: tasks,
            encoder: self.encoder.clone(),
            generators: self.generators.clone(),
            limit: env.max_steps(self.config, split),
            slots: self.config.eval.slots,
            stop_strings: self.config.generation.stop_strings(),
            workers: placement(self.device, self.workers).0,
            passes: self.passes(),
            seed: self.config.seed,
            agent: self.agent.spec(),
            expert: env.expert().ok().filter(|expert| expert.answers(Role::Executor)),
            stop: self.stop,
        };
        let mut watcher = self.watch(trainer)?;
        let config = self.online_config();
        watcher.probe_start(trainer)?;
        let (reference, mut method) = (&reference.trained.buffer, self.method()?);
        let ending = online::train(&mut *method, &config, &rollouts, trainer, reference, &mut watcher)?;
        watcher.finish(trainer)?;
        Ok(ending)
    }

    /// Returns the hyperparameters of offline actor-critic.
    pub(crate) fn offline_config(&self) -> OfflineConfig {
        let &AgentConfig { budget, batch_tokens, learning_rate, .. } = self.agent;
        let &AgentConfig { actor_mode, omega, returns, intrinsic, actor_levels, .. } = self.agent;
        let shared = self.config.algo.offline_ac.clone();
        OfflineConfig {
            budget,
            batch_tokens,
            learning_rate,
            actor_mode: actor_mode.unwrap_or(shared.actor_mode),
            omega: omega.unwrap_or(shared.omega),
            returns: returns.unwrap_or(shared.returns),
            intrinsic: intrinsic.unwrap_or(shared.intrinsic),
            actor_levels: actor_levels.unwrap_or(shared.actor_levels),
            ..shared
        }
    }

    /// Runs offline actor-critic on `rows` until its budget is used up or the caller stops, then saves. The critics are measured on the
    /// held-out episodes.
    ///
    /// A stop inside a probe saves nothing: a continuation repeats the steps since the last checkpoint, and the probe.
    pub(crate) fn actor_critic(
        &self,
        rows: &[OfflineRow],
        episodes: &[HeldOut],
        trainer: &mut Trainer,
    ) -> Result<Ending> {
        let (workers, _) = placement(self.device, self.workers);
        let config = self.offline_config();
        let (order, passes) = (self.order(), self.passes());
        let mut gate =
            Gate { watcher: self.watch(trainer)?, config: &config, episodes, pad: order.0, passes };
        gate.begin(trainer)?;
        let pool = offline_ac::workers(workers, &trainer.weights, &config, passes);
        let ending = offline_ac::train(&config, rows, order, trainer, &pool, self.stop, &mut gate)?;
        gate.finish(trainer, ending == Ending::Complete)?;
        Ok(ending)
    }
}
