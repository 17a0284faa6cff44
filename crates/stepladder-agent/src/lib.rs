//! Agents as state machines: observations and replies in, prompts and actions out. No model, no environment, no I/O.
//!
//! * [`agent`]: the trait; [`step_hrl`], [`flat`] and [`himac`] implement it
//! * [`spec`]: selection of an agent, with its ablations
//! * [`replay`]: prompts and replies of a recorded episode, for training

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod agent;
pub mod factory;
pub mod flat;
pub mod himac;
pub mod replay;
pub mod spec;
pub mod step_hrl;

pub use agent::{Agent, Want};
pub use factory::AgentFactory;
pub use replay::{Replay, ReplayError};
pub use spec::{AgentKind, AgentSpec};
