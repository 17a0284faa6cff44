//! One file per command.

mod collect;
mod compare;
mod config;
mod curves;
mod data;
mod demonstrate;
mod env;
mod evaluate;
mod fetch;
mod horizon;
mod plot;
mod policy;
mod reference;
mod scienceworld;
mod sokoban;
mod study;
mod train;

use std::fmt;

use anyhow::{Result, anyhow};
use stepladder_core::trace::Episode;

use crate::cli::{Cli, Command};
use crate::config::ConfigError;
use crate::run::play::broken;

/// What the user typed cannot be meant: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether an error is the user's wording rather than the world's state.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<Usage>()
        || error.is::<ConfigError>()
        || matches!(
            error.downcast_ref::<stepladder_env::EnvError>(),
            Some(stepladder_env::EnvError::UnknownSplit { .. })
        )
}

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
        Command::Config { command } => config::run(command),
        Command::Reference { page } => reference::run(&page),
    }
}

/// An error if some episodes broke off; what was played is already written then.
pub(crate) fn all_played(episodes: &[Episode]) -> Result<()> {
    broken(episodes).map_or(Ok(()), |text| Err(anyhow!(text)))
}

/// Writes a line to standard output; a closed pipe is not an error.
pub(crate) fn say(text: impl fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
