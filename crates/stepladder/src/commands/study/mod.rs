//! `study`: one configuration with several seeds, or the arms of a study file, each run in its own process; then one table.

mod arms;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::{Usage, say};
use crate::cli::Study;
use crate::signals::{self, Stopped};
use crate::terminal::Terminal;
use stepladder_train::compare::compare;
use stepladder_train::config::{self, Config, Loaded};
use stepladder_train::directory::{RunDir, replace_file};
use stepladder_train::study;

pub(super) fn run(arguments: &Study) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = arguments.seeds.iter().find(|seed| !seen.insert(**seed)) {
        return Err(Usage(format!("--seeds names {twice} twice")).into());
    }
    match study::find(&arguments.study)? {
        Some(study) => arms::run(arguments, &study),
        None => seeds(arguments),
    }
}

/// Returns the directory of the study.
fn directory(arguments: &Study) -> PathBuf {
    let name = Path::new(&arguments.study).file_stem().unwrap_or_default();
    arguments.dir.clone().unwrap_or_else(|| Path::new("runs").join(name))
}

/// Runs one configuration with several seeds.
fn seeds(arguments: &Study) -> Result<()> {
    if !arguments.results.is_empty() {
        return Err(Usage(format!("--results: {} is no study of several arms", arguments.study)).into());
    }
    // Checked before the first seed, which can take an hour.
    let plan = Plan::load(arguments, &arguments.study, &[])?;
    if arguments.seeds.is_empty() {
        return Err(Usage(format!("{} has no seeds of its own: pass --seeds 1,2,3", arguments.study)).into());
    }
    let directory = directory(arguments);
    plan.check(&arguments.seeds)?;
    let mut runs = Vec::new();
    for seed in &arguments.seeds {
        let run = directory.join(format!("seed-{seed}"));
        plan.train(arguments, *seed, &run, None)?;
        runs.push(run);
    }
    let config = plan.loaded.config;
    let mut text = String::new();
    for target in config.targets() {
        let comparison = compare(&runs, &target, None, &[])?;
        if !comparison.rows.is_empty() {
            text.push_str(&(comparison.markdown() + "\n"));
        }
    }
    say(text.trim_end());
    Ok(replace_file(&directory.join("table.md"), &text)?)
}

/// A configuration to train with several seeds.
struct Plan {
    /// Name of the configuration: that of another preset where the data are absent.
    name: String,
    sets: Vec<String>,
    loaded: Loaded,
}

impl Plan {
    /// Loads a configuration with its own overrides and those of the command.
    fn load(arguments: &Study, source: &str, own: &[String]) -> Result<Self> {
        let sets: Vec<String> = own.iter().chain(&arguments.sets).cloned().collect();
        let (loaded, name) = stepladder_train::load(source, &sets, arguments.data.as_deref(), &Terminal)?;
        Ok(Self { name, sets, loaded })
    }

    /// Returns the overrides of the run with this seed.
    fn of_seed(&self, seed: u64) -> Vec<String> {
        self.sets.iter().cloned().chain([format!("seed={seed}")]).collect()
    }

    /// Checks the configuration with each seed.
    fn check(&self, seeds: &[u64]) -> Result<()> {
        for &seed in seeds {
            config::load(&self.name, &self.of_seed(seed))?;
        }
        Ok(())
    }

    /// Whether the run in this directory was begun; refuses one of another configuration.
    fn has_begun(&self, directory: &Path) -> Result<bool> {
        if !directory.join("config.toml").exists() {
            return Ok(false);
        }
        let (_, found, _) = RunDir::open(directory)?;
        let found = Config { seed: self.loaded.config.seed, ..found };
        if config::effective(&found) != config::effective(&self.loaded.config) {
            bail!(
                "{} was begun with another configuration: choose another --dir, or use the same configuration",
                directory.display()
            );
        }
        Ok(true)
    }

    /// Starts or continues the run with this seed, and waits until it is complete. A new run takes agents over from `take`.
    fn train(&self, arguments: &Study, seed: u64, directory: &Path, take: Option<&Path>) -> Result<()> {
        let mut command = program()?;
        command.args(["train", "--device", &arguments.device]);
        if let Some(data) = arguments.data.as_deref() {
            command.arg("--data").arg(data);
        }
        if self.has_begun(directory)? {
            command.arg("--resume").arg(directory);
        } else {
            command.arg(&self.name).arg("--run-dir").arg(directory);
            for set in self.of_seed(seed) {
                command.args(["--set", &set]);
            }
            if let Some(take) = take {
                command.arg("--take").arg(take);
            }
        }
        let Output { status, .. } = child(&mut command)?;
        if !directory.join("config.toml").exists() {
            bail!("seed {seed} could not be started; see the message above");
        }
        if !status.success() || !is_complete(directory) {
            bail!("seed {seed} is not complete; the same command continues {}", directory.display());
        }
        Ok(())
    }
}

/// Whether a run has written its table.
fn is_complete(run: &Path) -> bool {
    run.join("table.txt").exists()
}

/// Returns a command that starts this program.
fn program() -> Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot find this program to start it again")?))
}

/// Waits for a child; a signal is passed on.
fn child(command: &mut Command) -> Result<Output> {
    match signals::run(command) {
        Err(error) if error.is::<Stopped>() => {
            say("stopped; the same command continues the study");
            Err(error)
        }
        ended => ended,
    }
}
