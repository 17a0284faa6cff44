//! ScienceWorld (arXiv:2203.07540): the official simulator, driven from Rust without Python.
//!
//! The simulator runs in child JVMs. A small bridge (`bridge/Bridge.java`) keeps the worlds in each of them
//! isolated.
//!
//! * [`jar`]: simulator on disk; [`pool`], [`instance`]: JVMs and their worlds; [`failure`]: failures
//! * [`mod@spec`], [`variations`], [`splits`], [`named`], [`tasks`]: tasks, splits and their names
//! * [`mod@env`]: the environment; [`gold`]: cache of the simulator's gold paths
//! * [`view`]: parser of observations; [`expert`]: rule-based planner, executor and progress writer;
//!   [`noise`]: wrong actions
//! * for word-level models, not needed by the environment: [`mod@codec`]: compact encoding of texts;
//!   [`augment`]: renamed episodes, and practice worlds
//! * [`family`]: declaration of the environment family
//! * [`mod@verify`]: replay of recorded episodes; [`mod@bench`]: benchmark

#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]
#![warn(clippy::print_stderr)] // It panics if standard error is closed.

mod answers;
pub mod augment;
pub mod bench;
pub mod codec;
pub mod env;
pub mod expert;
pub mod failure;
pub mod family;
pub mod gold;
pub mod instance;
pub mod jar;
mod java;
mod jvm;
pub mod named;
pub mod noise;
pub mod pool;
pub mod spec;
pub mod splits;
pub mod tasks;
pub mod variations;
pub mod verify;
pub mod view;
mod wire;

pub use codec::ScienceWorldCodec;
pub use env::ScienceWorldEnv;
pub use expert::ScienceWorldExpert;
pub use failure::Failure;
pub use family::FAMILY;
pub use instance::{Instance, View};
pub use jar::Jar;
pub use java::OLDEST_JAVA;
pub use pool::{Pool, PoolOptions};
pub use tasks::{ScienceWorld, SimulatorOptions};
pub use verify::verify;
pub use wire::Texts;
