//! Success and cost of each agent as a function of task length, over the runs of one configuration.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

use crate::directory::commit;
use crate::error::Result;
use crate::plot::{self, Line, Panel, Point};
use crate::results::{self, Results};
use crate::statistics::{self, Difference, Scope};
use crate::table::percent;

/// Evaluation of one agent on chains of one length. Costs are means over the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Name in the runs.
    pub agent: String,
    /// Goals per task.
    pub goals: u32,
    /// Run seeds.
    pub seeds: Vec<u64>,
    /// Success rate per run.
    pub by_seed: Vec<f64>,
    /// Number of episodes per run.
    pub n: u64,
    /// Number of tasks in the split, of which `n` are played.
    pub of: u64,
    /// Success rate, mean over the runs.
    pub success: f64,
    /// 95 % interval of the success rate.
    pub interval: [f64; 2],
    /// What the interval generalises to.
    pub scope: Scope,
    /// Difference to the agent that the others are compared with, at the same number of goals. Holm's adjustment is over all gains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Difference>,
    /// Environment steps per episode.
    pub steps: f64,
    /// Prompt and completion tokens per environment step, without a prefix cache.
    pub tokens: f64,
    /// Prompt and completion tokens per environment step, with the keys and values of an episode's earlier prompts cached.
    pub tokens_cached: f64,
    /// Fraction of the replies that could not be parsed.
    pub unparsable_share: f64,
    /// Fraction of the prompts that were shortened to fit into the context window.
    pub shortened_share: f64,
    /// Milliseconds per environment step.
    pub milliseconds: f64,
    /// Peak memory of the process in MiB.
    pub peak_mib: f64,
    /// Success by task.
    #[serde(skip)]
    results: Results,
}

impl Cell {
    /// Returns the path of the episodes beside a stored evaluation.
    pub fn episodes(path: &Path) -> PathBuf {
        path.with_extension("jsonl.zst")
    }

    /// Whether a stored evaluation has this checkpoint, this program and this number of episodes, and its episodes are kept.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn is_current(path: &Path, checkpoint: &Path, episodes: usize) -> Result<bool> {
        let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?).unwrap_or_default();
        Ok(value["checkpoint"].as_str() == Some(&*checkpoint.display().to_string())
            && value["commit"].as_str() == Some(commit())
            && value["n"].as_u64() == Some(episodes as u64)
            && value["split_tasks"].is_u64()
            && value["unparsable_share"].is_f64()
            && Self::episodes(path).exists())
    }

    /// Reads the outputs of `evaluate --json` and their episodes, one per run with its seed.
    ///
    /// # Errors
    /// If there is none, a file cannot be read or lacks a field, or a run played no task.
    pub fn read(agent: &str, goals: u32, runs: &[(u64, PathBuf)]) -> Result<Self> {
        let mut results = Results::default();
        let mut by_seed = Vec::new();
        // Sums over the runs, in the order of the fields below.
        let mut sums = [0.0; 7];
        let (mut n, mut of) = (0.0, 0.0);
        for (seed, path) in runs {
            let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?)
                .with_context(|| path.display().to_string())?;
            let number = |value: &Value| {
                value.as_f64().with_context(|| format!("{}: a number is missing", path.display()))
            };
            let (mut tokens, mut cached) = (0.0, 0.0);
            for role in value["tokens_per_step"].as_object().into_iter().flatten().map(|(_, role)| role) {
                tokens += number(&role["prompt"])? + number(&role["new"])?;
                cached += number(&role["uncached"])? + number(&role["new"])?;
            }
            let found = [
                number(&value["mean_steps"])?,
                tokens,
                cached,
                number(&value["unparsable_share"])?,
                number(&value["shortened_share"])?,
                1000.0 * number(&value["seconds_per_step"])?,
                value["peak_memory_bytes"].as_f64().unwrap_or(f64::NAN) / f64::from(1 << 20),
            ];
            sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
            (n, of) = (number(&value["n"])?, number(&value["split_tasks"])?);
            by_seed.push(number(&value["success"])?);
            results.add(Some(*seed), results::read(&Self::episodes(path), None)?);
        }
        let estimate = results
            .estimate()
            .with_context(|| format!("{agent}, {goals} goals: the runs have no task in common"))?;
        let [steps, tokens, tokens_cached, unparsable_share, shortened_share, milliseconds, peak_mib] =
            sums.map(|sum| sum / runs.len() as f64);
        Ok(Self {
            agent: agent.to_owned(),
            goals,
            seeds: runs.iter().map(|(seed, _)| *seed).collect(),
            by_seed,
            n: n as u64,
            of: of as u64,
            success: estimate.mean,
            interval: estimate.interval,
            scope: estimate.scope,
            gain: None,
            steps,
            tokens,
            tokens_cached,
            unparsable_share,
            shortened_share,
            milliseconds,
            peak_mib,
            results,
        })
    }
}

