//! A run as a library: configuration, run directories, demonstrations, training, evaluation, tables.

#![warn(clippy::print_stderr)] // Panics where standard error is closed; see `stepladder_algo::runtime::stderr`.
#![allow(missing_docs)]

pub mod agents;
pub mod choice;
pub mod config;
pub mod demonstrations;
pub mod directory;
pub mod envs;
pub mod evaluated;
pub mod labels;
pub mod learn;
pub mod memory;
pub mod output;
pub mod play;
pub mod report;
pub mod rows;
pub mod table;
pub mod trace_file;
pub mod training;
pub mod unchanged;
pub mod watcher;

pub use report::{Progress, Reporter, Silent, Stage};

use std::fmt;

/// A request that cannot be meant, as opposed to one that fails.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Number of workers for a configured number: 0 takes all cores.
pub fn workers(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
