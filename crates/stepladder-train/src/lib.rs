//! Runs as a library: configuration, run directories, demonstrations, training, evaluation, tables.
//!
//! Life of a run: [`config::load`] reads and checks a configuration. [`Run::start`] creates a run directory for it, and
//! [`Run::resume`] opens an existing one. [`Run::train`] plays the demonstrations with the expert, trains and evaluates every
//! agent, and keeps finished work. [`evaluate::Player`] plays a trained agent or a [`pretrained`] model. [`compare`], [`curves`] and [`horizon`] build
//! tables of several runs. All output goes to a [`Reporter`]; setting the caller's flag stops the work.
//!
//! [`Run::with_generators`] and [`evaluate::Player::generators`] take a source of generators of your own.
//! [`stepladder_families::register`] adds an environment of your own. [`play::play`] plays any agent with any policy. The folder `examples/` has
//! one file for each.
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
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod agent_run;
mod agents;
mod blueprints;
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
mod gate;
mod generators;
pub mod horizon;
mod initial;
pub mod labels;
mod learn;
pub mod memory;
pub mod models;
mod offline;
pub mod output;
pub mod play;
mod plot;
pub mod pretrained;
mod report;
mod results;
mod rows;
mod run;
mod scratch;
mod session;
pub mod statistics;
pub mod study;
pub mod table;
pub mod taken;
pub mod trace_file;
mod training;
mod tuning;
mod unchanged;
mod watcher;
mod worked;

pub use error::{Error, ErrorKind, Result, Usage};
pub use report::{Reporter, Silent, Stage, StatusLine};
pub use run::{Place, Run, RunEnding, load};

/// Returns the number of workers for a configured number: 0 takes all cores.
pub fn workers(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