/// Evaluations of all agents on chains of several lengths, ordered by agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Horizon(Vec<Cell>);

impl Horizon {
    /// Compares success with that of the agent `over`, at each number of goals.
    pub fn new(mut cells: Vec<Cell>, over: Option<&str>) -> Self {
        let bases: Vec<Cell> =
            cells.iter().filter(|cell| Some(cell.agent.as_str()) == over).cloned().collect();
        for cell in cells.iter_mut().filter(|cell| Some(cell.agent.as_str()) != over) {
            let base = bases.iter().find(|base| base.goals == cell.goals);
            cell.gain = base.and_then(|base| cell.results.minus(&base.results));
        }
        statistics::adjust(cells.iter_mut().filter_map(|cell| cell.gain.as_mut()));
        Self(cells)
    }

    /// Renders a Markdown table with one line per agent and number of goals, and a line about its intervals.
    pub fn markdown(&self) -> String {
        markdown(&self.0)
    }

    /// Returns the numbers of the table as JSON.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&json!({ "cells": self.0 }))? + "\n")
    }

    /// Draws success, tokens and time over the number of goals, as SVG.
    ///
    /// # Errors
    /// If the plot cannot be drawn.
    pub fn plot(&self) -> Result<String> {
        plot::draw(&panels(&self.0))
    }
}

/// Plots four measures over the number of goals, one line per agent.
fn panels(cells: &[Cell]) -> Vec<Panel> {
    type Measure = fn(&Cell) -> f64;
    let measures: [(&str, Measure); 4] = [
        ("success, %", |cell| 100.0 * cell.success),
        ("tokens per step, no prefix cache", |cell| cell.tokens),
        ("tokens per step, prefix cache", |cell| cell.tokens_cached),
        ("milliseconds per step", |cell| cell.milliseconds),
    ];
    let mut agents: Vec<&str> = cells.iter().map(|cell| cell.agent.as_str()).collect();
    agents.dedup();
    let panel = |(number, (title, measure)): (usize, (&str, Measure))| {
        let point = |cell: &Cell| Point {
            x: f64::from(cell.goals),
            y: measure(cell),
            interval: (number == 0).then(|| cell.interval.map(|bound| 100.0 * bound)),
        };
        let line = |agent: &&str| Line {
            name: (*agent).to_owned(),
            points: cells.iter().filter(|cell| cell.agent == **agent).map(point).collect(),
        };
        Panel {
            title: title.to_owned(),
            x: "goals of the task".to_owned(),
            lines: agents.iter().map(line).collect(),
        }
    };
    measures.into_iter().enumerate().map(panel).collect()
}

