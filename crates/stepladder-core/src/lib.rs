//! Shared vocabulary of environments, agents, data and models. No I/O, no tensors.
//!
//! * [`seed`]: named random streams derived from one run seed
//! * [`task`]: identity of a task
//! * [`reply`]: parsing and formatting of replies
//! * [`blueprint`]: parsing and formatting of HiMAC's replies
//! * [`codec`]: lossless compact re-encoding of an environment's texts
//! * [`step`]: results of a reset and of a step
//! * [`query`]: roles, and the prompt contents of each role
//! * [`label`]: experts, segmenters and noise, as functions of what an agent may see
//! * [`mod@section`]: declaration of configuration sections
//! * [`trace`]: record of an episode as one JSON object

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod blueprint;
pub mod codec;
pub mod label;
pub mod query;
pub mod reply;
pub mod section;
pub mod seed;
pub mod step;
pub mod task;
pub mod trace;

pub use codec::Codec;
pub use query::{Observation, Query, Role};
pub use step::{End, Start, Step};
pub use task::TaskKey;
