//! Contract of environments, and the tools that check it.
//!
//! * [`contract`]: [`Env`], capabilities, [`EnvSpec`], [`EnvError`], [`TaskSet`]
//! * [`family`]: everything that one environment offers, as one static
//! * [`clock`]: the stopwatch of benchmarks and training
//! * [`wrappers`]: the time limit
//! * [`session`]: one environment that a caller outside this program drives
//! * [`names`]: messages about names that a user wrote
//! * [`subset`]: samples of a split's tasks, stratified by family
//! * [`conformance`]: checks that every environment runs over its own tasks
//! * [`transcript`]: reading and comparing recorded episodes of the originals

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod clock;
pub mod conformance;
pub mod contract;
pub mod family;
pub mod names;
pub mod session;
pub mod subset;
pub mod transcript;
pub mod wrappers;

pub use contract::{Admissible, Env, EnvError, EnvSpec, TaskSet, Walkthrough};
pub use family::{Family, OptionSpec, Options, Reader, Values};
pub use session::{Reset, Session, SharedTasks};
pub use subset::{Draw, Subset};
pub use wrappers::TimeLimit;
