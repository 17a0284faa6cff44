//! `train`: starts a run, or continues one.

use std::path::Path;

use anyhow::Result;
use stepladder_train::{Place, Run, RunEnding};

use super::{model, say};
use crate::cli::Train;
use crate::signals::{self, Stopped};
use crate::terminal::Terminal;

pub(super) fn run(arguments: &Train) -> Result<()> {
    let (data_root, device) = (arguments.data.as_deref(), arguments.device.as_deref());
    let run = match &arguments.resume {
        Some(path) => Run::resume(path, data_root, device, &Terminal)?,
        None => {
            let name = arguments.config.as_deref().unwrap_or_default();
            let (loaded, name) = stepladder_train::load(name, &arguments.sets, data_root, &Terminal)?;
            model::fetch_absent(loaded.config.model.from.as_deref(), data_root)?;
            let (directory, take) = (arguments.run_dir.as_deref(), arguments.take.as_deref());
            Run::start(&loaded, &name, Place { directory, data_root, take, device })?
        }
    };
    if run.train(&Terminal, &signals::finish_first())? == RunEnding::Interrupted {
        say(format_args!("stopped; continue with: stepladder train --resume {}", quoted(run.root())));
        return Err(Stopped::by_request().into());
    }
    Ok(())
}

/// Quotes a path for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
