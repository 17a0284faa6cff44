//! Training one agent of a run: rows in, checkpoints, metrics and probes out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use serde_json::Value;
use stepladder_agent::evaluation::evaluate;
use stepladder_agent::scheduler::Options;
use stepladder_agent::{AgentKind, Job};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{self, BcConfig, Ending, Observer, StepReport, weighted_nll};
use stepladder_algo::runtime::checkpoint::{self, Identity, Progress, Trainer};
use stepladder_algo::runtime::metrics::Metrics;
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::{Role, TaskKey};
use stepladder_data::{Row, WordTokenizer};
use stepladder_model::{Factors, ModelConfig, Params};
use tch::{Device, Kind};

use super::directory::RunDir;
use super::play::live_generator;
use super::progress::{Reporter, minutes};
use crate::config::{AgentConfig, AlgoConfig, Config};
use crate::envs::Registered;

/// What training one agent needs.
pub(crate) struct AgentRun<'a> {
    pub(crate) run: &'a RunDir,
    pub(crate) config: &'a Config,
    pub(crate) env: &'a Registered,
    pub(crate) agent: AgentKind,
    pub(crate) numbers: &'a AgentConfig,
    pub(crate) rows: &'a [Row],
    pub(crate) tokenizer: Arc<WordTokenizer>,
    /// Changes whenever the rows do.
    pub(crate) fingerprint: &'a str,
    pub(crate) probe_tasks: &'a [TaskKey],
    pub(crate) workers: usize,
    pub(crate) device: Device,
}

impl AgentRun<'_> {
    fn optimiser_config(&self) -> AdamWConfig {
        let AlgoConfig::Bc(bc) = &self.config.algo;
        AdamWConfig {
            beta1: bc.beta1,
            beta2: bc.beta2,
            eps: bc.eps,
            weight_decay: bc.weight_decay,
            clip: bc.clip,
        }
    }

    fn bc_config(&self) -> BcConfig {
        let AlgoConfig::Bc(bc) = &self.config.algo;
        BcConfig {
            learning_rate: self.numbers.learning_rate,
            schedule: bc.schedule,
            warmup: bc.warmup,
            floor: bc.floor,
            reduction: bc.reduction,
            // A flat episode is one row: there are no levels to pair.
            mixture: if self.agent == AgentKind::Flat { bc::Mixture::Pooled } else { bc.mixture },
            batch_tokens: self.numbers.batch_tokens,
            batch_rows: bc.batch_rows,
            planner_every: bc.planner_every,
            budget: self.numbers.budget,
            seed: self.config.seed,
            kind: if self.device == Device::Cpu { Kind::Float } else { Kind::BFloat16 },
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            agent: self.agent.name().to_owned(),
            style: self.env.style.id(),
            data: self.fingerprint.to_owned(),
        }
    }

    fn fresh(&self) -> Result<Trainer> {
        let factors = Factors::collect(self.tokenizer.words(), |word| self.env.style.factors(word));
        let model = ModelConfig::new(self.config.model.clone(), self.tokenizer.len(), factors.len())?;
        let params = Params::init(&model, self.config.seed, self.device);
        let optimiser = AdamW::new(self.optimiser_config(), &params.flat);
        Ok(Trainer { params, factors, optimiser, progress: Progress::start(), identity: self.identity() })
    }

    /// The newest checkpoint, or a fresh trainer.
    fn trainer(&self) -> Result<Trainer> {
        let Some(directory) = checkpoint::latest(&self.run.checkpoints(self.agent)) else {
            return self.fresh();
        };
        let (trainer, tokenizer) = checkpoint::load(&directory, self.optimiser_config(), self.device)?;
        let found = trainer.params.layout.config();
        if found.shape != self.config.model {
            bail!(
                "{} is a checkpoint of another configuration: its model is {:?}, the run's config.toml says {:?}",
                directory.display(),
                found.shape,
                self.config.model
            );
        }
        if tokenizer.words() != self.tokenizer.words() || trainer.identity != self.identity() {
            bail!(
                "{} was trained on other data: the demonstrations, the prompt style or the agent have changed since",
                directory.display()
            );
        }
        Ok(trainer)
    }

    /// Trains until the budget is used up or `stop` is set; saves in both cases.
    pub(crate) fn train(&self, stop: &AtomicBool) -> Result<(Trainer, Ending)> {
        let mut trainer = self.trainer()?;
        let directory = self.run.agent(self.agent);
        fs_err::create_dir_all(&directory)?;
        trim_metrics(&directory.join("metrics.jsonl"), trainer.progress.step)?;
        let workers = if self.device == Device::Cpu { self.workers } else { 1 };
        let bc = self.bc_config();
        let pool = Workers::new(workers, &trainer.params, &trainer.factors, bc.kind, weighted_nll);
        let mut watcher = Watcher {
            run: self,
            metrics: Metrics::open(&directory)?,
            reporter: Reporter::new(self.agent.name(), 1000),
            logged: Logged::at(&trainer.progress),
            saved: trainer.progress.seconds,
            probes: 0,
        };
        watcher.probes = watcher.probes_due(0.0_f64.max(fraction_so_far(&bc, &trainer.progress)));
        let ending =
            bc::train(&bc, self.rows, self.tokenizer.pad(), &mut trainer, &pool, stop, &mut watcher)?;
        watcher.reporter.done();
        watcher.save(&trainer)?;
        Ok((trainer, ending))
    }
}

