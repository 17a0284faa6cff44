//! Sokoban as in gym-sokoban 0.0.6 and verl-agent, in Rust without Python.
//!
//! Environment:
//! * [`mod@board`]: walls, targets, boxes, the player, and moves; [`cells`]: sets of cells
//! * [`mod@text`] and [`frame`]: boards as text and as pictures
//! * [`action`] and [`episode`]: actions, rewards and ends of both rule sets
//! * [`mod@env`]: implementation of the environment contract
//! * [`tasks`], [`splits`], [`boxoban`]: available levels
//! * [`generate`]: generation of solvable boards
//! * [`mod@verify`]: replay of the original's recorded episodes; [`mod@bench`]: speed
//! * [`family`]: the environment family, which combines everything here
//!
//! Solutions:
//! * [`mod@solve`]: shortest solutions
//! * [`mod@plan`]: solutions cut into sub-goals
//! * [`expert`], [`noise`], [`codec`]: demonstrations for STEP-HRL and flat agents, and the compact encoding

#![warn(clippy::print_stderr)] // `eprintln!` panics if standard error is closed.

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
pub mod wanderer;

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
pub use wanderer::Wanderer;
