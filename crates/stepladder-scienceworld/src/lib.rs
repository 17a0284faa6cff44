//! Not a reimplementation and not a Python binding: the official simulator of ScienceWorld, driven from Rust.
//!
//! The simulator runs in child JVMs. A small bridge (`bridge/Bridge.java`) keeps many worlds apart in each of them.
//!
//! * [`jar`]: where the simulator lies; [`pool`], [`instance`]: JVMs and the worlds in them; [`failure`]: what can go wrong
//! * [`mod@spec`], [`variations`], [`splits`], [`named`], [`tasks`]: which tasks there are
//! * [`mod@env`]: playing behind the environment contract; [`gold`]: the simulator's own solutions, kept on disk
//! * [`view`]: what texts say; [`expert`]: planner, executor and progress writer by rules; [`noise`]: wrong actions
//! * for word-level models, not needed by the environment: [`mod@codec`]: texts in few tokens; [`augment`]: episodes with other
//!   names, training worlds in which things have other names and have been carried elsewhere
//! * [`family`]: everything the crate offers, as one static
//! * [`mod@verify`]: replaying recorded episodes of the original; [`mod@bench`]: measuring speed

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

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
mod worker;

pub use codec::ScienceWorldCodec;
pub use env::ScienceWorldEnv;
pub use expert::ScienceWorldExpert;
pub use failure::Failure;
pub use family::FAMILY;
pub use instance::{Instance, View};
pub use jar::Jar;
pub use java::OLDEST_JAVA;
pub use pool::{Pool, PoolOptions};
pub use tasks::{Options, ScienceWorld};
pub use verify::verify;
pub use wire::Texts;