fn fraction_so_far(bc: &BcConfig, progress: &Progress) -> f64 {
    match bc.budget {
        bc::Budget::Minutes(minutes) => progress.seconds / (60.0 * minutes),
        bc::Budget::Epochs(epochs) => progress.epoch as f64 / epochs,
        bc::Budget::Steps(steps) => progress.step as f64 / steps.max(1) as f64,
    }
}

/// Lines of a metrics file beyond a step belong to work that was lost with a kill and is done again.
fn trim_metrics(path: &Path, step: u64) -> Result<()> {
    let Ok(text) = fs_err::read_to_string(path) else { return Ok(()) };
    let kept: String = text
        .lines()
        .filter(|line| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|value| value["step"].as_u64().is_some_and(|at| at <= step))
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    if kept.len() != text.len() {
        fs_err::write(path, kept)?;
    }
    Ok(())
}

/// Where the last metrics line stood.
struct Logged {
    seconds: f64,
    tokens: u64,
    per_role: [(f64, f64); 4],
}

impl Logged {
    fn at(progress: &Progress) -> Self {
        Self { seconds: progress.seconds, tokens: progress.tokens, per_role: [(0.0, 0.0); 4] }
    }
}

struct Watcher<'a> {
    run: &'a AgentRun<'a>,
    metrics: Metrics,
    reporter: Reporter,
    logged: Logged,
    saved: f64,
    probes: u32,
}

impl Watcher<'_> {
    fn probes_due(&self, fraction: f64) -> u32 {
        let planned = self.run.config.eval.probes;
        ((fraction * f64::from(planned + 1)) as u32).min(planned)
    }

    fn save(&mut self, trainer: &Trainer) -> Result<(), AlgoError> {
        let root = self.run.run.checkpoints(self.run.agent);
        checkpoint::save(&root, trainer, &self.run.tokenizer, self.run.config.log.keep)?;
        self.saved = trainer.progress.seconds;
        Ok(())
    }

    fn log(&mut self, report: &StepReport) -> Result<(), AlgoError> {
        let elapsed = (report.seconds - self.logged.seconds).max(1e-9);
        let speed = (report.tokens - self.logged.tokens) as f64 / elapsed;
        let mut values = vec![
            ("loss", report.loss),
            ("gradient_norm", report.gradient_norm),
            ("learning_rate", report.learning_rate),
            ("tokens_per_second", speed),
            ("epoch", report.epoch),
            ("seconds", report.seconds),
        ];
        let mut shown = Vec::new();
        for role in Role::ALL {
            let (sum, weight) = self.logged.per_role[role as usize];
            if weight > 0.0 {
                let name = match role {
                    Role::Planner => "loss/planner",
                    Role::Executor => "loss/executor",
                    Role::Progress => "loss/progress",
                    Role::Flat => "loss/flat",
                };
                values.push((name, -sum / weight));
                shown.push(format!("{} {:.4}", role.name(), -sum / weight));
            }
        }
        self.metrics.log(report.step, &values).map_err(|error| AlgoError::Checkpoint {
            path: self.run.run.agent(self.run.agent).display().to_string(),
            reason: error.to_string(),
        })?;
        let left =
            if report.fraction > 0.0 { report.seconds / report.fraction - report.seconds } else { 0.0 };
        let message = format!(
            "step {} epoch {:.2} loss {} | {:.0} tokens/s | {} left",
            report.step,
            report.epoch,
            shown.join(" "),
            speed,
            minutes(left)
        );
        self.reporter.at((1000.0 * report.fraction) as u64, &message);
        self.logged = Logged { seconds: report.seconds, tokens: report.tokens, per_role: [(0.0, 0.0); 4] };
        Ok(())
    }

    fn probe(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let run = self.run;
        let mut generator = live_generator(trainer, &run.tokenizer, run.env, run.workers);
        let options = Options {
            max_steps: run.config.env.max_steps,
            slots: run.config.eval.slots,
            ..Options::greedy(run.agent)
        };
        let jobs = Job::each(run.probe_tasks);
        let failed = |reason: String| AlgoError::NoData(format!("a probe failed: {reason}"));
        let episodes = stepladder_agent::Scheduler::new(&*run.env.tasks, &mut generator, options)
            .run(&jobs, |_| ())
            .map_err(|error| failed(error.to_string()))?;
        let all = evaluate(&episodes).all;
        self.metrics
            .log(report.step, &[("probe/success", all.success)])
            .map_err(|error| failed(error.to_string()))?;
        self.reporter.line(&format!(
            "{} after {} of training: {:.0} % of {} {} episodes solved, {:.1} steps",
            run.agent.name(),
            minutes(report.seconds),
            100.0 * all.success,
            all.n,
            run.config.eval.split,
            all.mean_steps
        ));
        Ok(())
    }
}

impl Observer for Watcher<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        for (total, (sum, weight)) in self.logged.per_role.iter_mut().zip(report.per_role) {
            total.0 += sum;
            total.1 += weight;
        }
        if report.seconds - self.logged.seconds >= self.run.config.log.every_seconds {
            self.log(report)?;
        }
        if report.seconds - self.saved >= self.run.config.log.checkpoint_seconds {
            self.save(trainer)?;
        }
        if self.probes_due(report.fraction) > self.probes {
            self.probes = self.probes_due(report.fraction);
            self.probe(trainer, report)?;
        }
        Ok(())
    }
}
