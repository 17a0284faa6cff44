//! A run as a library: configuration, run directories, demonstrations, training, evaluation, tables.
//!
//! A run goes this way: [`config::load`] reads and checks a configuration; [`Run::start`] makes a run directory of it (and
//! [`Run::resume`] opens an old one); [`Run::train`] has the expert play the demonstrations, trains and evaluates every agent,
//! and keeps what is finished. [`evaluate::Player`] plays a trained agent, [`compare`], [`curves`] and [`horizon`] make tables
//! of several runs. Everything that is to be shown goes to a [`Reporter`]; setting the caller's flag stops the work.
//!
//! Environments from outside are added by [`envs::register`]; [`play::play`] has any agent and any policy play. The folder
//! `examples/` shows each in a file.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use stepladder_train::{Place, Run, Silent, config};
//!
//! # fn main() -> Result<(), stepladder_train::Error> {
//! let loaded = config::load("demo", &["threads=1".to_owned()])?;
//! let run = Run::start(&loaded, "demo", Place::default())?;
//! let ending = run.train(&Silent, &AtomicBool::new(false))?;
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc)]

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
