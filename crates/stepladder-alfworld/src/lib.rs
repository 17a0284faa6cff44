//! ALFWorld's text games, natively: no planner, no Python.
//!
//! * [`game`]: loading the official game files and generated ones
//! * [`dialect`]: which of the published rules and wordings a game uses
//! * [`engine`]: playing at the level of the original's core
//! * [`env`]: playing behind the environment contract
//! * [`tasks`]: the official games and their splits
//! * [`generate`]: drawing new games, and comparing sets of games
//! * [`households`]: the generated games and their splits
//! * [`verify`]: replaying recorded episodes of the original
//! * [`bench`]: measuring speed

mod action;
pub mod bench;
mod bits;
mod build;
pub mod dialect;
pub mod engine;
pub mod env;
mod error;
pub mod game;
pub mod generate;
mod goal;
pub mod households;
mod list;
mod problem;
mod rules;
pub mod tasks;
mod text;
pub mod verify;

pub use action::Action;
pub use dialect::Dialect;
pub use engine::{Engine, Outcome};
pub use env::{AlfworldEnv, GameSource, Options};
pub use error::{FileError, GameError};
pub use game::Game;
pub use households::Households;
pub use list::CommandList;
pub use tasks::Alfworld;
pub use text::NOTHING_HAPPENS;
pub use verify::verify;
