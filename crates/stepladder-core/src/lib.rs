//! Not an environment, not a model, not a runtime: only the words that all of them share.
//!
//! * [`seed`]: named random streams derived from one run seed
//! * [`task`]: which task of which split of which environment
//! * [`reply`]: how replies are read and written; [`style`]: how prompts become text
//! * [`blueprint`]: how HiMAC's replies are read and written
//! * [`codec`]: lossless compact re-encoding of an environment's texts
//! * [`step`]: what an environment answers
//! * [`query`]: the roles of an agent and what each role's prompt contains
//! * [`label`]: experts, segmenters, progress labellers and noise, as functions of what an agent may see
//! * [`section`]: how configuration sections are declared
//! * [`trace`]: everything an episode did, as one JSON object per episode

#![warn(clippy::print_stderr)] // Panics where standard error is closed; see `stepladder_algo::runtime::stderr`.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod blueprint;
pub mod codec;
pub mod label;
pub mod query;
pub mod reply;
pub mod section;
pub mod seed;
pub mod step;
pub mod style;
pub mod task;
pub mod trace;

pub use codec::Codec;
pub use query::{Observation, Query, Role};
pub use step::{End, Start, Step};
pub use task::TaskKey;
