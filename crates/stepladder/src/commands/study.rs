//! `study`: one configuration with several seeds, each in its own process, then one table.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::{Usage, say};
use crate::cli::Study;
use crate::signals::{self, Stopped};
use crate::terminal::Terminal;
use stepladder_train::compare::compare;
use stepladder_train::config::{self, Config};
use stepladder_train::directory::{RunDir, replace_file};

pub(super) fn run(arguments: &Study) -> Result<()> {
    // Checked before the first seed, which can take an hour.
    let data_root = arguments.data.as_deref();
    let (loaded, name) = stepladder_train::load(&arguments.config, &arguments.sets, data_root, &Terminal)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = arguments.seeds.iter().find(|seed| !seen.insert(**seed)) {
        return Err(Usage(format!("--seeds names {twice} twice")).into());
    }
    for seed in &arguments.seeds {
        let sets = arguments.sets.iter().cloned().chain([format!("seed={seed}")]).collect::<Vec<_>>();
        config::load(&name, &sets)?;
    }
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut runs = Vec::new();
    for seed in &arguments.seeds {
        let directory = arguments.dir.join(format!("seed-{seed}"));
        let mut command = Command::new(&program);
        command.args(["train", "--device", &arguments.device]);
        if let Some(data) = data_root {
            command.arg("--data").arg(data);
        }
        if directory.join("config.toml").exists() {
            let (_, found, _) = RunDir::open(&directory)?;
            let found = Config { seed: loaded.config.seed, ..found };
            if config::effective(&found) != config::effective(&loaded.config) {
                bail!(
                    "{} was begun with another configuration: choose another --dir, or use the same configuration",
                    directory.display()
                );
            }
            command.arg("--resume").arg(&directory);
        } else {
            command.arg(&name).arg("--run-dir").arg(&directory);
            for set in &arguments.sets {
                command.args(["--set", set]);
            }
            command.args(["--set", &format!("seed={seed}")]);
        }
        let Output { status, .. } = match signals::run(&mut command) {
            Err(error) if error.is::<Stopped>() => {
                say("stopped; the same command continues the study");
                return Err(error);
            }
            ended => ended?,
        };
        if !directory.join("config.toml").exists() {
            bail!("seed {seed} could not be started; see the message above");
        }
        if !status.success() || !directory.join("table.txt").exists() {
            bail!("seed {seed} is not complete; the same command continues {}", directory.display());
        }
        runs.push(directory);
    }
    let mut targets = vec![format!("{}/{}", loaded.config.env.id, loaded.config.eval.split)];
    targets.extend(loaded.config.eval.transfer);
    let mut text = String::new();
    for target in targets {
        let comparison = compare(&runs, &target, None)?;
        if !comparison.rows.is_empty() {
            text.push_str(&(comparison.markdown() + "\n"));
        }
    }
    say(text.trim_end());
    Ok(replace_file(&arguments.dir.join("table.md"), &text)?)
}
