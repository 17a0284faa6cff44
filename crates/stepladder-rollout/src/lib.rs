//! Playing episodes: everything that is needed to let agents act in environments, and nothing that knows a model.
//!
//! * [`generator`]: who writes replies ([`generator::Generator`]), experts and scripted fakes included
//! * [`scheduler`]: drives episodes, batches replies, steps environments in parallel
//! * [`broken`]: episodes that an error broke off are dropped, counted and bounded
//! * [`evaluation`]: from episodes to a table with intervals

#![warn(clippy::print_stderr)] // Panics where standard error is closed; see `stepladder_algo::runtime::stderr`.

pub mod broken;
pub mod evaluation;
pub mod generator;
pub mod scheduler;

pub use broken::{Dropped, TooManyBroken};
pub use generator::{Completion, GenerateError, Generator, Request};
pub use scheduler::{Job, Scheduler};
