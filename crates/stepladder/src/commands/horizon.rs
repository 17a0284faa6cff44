//! `horizon`: success and cost of each agent as a function of task length.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stderr::note;
use anyhow::{Context, Result, bail};
use stepladder_model::Device;

use super::{Files, report, say};
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
    let mut runs: Vec<(&Path, RunDir, Config, u64)> = Vec::new();
    for path in &arguments.runs {
        let (run, config, info) = RunDir::open(path)?;
        if runs.iter().any(|(.., seed)| *seed == info.seed) {
            bail!(
                "{}: another of these runs has seed {} too; give each seed once",
                path.display(),
                info.seed
            );
        }
        runs.push((path, run, config, info.seed));
    }
    let Some((_, first, config, _)) = runs.first() else { bail!("no run is given") };
    if let Some(over) = &arguments.over {
        first.check_agent(config, over)?;
    }
    let agents: Vec<&String> = config.agents.keys().collect();
    // Checked before the first cell, which can take an hour.
    for (path, run, config, _) in &runs {
        for &goals in &arguments.goals {
            stepladder_families::named(env(arguments, config))?
                .known_split(&split(arguments, goals))
                .context("--goals")?;
        }
        for agent in &agents {
            run.check_agent(config, agent)?;
            if !run.agent(agent).join("trained.json").exists() {
                bail!("{agent} is not trained to the end yet: stepladder train --resume {}", path.display());
            }
        }
    }
    let Files { mut page, mut plot, mut numbers } = report(&arguments.output)?;
    let mut cells = Vec::new();
    for agent in agents {
        for &goals in &arguments.goals {
            let mut files = Vec::new();
            for (path, run, config, seed) in &runs {
                let file = run.agent(agent).join(format!("horizon-{}-{goals}.json", arguments.split));
                // A cell that was measured with the same weights is not repeated.
                let newest =
                    Policy::of_run(run, config, agent, Device::Cpu, &config.model.bases())?.checkpoint;
                if !file.exists() || !Cell::is_current(&file, &newest, arguments.episodes.get())? {
                    let env = env(arguments, config);
                    let episodes = Cell::episodes(&file);
                    replace_file(&file, &evaluate(arguments, path, env, agent, goals, &episodes)?)?;
                }
                files.push((*seed, file));
            }
            let cell = Cell::read(agent, goals, &files)?;
            note!("{agent}, {goals} goals: {:.1} % of {}", 100.0 * cell.success, cell.n);
            cells.push(cell);
        }
    }
    let horizon = Horizon::new(cells, arguments.over.as_deref());
    let table = horizon.markdown();
    page.write_all(table.as_bytes())?;
    page.finish()?;
    plot.write_all(horizon.plot()?.as_bytes())?;
    plot.finish()?;
    numbers.write_all(horizon.json()?.as_bytes())?;
    numbers.finish()?;
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
fn evaluate(
    arguments: &cli::Horizon,
    run: &Path,
    env: &str,
    agent: &str,
    goals: u32,
    episodes: &Path,
) -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let split = split(arguments, goals);
    let mut command = Command::new(program);
    command
        .arg("evaluate")
        .arg(run)
        .args(["--agent", agent, "--env", env, "--split", &split, "--json"])
        .args(["--episodes", &arguments.episodes.to_string(), "--slots", &SLOTS.to_string()])
        .arg("--trace")
        .arg(episodes)
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
