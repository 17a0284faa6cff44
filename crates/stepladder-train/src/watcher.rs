//! Status lines, metrics, probes and checkpoints during training.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use stepladder_algo::AlgoError;
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::metrics::{Metrics, RENAMED};
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_core::Role;
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Dropped, GenerateError, Job};

use super::agent_run::AgentRun;
use super::choice::suffix;
use super::directory::replace_file;
use super::play::warn_of_aborted;
use super::report::minutes;
use crate::config::Weights;
use crate::report;

/// Metric of the probes.
const PROBE: &str = "probe/success";
const PROBE_SCORE: &str = "probe/score";

/// Renders the status line for an online iteration.
fn played(values: &[(&'static str, f64)]) -> String {
    let value =
        |name: &str| values.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value);
    let mut text = format!(
        "iteration {:.0} success {:.2} return {:.2} degenerate {:.2} kl {:.4}",
        value("iteration"),
        value("train/success"),
        value("train/return"),
        value("degenerate_groups"),
        value("kl"),
    );
    if value("blueprint/subgoals").is_finite() {
        text.push_str(&format!(" sub-goals {:.1}", value("blueprint/subgoals")));
    }
    text
}

/// Finished probes, in this phase and all earlier ones.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Probed {
    pub(crate) count: u32,
    /// Highest success.
    pub(crate) best: f64,
}

/// Removes the lines of a metrics file after `counters`: their work was lost in a kill and is repeated. The remaining lines have the
/// present names of metrics, like the lines that follow them.
///
/// An iteration of an online method may take no step, so its number counts too.
pub(crate) fn trim_metrics(path: &Path, counters: &Counters) -> Result<Probed> {
    let mut probed = Probed::default();
    if !path.exists() {
        return Ok(probed);
    }
    let text = fs_err::read_to_string(path)?;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        // A kill can leave a partial line.
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let kept_step = value["step"].as_u64().is_some_and(|at| at <= counters.step);
        let later = value["iteration"].as_f64().is_some_and(|at| at > counters.epoch as f64);
        if kept_step && !later {
            // The probe of the initial policy is not one of those that are spread over a phase.
            let initial = value["step"] == 0 && value["iteration"].as_f64().is_none_or(|at| at == 0.0);
            if let (Some(success), false) = (value[PROBE].as_f64(), initial) {
                probed.count += 1;
                probed.best = probed.best.max(success);
            }
            kept.push_str(&renamed(line));
            kept.push('\n');
        }
    }
    if kept != text {
        replace_file(path, &kept)?;
    }
    Ok(probed)
}

/// Returns a metrics line with the present names.
fn renamed(line: &str) -> String {
    RENAMED.iter().fold(line.to_owned(), |line, (old, new)| {
        line.replace(&format!("\"{old}\":"), &format!("\"{new}\":"))
    })
}

/// State at the last metrics line.
pub(crate) struct Logged {
    seconds: f64,
    tokens: u64,
    per_role: [(f64, f64); Role::COUNT],
}

impl Logged {
    fn of(report: &StepReport) -> Self {
        Self { seconds: report.seconds, tokens: report.tokens, per_role: [(0.0, 0.0); Role::COUNT] }
    }

    pub(crate) fn at(counters: &Counters) -> Self {
        Self { seconds: counters.seconds, tokens: counters.tokens, per_role: [(0.0, 0.0); Role::COUNT] }
    }
}

pub(crate) struct Watcher<'a> {
    pub(crate) run: &'a AgentRun<'a>,
    pub(crate) metrics: Metrics,
    pub(crate) status: Box<dyn report::StatusLine + 'a>,
    pub(crate) logged: Logged,
    pub(crate) saved: f64,
    pub(crate) probed: Probed,
    /// Whether the metrics file has a line.
    pub(crate) begun: bool,
}

