//! Quality of critics on held-out episodes, measured before the policy learns and at the end of training.
//!
//! A critic that cannot tell solved episodes from others cannot teach (docs/spec/algorithms.md 9.1). The numbers are in `gate.json` of the
//! agent's directory, in its metrics and on the status line; nothing waits for them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use stepladder_algo::AlgoError;
use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_algo::offline_ac::quality::{Quality, metrics, quality};
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_data::PerLevel;
use stepladder_data::offline::HeldOut;

use super::directory::replace_file;
use super::watcher::Watcher;

/// File with the measurements, in the directory of the agent.
const FILE: &str = "gate.json";

/// Moment of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// After the steps in which only critics learn.
    BeforeActor,
    /// After the last step.
    End,
}

impl Moment {
    /// Returns its name in the file.
    fn key(self) -> &'static str {
        match self {
            Self::BeforeActor => "before_actor",
            Self::End => "end",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::BeforeActor => "before the policy learns",
            Self::End => "at the end",
        }
    }
}

/// A [`Watcher`] that measures critics.
pub(crate) struct Gate<'a> {
    pub(crate) watcher: Watcher<'a>,
    pub(crate) config: &'a OfflineConfig,
    /// Held-out episodes; without any, nothing is measured.
    pub(crate) episodes: &'a [HeldOut],
    pub(crate) pad: u32,
    pub(crate) passes: Passes,
}

impl Gate<'_> {
    /// Measures before the first step, if the policy learns from it on. A continued run has done so.
    pub(crate) fn begin(&mut self, trainer: &Trainer) -> Result<()> {
        if self.config.critic_warmup == 0 && trainer.counters.step == 0 && !self.watcher.begun {
            self.measure(trainer, Moment::BeforeActor)?;
        }
        Ok(())
    }

    /// Saves, and measures at the end of training. A run that was killed behind its last step has perhaps done so.
    pub(crate) fn finish(mut self, trainer: &Trainer, complete: bool) -> Result<()> {
        self.watcher.save(trainer)?;
        if complete && self.read()?["end"]["step"].as_u64() != Some(trainer.counters.step) {
            self.measure(trainer, Moment::End)?;
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.watcher.run.directory.join(FILE)
    }

    /// Reads the measurements that there are.
    fn read(&self) -> Result<Value> {
        let path = self.path();
        if !path.exists() {
            return Ok(Value::Object(Map::new()));
        }
        serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())
    }

    fn measure(&mut self, trainer: &Trainer, moment: Moment) -> Result<()> {
        if self.episodes.is_empty() {
            return Ok(());
        }
        let found = quality(self.config, self.episodes, self.pad, trainer, self.passes)?;
        let step = trainer.counters.step;
        self.watcher.write(step, &metrics(&found))?;
        let solved = self.episodes.iter().filter(|episode| episode.solved).count();
        let levels = found.iter().filter_map(|(level, quality)| {
            Some((level.role().name().to_owned(), serde_json::to_value(quality.as_ref()?).ok()?))
        });
        let levels = Value::Object(levels.collect());
        let mut file = self.read()?;
        file["held_out"] = json!({ "episodes": self.episodes.len(), "solved": solved });
        file[moment.key()] = json!({ "step": step, "levels": levels });
        replace_file(&self.path(), &(serde_json::to_string_pretty(&file)? + "\n"))?;
        let name = self.watcher.run.name;
        self.watcher.status.note(&format!(
            "{name}: critics {} (step {step}), on {} held-out episodes, {solved} of them solved",
            moment.words(),
            self.episodes.len(),
        ));
        for line in table(&found) {
            self.watcher.status.note(&line);
        }
        Ok(())
    }
}

/// Renders a measurement, one line per level below a head.
fn table(found: &PerLevel<Option<Quality>>) -> Vec<String> {
    let head = format!(
        "  {:<10}{:>7}{:>7}{:>17}{:>17}{:>14}{:>17}",
        "level", "AUC Q", "AUC V", "Q solved/failed", "V solved/failed", "off by Q/V", "weight s./f."
    );
    let pair = |a: f64, b: f64| format!("{a:.2}/{b:.2}");
    let line = |name: &str, Quality { q, v, weight_solved, weight_failed, .. }: &Quality| {
        format!(
            "  {name:<10}{:>7.3}{:>7.3}{:>17}{:>17}{:>14}{:>17}",
            q.auc,
            v.auc,
            pair(q.mean_solved, q.mean_failed),
            pair(v.mean_solved, v.mean_failed),
            pair(q.calibration_error, v.calibration_error),
            pair(*weight_solved, *weight_failed)
        )
    };
    let lines =
        found.iter().filter_map(|(level, quality)| Some(line(level.role().name(), quality.as_ref()?)));
    std::iter::once(head).chain(lines).collect()
}

impl Observer for Gate<'_> {
    fn on_warning(&mut self, text: &str) {
        self.watcher.on_warning(text);
    }

    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        // Before the watcher saves, so that a checkpoint is never ahead of the measurement.
        if report.step == self.config.critic_warmup {
            self.measure(trainer, Moment::BeforeActor)
                .map_err(|error| AlgoError::Observer(format!("critics cannot be measured: {error:#}")))?;
        }
        self.watcher.on_step(trainer, report)
    }
}
