//! `train`: a new run, or the continuation of one.

use std::path::Path;

use anyhow::Result;
use stepladder_algo::note;
use stepladder_algo::runtime::clock::unix_seconds;
use stepladder_model::{Device, device};

use super::say;
use crate::cli::Train;
use crate::signals::{self, Stopped};
use crate::terminal::Terminal;
use stepladder_train::choice::Choice;
use stepladder_train::config;
use stepladder_train::directory::{RunDir, RunInfo, commit};
use stepladder_train::memory;
use stepladder_train::training::{Run, RunEnding, check_data};
use stepladder_train::unchanged::{check_settings, settings};
use stepladder_train::workers;

pub(super) fn run(arguments: &Train) -> Result<()> {
    memory::enough_to_begin()?;
    let recorded = arguments.resume.as_deref().map(RunDir::open).transpose()?.map(|(_, _, info)| info.device);
    let device = arguments.device.clone().or_else(|| recorded.clone()).unwrap_or_else(|| "cpu".to_owned());
    if let Some(before) = recorded.filter(|before| *before != device) {
        note!("the run was started on {before} and goes on on {device}: its numbers will differ");
    }
    let opened = device::open(&device)?;
    // One libtorch thread per worker (design D1): workers are the parallelism.
    device::one_thread_each();
    let (directory, config, choice) = match &arguments.resume {
        Some(path) => {
            let (directory, config, info) = RunDir::open(path)?;
            check_settings(&directory, &config, &info)?;
            let threads = workers(config.threads);
            if threads != info.threads {
                note!(
                    "the run was started with {} threads and goes on with {threads}: its numbers will differ in the last bits",
                    info.threads
                );
            }
            (directory, config, info.subsets)
        }
        None => {
            let name = arguments.config.as_deref().unwrap_or_default();
            let loaded = config::load(name, &arguments.sets)?;
            check_data(&loaded.config, arguments.data.as_deref())?;
            if opened == Device::Cpu {
                memory::enough_to_train(&loaded.config.model)?;
            }
            let info = RunInfo {
                version: RunInfo::VERSION,
                stepladder: env!("CARGO_PKG_VERSION").to_owned(),
                commit: commit().to_owned(),
                libtorch: stepladder_model::version::libtorch(),
                preset: name.to_owned(),
                seed: loaded.config.seed,
                threads: workers(loaded.config.threads),
                device,
                subsets: Choice::Sample,
                settings: Some(settings(&loaded.config)),
                started: unix_seconds(),
            };
            let directory = RunDir::create(arguments.run_dir.as_deref(), &loaded.name, &loaded.text, &info)?;
            (directory, loaded.config, Choice::Sample)
        }
    };
    let _lock = directory.lock()?;
    let stop = signals::finish_first();
    let root = directory.root.clone();
    let run = Run {
        directory,
        config,
        choice,
        data_root: arguments.data.as_deref(),
        device: opened,
        stop,
        reporter: &Terminal,
    };
    if run.run()? == RunEnding::Interrupted {
        say(format_args!("stopped; continue with: stepladder train --resume {}", quoted(&root)));
        return Err(Stopped::by_request().into());
    }
    Ok(())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
