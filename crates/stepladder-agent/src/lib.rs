//! Not a model and not an environment: what stands between them.
//!
//! * [`agent`]: the state-machine trait; [`step_hrl`], [`flat`] and [`himac`] implement it
//! * [`compact`]: the prompt style of small models; [`fit`] shortens prompts that exceed a window
//! * [`generator`]: who writes replies ([`generator::Generator`]), experts and scripted fakes included
//! * [`scheduler`]: drives episodes, batches replies, steps environments in parallel
//! * [`broken`]: episodes that an error broke off are dropped, counted and bounded
//! * [`evaluation`]: from episodes to a table with intervals

#![warn(clippy::print_stderr)] // Panics where standard error is closed; see `stepladder_algo::runtime::stderr`.

pub mod agent;
pub mod broken;
pub mod compact;
pub mod evaluation;
pub mod fit;
pub mod flat;
pub mod generator;
pub mod himac;
pub mod scheduler;
pub mod step_hrl;

pub use agent::{Agent, AgentKind, AgentSpec, Want};
pub use broken::{Dropped, TooManyBroken};
pub use compact::Compact;
pub use generator::{Completion, GenerateError, Generator, Request};
pub use scheduler::{Job, Scheduler};
