//! Rollouts: agents act in environments, with replies of any generator. No model is part of this crate.
//!
//! * [`engine`]: completes prompts of token ids with a model
//! * [`trie`]: constraints on replies, as a trie over token ids; [`constrain`]: the replies that play an admissible action
//! * [`generator`]: requests in, completions out ([`Generator`]; [`BatchGenerator`] for blocking calls); experts and scripts
//! * [`local`]: the [`BatchGenerator`] over an engine in this process
//! * [`sampling`]: draws reply tokens
//! * [`stop`]: strings that end a reply
//! * [`scheduler`]: drives episodes, submits requests, steps environments in parallel
//! * [`demonstrations`]: episodes of an expert
//! * [`aborted`]: drops and counts episodes that an error aborted, up to a limit
//! * [`evaluation`]: summarises episodes in a table with intervals

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod aborted;
pub mod constrain;
pub mod demonstrations;
pub mod engine;
pub mod evaluation;
pub mod generator;
pub mod local;
pub mod sampling;
pub mod scheduler;
pub mod stop;
pub mod trie;

pub use aborted::{Dropped, TooManyAborted};
pub use generator::{
    Answer, BatchGenerator, Blocking, Completion, GenerateError, Generator, Request, RequestId,
};
pub use local::LocalGenerator;
pub use scheduler::{Job, Scheduler};
