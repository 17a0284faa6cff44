//! A run as a library: configuration, run directories, demonstrations, training, evaluation, tables.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![allow(missing_docs)]

mod agent_run;
mod agents;
pub mod choice;
pub mod compare;
pub mod config;
pub mod curves;
pub mod demonstrations;
pub mod directory;
pub mod envs;
mod error;
pub mod evaluate;
mod evaluated;
pub mod horizon;
pub mod labels;
mod learn;
pub mod memory;
pub mod output;
pub mod play;
mod plot;
mod report;
mod rows;
mod run;
mod scratch;
mod session;
pub mod table;
pub mod trace_file;
mod training;
mod unchanged;
mod watcher;

pub use error::{Error, ErrorKind, Result, Usage};
pub use report::{Progress, Reporter, Silent, Stage};
pub use run::{Place, Run, RunEnding};

/// Number of workers for a configured number: 0 takes all cores.
pub fn workers(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
