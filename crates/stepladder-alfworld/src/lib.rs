//! ALFWorld's text games (arXiv:2010.03768) in Rust, without planner and Python.
//!
//! Environment:
//! * [`game`]: compiled games, official and generated; [`ids`]: ids of their things
//! * [`dialect`]: published rules and wordings
//! * [`engine`]: game play at the level of the original's core
//! * [`mod@env`]: implementation of the environment contract
//! * [`tasks`]: the official games and their splits
//! * [`generate`]: generation of games, and comparison of sets of games
//! * [`households`]: the generated games and their splits
//! * [`mod@verify`]: replay of the original's recorded episodes
//! * [`mod@bench`]: speed of the engine
//! * [`family`]: the environment families, which combine everything here
//!
//! Agents, from texts alone:
//! * [`view`]: parsing of observations
//! * [`expert`]: rule-based planner, executor and progress writer
//! * [`segment`]: subtasks of a demonstration without them
//! * [`noise`]: wrong actions for noisy demonstrations
//! * [`codec`]: the compact encoding of the texts

#![warn(clippy::print_stderr)] // `eprintln!` panics if standard error is closed.

mod action;
pub mod bench;
mod bits;
mod build;
mod chain;
pub mod codec;
mod commands;
pub mod dialect;
pub mod engine;
pub mod env;
mod error;
pub mod expert;
pub mod family;
mod formula;
pub mod game;
pub mod generate;
mod goal;
pub mod households;
pub mod ids;
mod list;
mod load;
pub mod noise;
mod problem;
mod rules;
pub mod segment;
mod state;
pub mod tasks;
#[cfg(test)]
mod testing;
mod text;
pub mod verify;
pub mod view;

pub use action::Action;
pub use codec::AlfworldCodec;
pub use dialect::Dialect;
pub use engine::{Engine, Outcome};
pub use env::{AlfworldEnv, GameSource, Options};
pub use error::{FileError, GameError};
pub use expert::AlfworldExpert;
pub use family::{ALFWORLD, HOUSEHOLD};
pub use game::Game;
pub use households::Households;
pub use list::CommandList;
pub use segment::AlfworldSegmenter;
pub use tasks::Alfworld;
pub use text::NOTHING_HAPPENS;
pub use verify::verify;
