//! ALFWorld's text games, natively: no planner, no Python.
//!
//! Playing:
//! * [`game`]: games, loaded from official files and generated ones; [`ids`]: the numbers of their things
//! * [`dialect`]: which of the published rules and wordings a game uses
//! * [`engine`]: playing at the level of the original's core
//! * [`mod@env`]: playing behind the environment contract
//! * [`tasks`]: the official games and their splits
//! * [`generate`]: drawing new games, and comparing sets of games
//! * [`households`]: the generated games and their splits
//! * [`mod@verify`]: replaying recorded episodes of the original
//! * [`mod@bench`]: measuring speed
//! * [`family`]: everything the crate offers, as two statics
//!
//! Learning to play, from texts alone:
//! * [`view`]: what an agent can read off the texts
//! * [`expert`]: planner, executor and progress writer by rule
//! * [`segment`]: subtasks of a bare demonstration
//! * [`noise`]: wrong actions for noisy demonstrations
//! * [`codec`]: the compact encoding of the texts

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

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
