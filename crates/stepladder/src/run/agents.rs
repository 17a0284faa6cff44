//! Training one agent of a run: rows in, checkpoints, metrics and probes out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
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
use stepladder_model::{Device, Kind};
use stepladder_model::{Factors, ModelConfig, Params, Shape};

use super::directory::{RunDir, replace_file};
use super::play::{live_generator, warn_of_broken};
use super::progress::{Reporter, minutes};
use crate::config::{AgentConfig, AlgoConfig, Config};
use crate::envs::Registered;

/// The metric of the small evaluations during training.
const PROBE: &str = "probe/success";

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
        checkpoint::recover(&self.run.checkpoints(self.agent))?;
        let Some(directory) = checkpoint::latest(&self.run.checkpoints(self.agent)) else {
            return self.fresh();
        };
        let (trainer, tokenizer) = checkpoint::load(&directory, self.optimiser_config(), self.device)
            .with_context(|| {
                format!("the newest checkpoint cannot be loaded; {}", self.way_back(&directory))
            })?;
        let found = &trainer.params.layout.config().shape;
        if *found != self.config.model {
            bail!(
                "{} is a checkpoint of another configuration: {}; put config.toml back as it was, or start a new run",
                directory.display(),
                differences(found, &self.config.model)
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

    /// What to do about a checkpoint that cannot be loaded.
    fn way_back(&self, damaged: &Path) -> String {
        let rest = checkpoint::list(&self.run.checkpoints(self.agent));
        let before = rest.iter().rev().find(|path| *path != damaged);
        match before.and_then(|path| path.file_name()) {
            Some(name) => format!("remove {} to continue from {}", damaged.display(), name.to_string_lossy()),
            None => format!("remove {} to train {} from the start", damaged.display(), self.agent.name()),
        }
    }

    /// Trains until the budget is used up or `stop` is set; saves in both cases.
    pub(crate) fn train(&self, stop: &AtomicBool) -> Result<(Trainer, Ending)> {
        let mut trainer = self.trainer()?;
        let directory = self.run.agent(self.agent);
        fs_err::create_dir_all(&directory)?;
        let probes = trim_metrics(&directory.join("metrics.jsonl"), trainer.progress.step)?;
        let workers = if self.device == Device::Cpu { self.workers } else { 1 };
        let bc = self.bc_config();
        let pool = Workers::new(workers, &trainer.params, &trainer.factors, bc.kind, weighted_nll);
        let mut watcher = Watcher {
            run: self,
            metrics: Metrics::open(&directory)?,
            reporter: Reporter::new(self.agent.name(), 1000),
            logged: Logged::at(&trainer.progress),
            saved: trainer.progress.seconds,
            probes,
        };
        let ending =
            bc::train(&bc, self.rows, self.tokenizer.pad(), &mut trainer, &pool, stop, &mut watcher)?;
        watcher.reporter.done();
        watcher.save(&trainer)?;
        Ok((trainer, ending))
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
        .map(|(key, value)| format!("its model.{key} is {value}, config.toml says {}", wanted[key.as_str()]))
        .collect();
    named.join(", ")
}

/// Lines of a metrics file beyond a step belong to work that was lost with a kill and is done again. Counts the probes
/// among the lines that stay.
fn trim_metrics(path: &Path, step: u64) -> Result<u32> {
    if !path.exists() {
        return Ok(0);
    }
    let text = fs_err::read_to_string(path)?;
    let mut kept = String::with_capacity(text.len());
    let mut probes = 0;
    for line in text.lines() {
        // A kill can also leave half a line.
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        if value["step"].as_u64().is_some_and(|at| at <= step) {
            probes += u32::from(value.get(PROBE).is_some());
            kept.push_str(line);
            kept.push('\n');
        }
    }
    if kept.len() != text.len() {
        replace_file(path, &kept)?;
    }
    Ok(probes)
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

    fn write(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), AlgoError> {
        self.metrics
            .log(step, values)
            .map_err(|error| AlgoError::Observer(format!("metrics cannot be written: {error}")))
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
        self.write(report.step, &values)?;
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
        let episodes = stepladder_agent::Scheduler::new(&*run.env.tasks, &mut generator, options)
            .run(&jobs, |_| ())
            .map_err(|error| {
                AlgoError::Observer(format!("a probe of {} failed: {error}", run.agent.name()))
            })?;
        warn_of_broken(&episodes);
        let all = evaluate(&episodes).all;
        self.write(report.step, &[(PROBE, all.success)])?;
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
