//! Gain of one agent over another on the same tasks.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use stepladder_core::trace::Episode;
use stepladder_rollout::evaluation::normal;

use crate::error::{Result, bail};
use crate::trace_file;

/// Points of 100 by task and start seed.
type Points = BTreeMap<(String, u64), f64>;

/// Difference to another agent of the same runs, in points of 100.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// Name of the other agent.
    pub over: String,
    /// Mean difference of each run, in the order of the runs.
    pub by_seed: Vec<f64>,
    /// Mean over the runs.
    pub mean: f64,
    /// 95 % interval of the mean over tasks. Every task counts once, with its mean difference over the runs.
    pub interval: [f64; 2],
}

/// Differences by task in one run.
#[derive(Debug)]
pub(super) struct Differences(Points);

impl Differences {
    /// Reads the episodes of two agents and subtracts their scores, scaled by `range`, or their success without a range.
    ///
    /// # Errors
    /// If the files hold different tasks, or one cannot be read.
    pub(super) fn read(agent: &Path, other: &Path, range: Option<(f64, f64)>) -> Result<Self> {
        let (gained, had) = (points(agent, range)?, points(other, range)?);
        if !gained.keys().eq(had.keys()) {
            bail!(
                "{} and {} hold different tasks; evaluate both on the same tasks",
                agent.display(),
                other.display()
            );
        }
        Ok(Self(gained.into_iter().map(|(task, points)| (task.clone(), points - had[&task])).collect()))
    }
}

fn points(path: &Path, range: Option<(f64, f64)>) -> Result<Points> {
    let of = |episode: &Episode| match range {
        Some((low, high)) => 100.0 * episode.score.clamp(low, high),
        None => 100.0 * f64::from(u8::from(episode.won)),
    };
    let episodes = trace_file::load(path)?;
    Ok(episodes.iter().map(|episode| ((episode.task.to_string(), episode.seed), of(episode))).collect())
}

impl Gain {
    /// Computes the gain over all runs; `None` without runs.
    pub(super) fn of(over: &str, runs: &[Differences]) -> Option<Self> {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let mut by_task: BTreeMap<&(String, u64), Vec<f64>> = BTreeMap::new();
        for (task, difference) in runs.iter().flat_map(|run| &run.0) {
            by_task.entry(task).or_default().push(*difference);
        }
        let tasks: Vec<f64> = by_task.values().map(|differences| mean(differences)).collect();
        (!tasks.is_empty()).then(|| Self {
            over: over.to_owned(),
            by_seed: runs.iter().map(|run| mean(&run.0.values().copied().collect::<Vec<_>>())).collect(),
            mean: mean(&tasks),
            interval: normal(&tasks),
        })
    }

    /// Renders a table cell.
    pub(super) fn cell(&self) -> String {
        let seeds: Vec<String> = self.by_seed.iter().map(|gain| format!("{gain:+.1}")).collect();
        let [low, high] = self.interval;
        format!("{}: {}; {:+.1} [{low:+.1}, {high:+.1}]", self.over, seeds.join(", "), self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_counts_once_however_many_runs_there_are() {
        let run = |values: [f64; 4]| {
            let named = values.into_iter().enumerate();
            Differences(named.map(|(task, value)| ((format!("boil/{task}"), 0), value)).collect())
        };
        let gain = Gain::of("bc", &[run([0.0, 10.0, 0.0, 10.0]), run([0.0, 10.0, 20.0, 10.0])]).unwrap();
        assert_eq!((gain.by_seed.as_slice(), gain.mean), ([5.0, 10.0].as_slice(), 7.5));
        // Tasks: 0, 10, 10, 10; s = 5, so 1.96 * 5 / 2 on both sides, not the narrower interval of eight episodes.
        assert!((gain.interval[1] - 12.4).abs() < 0.01 && (gain.interval[0] - 2.6).abs() < 0.01, "{gain:?}");
        assert_eq!(gain.cell(), "bc: +5.0, +10.0; +7.5 [+2.6, +12.4]");
        assert_eq!(Gain::of("bc", &[]), None);
    }
}