/// Renders one line per agent and number of goals.
fn markdown(cells: &[Cell]) -> String {
    let gains = cells.iter().filter(|cell| cell.gain.is_some()).count();
    let several = cells.iter().any(|cell| cell.seeds.len() > 1);
    let mut text = format!(
        "| agent | goals | n |{} success | 95 % interval |{} steps | unparsable | shortened | tokens/step | \
         with prefix cache | ms/step | peak MiB |\n|{}\n",
        if several { " success by seed |" } else { "" },
        if gains > 0 { " gain in points [95 %], p |" } else { "" },
        "---|".repeat(12 + usize::from(several) + usize::from(gains > 0)),
    );
    for cell in cells {
        let seeds = results::by_seed(&cell.seeds, cell.by_seed.iter().map(|success| 100.0 * success));
        let gain = if gains > 0 { results::gain_cell(cell.gain.as_ref()) } else { String::new() };
        text.push_str(&format!(
            "| {} | {} | {} of {} |{} {:.1} % | [{:.1}, {:.1}] |{gain} {:.1} | {} | {} | {:.1} | {:.1} | {:.2} | {:.0} |\n",
            cell.agent,
            cell.goals,
            cell.n,
            cell.of,
            if several { format!(" {} |", seeds) } else { String::new() },
            100.0 * cell.success,
            100.0 * cell.interval[0],
            100.0 * cell.interval[1],
            cell.steps,
            percent(cell.unparsable_share),
            percent(cell.shortened_share),
            cell.tokens,
            cell.tokens_cached,
            cell.milliseconds,
            cell.peak_mib,
        ));
    }
    let mut kinds: Vec<(&str, Scope, usize, usize)> = cells
        .iter()
        .map(|cell| (cell.agent.as_str(), cell.scope, cell.seeds.len(), cell.results.tasks().len()))
        .collect();
    kinds.dedup();
    text.push_str(&format!("\n{}", results::caption(&kinds, gains)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell of two seeds that solve the first tasks of ten.
    fn cell(agent: &str, goals: u32, solved: [usize; 2]) -> Cell {
        let mut results = Results::default();
        for (seed, solved) in [(1, solved[0]), (2, solved[1])] {
            let won = |task: usize| f64::from(u8::from(task < solved));
            results.add(Some(seed), (0..10).map(|task| (format!("{goals}/{task}"), won(task))).collect());
        }
        let estimate = results.estimate().unwrap();
        Cell {
            agent: agent.to_owned(),
            goals,
            seeds: vec![1, 2],
            by_seed: solved.map(|solved| solved as f64 / 10.0).to_vec(),
            n: 10,
            of: 200,
            success: estimate.mean,
            interval: estimate.interval,
            scope: estimate.scope,
            gain: None,
            steps: 1.0,
            tokens: 1.0,
            tokens_cached: 1.0,
            unparsable_share: 0.0,
            shortened_share: 0.0,
            milliseconds: 1.0,
            peak_mib: 1.0,
            results,
        }
    }

    #[test]
    fn gains_are_at_the_same_number_of_goals() {
        let cells = vec![
            cell("flat", 1, [5, 6]),
            cell("flat", 2, [1, 2]),
            cell("step_hrl", 1, [6, 7]),
            cell("step_hrl", 2, [6, 7]),
        ];
        let horizon = Horizon::new(cells, Some("flat"));
        let gains: Vec<Option<f64>> =
            horizon.0.iter().map(|cell| cell.gain.map(|gain| (10.0 * gain.difference).round())).collect();
        assert_eq!(gains, [None, None, Some(1.0), Some(5.0)]);
        assert!(horizon.0[3].gain.unwrap().p_holm >= horizon.0[3].gain.unwrap().p);
        let table = horizon.markdown();
        let columns: Vec<usize> = table.lines().take(6).map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [15; 6], "{table}");
        assert!(table.contains("| flat | 2 | 10 of 200 | 1: 10.0, 2: 20.0 | 15.0 % | ["), "{table}");
        assert!(
            table.contains("\nIntervals: 95 %, over seeds and tasks (2 seeds, 10 tasks). Gains: "),
            "{table}"
        );
        let value: Value = serde_json::from_str(&horizon.json().unwrap()).unwrap();
        assert!(value["cells"][3]["gain"]["p_holm"].is_f64(), "{value}");
    }
}