impl Watcher<'_> {
    /// Returns the number of probes due at this fraction of the phase, evenly spaced.
    fn probes_due(&self, trainer: &Trainer, fraction: f64) -> u32 {
        if self.run.agent.weights == Weights::PerRole {
            // One role alone cannot play.
            return 0;
        }
        let planned = self.run.config.eval.probes;
        trainer.counters.phase as u32 * planned + ((fraction * f64::from(planned + 1)) as u32).min(planned)
    }

    /// Ends the training and saves.
    pub(crate) fn finish(mut self, trainer: &Trainer) -> Result<(), AlgoError> {
        self.save(trainer)
    }

    pub(crate) fn save(&mut self, trainer: &Trainer) -> Result<(), AlgoError> {
        checkpoint::save(&self.run.checkpoints(), trainer, &*self.run.encoder, self.run.config.log.keep)?;
        self.saved = trainer.counters.seconds;
        Ok(())
    }

    pub(crate) fn write(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), AlgoError> {
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
                    Role::Macro => "loss/macro",
                    Role::Micro => "loss/micro",
                };
                values.push((name, -sum / weight));
                shown.push(format!("{} {:.4}", role.name(), -sum / weight));
            }
        }
        values.extend(&report.extra);
        self.write(report.step, &values)?;
        if self.run.agent.algo.is_online() {
            let message = format!("{} | {} left", played(&report.extra), minutes(report.left));
            self.status.at((1000.0 * report.fraction) as u64, &message);
            self.logged = Logged::of(report);
            return Ok(());
        }
        let message = format!(
            "step {} epoch {:.2} loss {} | {:.0} tokens/s | {} left",
            report.step,
            report.epoch,
            shown.join(" "),
            speed,
            minutes(report.left)
        );
        self.status.at((1000.0 * report.fraction) as u64, &message);
        self.logged = Logged::of(report);
        Ok(())
    }

    /// Evaluates the initial policy, as the first point of learning curves; at most once.
    pub(crate) fn probe_start(&mut self, trainer: &Trainer) -> Result<(), AlgoError> {
        if trainer.counters.epoch > 0 || self.begun || self.run.config.eval.probes == 0 {
            return Ok(());
        }
        let extra = vec![("iteration", 0.0), ("env_steps", 0.0), ("generated_tokens", 0.0)];
        let report = StepReport {
            step: 0,
            epoch: 0.0,
            fraction: 0.0,
            seconds: 0.0,
            left: 0.0,
            tokens: 0,
            loss: 0.0,
            gradient_norm: 0.0,
            learning_rate: 0.0,
            per_role: [(0.0, 0.0); Role::COUNT],
            extra,
        };
        self.probe(trainer, &report)
    }

    fn probe(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let run = self.run;
        let name = format!("step-{}", trainer.counters.step);
        let mut generator = run.generators.open(&trainer.weights, run.encoder.clone(), name)?;
        let options = Options {
            max_steps: run.env.max_steps(run.config, &run.config.eval.split),
            slots: run.config.eval.slots,
            stop_strings: run.config.generation.stop_strings(),
            stop: Some(run.stop),
            ..Options::greedy(run.agent.spec())
        };
        let jobs = Job::each(&run.probe_tasks.tasks);
        let failed =
            |error: &dyn Display| AlgoError::Observer(format!("a probe of {} failed: {error}", run.name));
        let episodes = stepladder_rollout::Scheduler::new(&*run.env.tasks, &mut generator, options)
            .run(&jobs, |_| ())
            .map_err(|error| match error {
                GenerateError::Stopped => AlgoError::Generate(error),
                _ => failed(&error),
            })?;
        // A failed probe is no point of the curve: training ends here and probes again when it continues.
        Dropped::count(&episodes).map_err(|error| failed(&error))?;
        warn_of_aborted(&episodes, run.reporter);
        let all = run.env.evaluate(&episodes).all;
        let mut values = vec![(PROBE, all.success), (PROBE_SCORE, all.score)];
        let counted = ["iteration", "env_steps", "generated_tokens"];
        values.extend(report.extra.iter().filter(|(name, _)| counted.contains(name)));
        self.write(report.step, &values)?;
        self.status.note(&format!(
            "{} after {} of training: {:.0} % of {} {} episodes solved, {:.1} steps{}",
            run.name,
            minutes(report.seconds),
            100.0 * all.success,
            all.n,
            run.config.eval.split,
            all.mean_steps,
            suffix(run.probe_tasks)
        ));
        self.probed.best = self.probed.best.max(all.success);
        if let (true, Some(until)) = (self.is_reached(), run.agent.until) {
            self.status.note(&format!("{} ends here: agents.{}.until is {until}", run.name, run.name));
        }
        Ok(())
    }
}

impl Observer for Watcher<'_> {
    fn is_reached(&self) -> bool {
        self.run.agent.until.is_some_and(|until| self.probed.best >= until)
    }

    fn on_warning(&mut self, text: &str) {
        self.run.reporter.warn(text);
    }

    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        for (total, (sum, weight)) in self.logged.per_role.iter_mut().zip(report.per_role) {
            total.0 += sum;
            total.1 += weight;
        }
        let every = report.seconds - self.logged.seconds >= self.run.config.log.every_seconds;
        // Online iterations take seconds, and each is a point of a curve, so each has its line.
        if every || self.run.agent.algo.is_online() {
            self.log(report)?;
        }
        // Before saving, so that a checkpoint is never ahead of the metrics of its step.
        let due = self.probes_due(trainer, report.fraction);
        if due > self.probed.count {
            self.probed.count = due;
            self.probe(trainer, report)?;
        }
        if report.seconds - self.saved >= self.run.config.log.checkpoint_seconds {
            self.save(trainer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_after_a_kill_is_removed_from_the_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        // The third and fourth iteration took no step.
        let lines = [
            "{\"iteration\":1.0,\"step\":2}",
            "{\"iteration\":2.0,\"step\":4,\"probe/success\":0.5}",
            "{\"iteration\":3.0,\"step\":4}",
            "{\"iteration\":4.0,\"step\":4}",
            "{\"iteration\":5.0,\"step\":6}",
            "{\"iteration\":6.0,\"st",
        ];
        fs_err::write(&path, lines.join("\n")).unwrap();
        let counters = Counters { step: 4, epoch: 3, ..Counters::start() };
        let probed = trim_metrics(&path, &counters).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), lines[..3]);
        assert_eq!((probed.count, probed.best), (1, 0.5));
        // The first iteration took no step; its probe is another one than that of the initial policy.
        let lines = [
            "{\"iteration\":0.0,\"step\":0,\"probe/success\":0.25}",
            "{\"iteration\":1.0,\"step\":0}",
            "{\"iteration\":1.0,\"step\":0,\"probe/success\":0.5}",
        ];
        fs_err::write(&path, lines.join("\n")).unwrap();
        let unmoved = Counters { step: 0, epoch: 1, ..Counters::start() };
        assert_eq!(trim_metrics(&path, &unmoved).unwrap(), Probed { count: 1, best: 0.5 });
        // Methods that learn from data have no iterations.
        fs_err::write(&path, "{\"step\":4}\n{\"step\":5}\n").unwrap();
        trim_metrics(&path, &counters).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "{\"step\":4}\n");
    }
}
