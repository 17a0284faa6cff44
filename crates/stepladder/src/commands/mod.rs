//! One file per command.

mod collect;
mod compare;
mod config;
mod curves;
mod data;
mod demonstrate;
mod download;
mod env;
mod evaluate;
mod fetch;
mod horizon;
mod model;
mod reference;
mod study;
mod train;

use std::fmt;
use std::path::Path;

use crate::stderr::note;
use anyhow::{Result, anyhow};
use stepladder_core::trace::Episode;
use stepladder_rollout::Dropped;

use crate::cli::{Cli, Command};
use crate::stdout;
pub(crate) use crate::stdout::say;
pub(crate) use stepladder_train::Usage;
use stepladder_train::output::Output;
use stepladder_train::play::aborted;

/// Runs one command.
pub(crate) fn run(arguments: Cli) -> Result<()> {
    match arguments.command {
        Command::Train(arguments) => train::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Demonstrate(arguments) => demonstrate::run(&arguments),
        Command::Collect(arguments) => collect::run(&arguments),
        Command::Study(arguments) => study::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Curves(arguments) => curves::run(&arguments),
        Command::Horizon(arguments) => horizon::run(&arguments),
        Command::Env { command } => env::run(command),
        Command::Data { command } => data::run(command),
        Command::Model { command } => model::run(command),
        Command::Config { command } => config::run(command),
        Command::Reference { page } => reference::run(&page),
    }
}

/// Drops and reports aborted episodes of data to be written; an error if there are too many.
pub(crate) fn whole(episodes: &mut Vec<Episode>) -> Result<Dropped> {
    let dropped = Dropped::take_from(episodes)?;
    if !dropped.is_none() {
        note!("warning: {dropped}");
    }
    Ok(dropped)
}

/// Returns an error if some episodes were aborted. The other episodes have already been written.
pub(crate) fn all_played(episodes: &[Episode]) -> Result<()> {
    aborted(episodes).map_or(Ok(()), |text| Err(anyhow!(text)))
}

/// Refuses to write both a trace and JSON to standard output.
fn one_on_stdout(output: &Path, json: bool) -> Result<()> {
    if json && stdout::is_named(output) {
        let problem =
            format!("the episodes go to standard output ({}), and so would --json", output.display());
        return Err(Usage(problem + ": omit one of them").into());
    }
    Ok(())
}

/// Prints a summary, to standard error if the episodes go to standard output.
fn sum_up(on_stdout: bool, text: impl fmt::Display) {
    if on_stdout { note!("{text}") } else { say(text) }
}

/// Files of a report.
struct Files {
    /// Table.
    page: Output,
    plot: Output,
    /// JSON.
    numbers: Output,
}

/// Opens the files of a report, named without extension, before the computation starts.
fn report(path: &Path) -> Result<Files> {
    if path == Path::new("-") {
        let problem = "-o - cannot be three files, a table (.md), a plot (.svg) and numbers (.json): name a path without extension";
        return Err(Usage(problem.to_owned()).into());
    }
    let open = |extension| stdout::open(&path.with_extension(extension));
    Ok(Files { page: open("md")?, plot: open("svg")?, numbers: open("json")? })
}
