//! Success and cost of each agent of a run as a function of task length.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::directory::commit;
use crate::error::Result;
use crate::plot::{self, Line, Panel, Point};
use crate::table::percent;

/// Evaluation of one agent on chains of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Name in the run.
    pub agent: String,
    /// Goals per task.
    pub goals: u32,
    /// Number of episodes.
    pub n: u64,
    /// Number of tasks in the split, of which `n` are played.
    pub of: u64,
    /// Success rate.
    pub success: f64,
    /// 95 % Wilson interval of the success rate.
    pub interval: [f64; 2],
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
}

impl Cell {
    /// Whether a stored cell has this checkpoint, this program and this number of episodes.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn is_current(path: &Path, checkpoint: &Path, episodes: usize) -> Result<bool> {
        let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?).unwrap_or_default();
        Ok(value["checkpoint"].as_str() == Some(&*checkpoint.display().to_string())
            && value["commit"].as_str() == Some(commit())
            && value["n"].as_u64() == Some(episodes as u64)
            && value["split_tasks"].is_u64()
            && value["unparsable_share"].is_f64())
    }

    /// Reads the output of `evaluate --json`.
    ///
    /// # Errors
    /// If the file cannot be read or lacks a field.
    pub fn read(agent: &str, goals: u32, path: &Path) -> Result<Self> {
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
        Ok(Self {
            agent: agent.to_owned(),
            goals,
            n: number(&value["n"])? as u64,
            of: number(&value["split_tasks"])? as u64,
            success: number(&value["success"])?,
            interval: [number(&value["interval"][0])?, number(&value["interval"][1])?],
            steps: number(&value["mean_steps"])?,
            tokens,
            tokens_cached: cached,
            unparsable_share: number(&value["unparsable_share"])?,
            shortened_share: number(&value["shortened_share"])?,
            milliseconds: 1000.0 * number(&value["seconds_per_step"])?,
            peak_mib: value["peak_memory_bytes"].as_f64().unwrap_or(f64::NAN) / f64::from(1 << 20),
        })
    }
}

/// Evaluations of all agents of a run on chains of several lengths, ordered by agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Horizon(pub Vec<Cell>);

impl Horizon {
    /// Renders a Markdown table with one line per agent and number of goals.
    pub fn markdown(&self) -> String {
        markdown(&self.0)
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
    let mut text = "| agent | goals | n | success | 95 % interval | steps | unparsable | shortened | tokens/step | \
                    with prefix cache | ms/step | peak MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for cell in cells {
        text.push_str(&format!(
            "| {} | {} | {} of {} | {:.1} % | [{:.1}, {:.1}] | {:.1} | {} | {} | {:.1} | {:.1} | {:.2} | {:.0} |\n",
            cell.agent,
            cell.goals,
            cell.n,
            cell.of,
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
    text
}
