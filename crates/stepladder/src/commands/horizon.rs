//! `horizon`: success and cost of each agent of a run as a function of task length.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::stderr::note;
use anyhow::{Context, Result, bail};
use stepladder_model::Device;

use super::{report, say};
use crate::cli;
use crate::signals::{self, Stopped};
use stepladder_train::config::Config;
use stepladder_train::directory::{RunDir, replace_file};
use stepladder_train::horizon::{Cell, Horizon};
use stepladder_train::play::Policy;

/// Number of concurrent episodes, small enough that their cached prompts stay well below the cache limit
/// (`stepladder_model::local`), also for the longest histories.
const SLOTS: usize = 8;

pub(super) fn run(arguments: &cli::Horizon) -> Result<()> {
    let (run, config, _) = RunDir::open(&arguments.run)?;
    // Checked before the first cell, which can take an hour.
    for &goals in &arguments.goals {
        stepladder_families::named(env(arguments, &config))?
            .known_split(&split(arguments, goals))
            .context("--goals")?;
    }
    for agent in config.agents.keys() {
        if !run.agent(agent).join("trained.json").exists() {
            bail!(
                "{agent} is not trained to the end yet: stepladder train --resume {}",
                arguments.run.display()
            );
        }
    }
    let (mut page, mut plot) = report(&arguments.output)?;
    let mut cells = Vec::new();
    for agent in config.agents.keys() {
        for &goals in &arguments.goals {
            let path = run.agent(agent).join(format!("horizon-{}-{goals}.json", arguments.split));
            // A cell that was measured with the same weights is not repeated.
            let newest = Policy::of_run(&run, &config, agent, Device::Cpu, &config.model.bases())?.checkpoint;
            if !path.exists() || !Cell::is_current(&path, &newest, arguments.episodes.get())? {
                replace_file(&path, &evaluate(arguments, env(arguments, &config), agent, goals)?)?;
            }
            let cell = Cell::read(agent, goals, &path)?;
            note!("{agent}, {goals} goals: {:.1} % of {}", 100.0 * cell.success, cell.n);
            cells.push(cell);
        }
    }
    let horizon = Horizon(cells);
    let table = horizon.markdown();
    page.write_all(table.as_bytes())?;
    page.finish()?;
    plot.write_all(horizon.plot()?.as_bytes())?;
    plot.finish()?;
    say(table.trim_end());
    Ok(())
}

/// Returns the environment whose chains are played.
fn env<'a>(arguments: &'a cli::Horizon, config: &'a Config) -> &'a str {
    arguments.env.as_deref().unwrap_or(&config.env.id)
}

/// Returns the split with chains of this number of goals.
fn split(arguments: &cli::Horizon, goals: u32) -> String {
    format!("{}-goals-{goals}", arguments.split)
}

/// Evaluates a cell in its own process, so that the peak memory is that of the cell.
fn evaluate(arguments: &cli::Horizon, env: &str, agent: &str, goals: u32) -> Result<String> {
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
