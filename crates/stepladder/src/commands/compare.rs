//! `compare`: one table over several runs.

use anyhow::{Result, bail};
use stepladder_train::compare::compare;
use stepladder_train::directory::RunDir;

use super::{Usage, say};
use crate::cli::Compare;

pub(super) fn run(arguments: &Compare) -> Result<()> {
    let target = match &arguments.on {
        Some(target) => target.clone(),
        None => {
            let (_, config, _) = RunDir::open(&arguments.runs[0])?;
            format!("{}/{}", config.env.id, config.eval.split)
        }
    };
    if target.split('/').count() != 2 {
        return Err(Usage(format!("--on {target} must be ENV/SPLIT, for example alfworld/valid_seen")).into());
    }
    let comparison = compare(&arguments.runs, &target, arguments.over.as_deref())?;
    if comparison.rows.is_empty() {
        bail!("no agent of these runs was evaluated on {target}");
    }
    if arguments.json {
        say(serde_json::to_string(&comparison.rows)?);
    } else {
        say(comparison.markdown().trim_end());
    }
    Ok(())
}
