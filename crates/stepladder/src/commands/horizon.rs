//! `horizon`: what becomes of each agent of a run as tasks get longer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stepladder_algo::note;
use stepladder_model::Device;

use super::plot::{self, Line, Panel, Point};
use super::{report, say};
use crate::cli::Horizon;
use crate::signals::{self, Stopped};
use stepladder_train::config::Config;
use stepladder_train::directory::{RunDir, commit, replace_file};
use stepladder_train::envs;
use stepladder_train::play::Policy;

/// Episodes at once: as few as keep what is kept of their prompts well below its limit (`stepladder_model::local`), also
/// for the longest histories.
const SLOTS: usize = 8;

/// One agent on chains of one length.
pub(super) struct Cell {
    pub(super) agent: String,
    pub(super) goals: u32,
    pub(super) n: u64,
    /// Tasks of the split, of which `n` are played.
    pub(super) of: u64,
    pub(super) success: f64,
    pub(super) interval: [f64; 2],
    pub(super) steps: f64,
    /// Prompt and new tokens per environment step, every prompt read whole.
    pub(super) tokens: f64,
    /// The same where the keys and values of an episode's earlier prompts are kept.
    pub(super) tokens_cached: f64,
    pub(super) milliseconds: f64,
    pub(super) peak_mib: f64,
}

pub(super) fn run(arguments: &Horizon) -> Result<()> {
    let (run, config, _) = RunDir::open(&arguments.run)?;
    // Before an hour is spent on the first cell.
    for &goals in &arguments.goals {
        envs::named(env(arguments, &config))?.known_split(&split(arguments, goals)).context("--goals")?;
    }
    for agent in config.agents.keys() {
        if !run.agent(agent).join("trained.json").exists() {
            bail!(
                "{agent} is not trained to the end yet: stepladder train --resume {}",
                arguments.run.display()
            );
        }
    }
    let (mut page, plot) = report(&arguments.output)?;
    let mut cells = Vec::new();
    for agent in config.agents.keys() {
        for &goals in &arguments.goals {
            let path = run.agent(agent).join(format!("horizon-{}-{goals}.json", arguments.split));
            // What was measured of these weights once is not measured again.
            let newest = Policy::of_run(&run, &config, agent, Device::Cpu)?.checkpoint;
            if !path.exists() || !current(&path, &newest, arguments.episodes.get())? {
                replace_file(&path, &evaluate(arguments, env(arguments, &config), agent, goals)?)?;
            }
            let cell = cell(agent, goals, &path)?;
            note!("{agent}, {goals} goals: {:.1} % of {}", 100.0 * cell.success, cell.n);
            cells.push(cell);
        }
    }
    let table = markdown(&cells);
    page.write_all(table.as_bytes())?;
    page.finish()?;
    plot::draw(&panels(&cells), plot)?;
    say(table.trim_end());
    Ok(())
}

/// Whether a cell was measured with this checkpoint, this program and as many episodes.
fn current(path: &Path, checkpoint: &Path, episodes: usize) -> Result<bool> {
    let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?).unwrap_or_default();
    Ok(value["checkpoint"].as_str() == Some(&*checkpoint.display().to_string())
        && value["commit"].as_str() == Some(commit())
        && value["n"].as_u64() == Some(episodes as u64)
        && value["split_tasks"].is_u64())
}

/// The environment whose chains are played.
fn env<'a>(arguments: &'a Horizon, config: &'a Config) -> &'a str {
    arguments.env.as_deref().unwrap_or(&config.env.id)
}

/// The split with chains of so many goals.
fn split(arguments: &Horizon, goals: u32) -> String {
    format!("{}-goals-{goals}", arguments.split)
}

/// A process of its own for each cell, so that its peak memory is its own.
fn evaluate(arguments: &Horizon, env: &str, agent: &str, goals: u32) -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let split = split(arguments, goals);
    let mut command = Command::new(program);
    command
        .arg("evaluate")
        .arg(&arguments.run)
        .args(["--agent", agent, "--env", env, "--split", &split, "--json"])
        .args(["--episodes", &arguments.episodes.to_string(), "--slots", &SLOTS.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = match signals::run(&mut command) {
        Err(error) if error.is::<Stopped>() => {
            say("stopped; the same command continues with the cells that are missing");
            return Err(error);
        }
        ended => ended?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{agent} on {split}: {}",
            said.lines().last().unwrap_or_default().trim_start_matches("error: ")
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn cell(agent: &str, goals: u32, path: &Path) -> Result<Cell> {
    let value: Value =
        serde_json::from_str(&fs_err::read_to_string(path)?).with_context(|| path.display().to_string())?;
    let number =
        |value: &Value| value.as_f64().with_context(|| format!("{}: a number is missing", path.display()));
    let (mut tokens, mut cached) = (0.0, 0.0);
    for role in value["tokens_per_step"].as_object().into_iter().flatten().map(|(_, role)| role) {
        tokens += number(&role["prompt"])? + number(&role["new"])?;
        cached += number(&role["uncached"])? + number(&role["new"])?;
    }
    Ok(Cell {
        agent: agent.to_owned(),
        goals,
        n: number(&value["n"])? as u64,
        of: number(&value["split_tasks"])? as u64,
        success: number(&value["success"])?,
        interval: [number(&value["interval"][0])?, number(&value["interval"][1])?],
        steps: number(&value["mean_steps"])?,
        tokens,
        tokens_cached: cached,
        milliseconds: 1000.0 * number(&value["seconds_per_step"])?,
        peak_mib: value["peak_memory_bytes"].as_f64().unwrap_or(f64::NAN) / f64::from(1 << 20),
    })
}

/// Four measures over the number of goals, one line per agent.
fn panels(cells: &[Cell]) -> Vec<Panel> {
    type Measure = fn(&Cell) -> f64;
    let measures: [(&str, Measure); 4] = [
        ("success, %", |cell| 100.0 * cell.success),
        ("tokens per step, every prompt read whole", |cell| cell.tokens),
        ("tokens per step, kept cache", |cell| cell.tokens_cached),
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

/// One line per agent and number of goals.
fn markdown(cells: &[Cell]) -> String {
    let mut text =
        "| agent | goals | n | success | 95 % interval | steps | tokens/step | with kept cache | ms/step | \
                    peak MiB |\n|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for cell in cells {
        text.push_str(&format!(
            "| {} | {} | {} of {} | {:.1} % | [{:.1}, {:.1}] | {:.1} | {:.1} | {:.1} | {:.2} | {:.0} |\n",
            cell.agent,
            cell.goals,
            cell.n,
            cell.of,
            100.0 * cell.success,
            100.0 * cell.interval[0],
            100.0 * cell.interval[1],
            cell.steps,
            cell.tokens,
            cell.tokens_cached,
            cell.milliseconds,
            cell.peak_mib,
        ));
    }
    text
}
