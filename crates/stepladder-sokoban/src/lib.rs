//! Not an agent and not a picture book: Sokoban as gym-sokoban 0.0.6 and verl-agent play it, in Rust alone.
//!
//! Playing:
//! * [`mod@board`]: walls, targets, boxes, the player, and moves; [`cells`]: sets of cells
//! * [`mod@text`] and [`frame`]: boards as text and as pictures
//! * [`action`] and [`episode`]: actions, rewards and ends of both rule sets
//! * [`mod@env`]: playing behind the environment contract
//! * [`tasks`], [`splits`], [`boxoban`]: which levels there are
//! * [`generate`]: drawing new solvable boards
//! * [`mod@verify`]: replaying recorded episodes of the originals; [`mod@bench`]: measuring speed
//! * [`family`]: everything the crate offers, as one static
//!
//! Playing well:
//! * [`mod@solve`]: shortest solutions
//! * [`mod@plan`]: solutions cut into sub-goals
//! * [`expert`], [`noise`], [`codec`]: demonstrations for STEP-HRL and flat agents, and their compact texts

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

pub mod action;
pub mod bench;
pub mod board;
pub mod boxoban;
pub mod cells;
pub mod codec;
pub mod env;
pub mod episode;
pub mod expert;
pub mod family;
pub mod frame;
pub mod generate;
pub mod noise;
pub mod plan;
pub mod solve;
pub mod splits;
pub mod tasks;
pub mod text;
pub mod verify;

pub use action::{Action, Variant};
pub use board::{Board, BoardError, Direction, Moved, Tile};
pub use cells::{Cell, Cells};
pub use codec::SokobanCodec;
pub use env::{Level, Options, SokobanEnv};
pub use episode::{Episode, Outcome};
pub use expert::SokobanExpert;
pub use family::FAMILY;
pub use frame::{Frame, Tiles};
pub use plan::{Plan, Push, SubGoal, plan};
pub use solve::{Solution, solve};
pub use tasks::Sokoban;
pub use text::Form;
pub use verify::verify;
