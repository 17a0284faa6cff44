//! `compare`: one table over several runs.

use anyhow::{Result, bail};
use stepladder_train::compare::{Comparison, compare, is_played};
use stepladder_train::directory::RunDir;

use super::{Usage, say};
use crate::cli::Compare;

pub(super) fn run(arguments: &Compare) -> Result<()> {
    let targets = match &arguments.on {
        Some(target) => vec![target.clone()],
        None => {
            let (_, config, _) = RunDir::open(&arguments.runs[0])?;
            // The final split has a table of its own once the runs have played it.
            let finals = config.final_target().filter(|target| {
                arguments
                    .runs
                    .iter()
                    .any(|path| RunDir::open(path).is_ok_and(|(run, ..)| is_played(&run, target)))
            });
            std::iter::once(config.own_target()).chain(finals).collect()
        }
    };
    let mut rows = Vec::new();
    let mut tables = Vec::new();
    for target in &targets {
        let comparison = one(arguments, target)?;
        tables.push(comparison.markdown());
        rows.extend(comparison.rows);
    }
    if arguments.json {
        say(serde_json::to_string(&rows)?);
    } else {
        say(tables.join("\n").trim_end());
    }
    Ok(())
}

/// Compares the runs on one split.
fn one(arguments: &Compare, target: &str) -> Result<Comparison> {
    if target.split('/').count() != 2 {
        return Err(Usage(format!("--on {target} must be ENV/SPLIT, for example alfworld/valid_seen")).into());
    }
    let mut comparison =
        compare(&arguments.runs, target, arguments.over.as_deref(), &arguments.allow_different)?;
    if comparison.rows.is_empty() {
        bail!("no agent of these runs was evaluated on {target}");
    }
    if arguments.by_subgoals {
        comparison.add_subgoals(&arguments.runs)?;
    }
    Ok(comparison)
}
