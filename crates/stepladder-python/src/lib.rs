//! Python module `stepladder._stepladder`: environments without libtorch.
//!
//! This crate converts between Python and the crates below it; the public interface is the package in `python/stepladder`.
//! Every call that plays or reads data releases the GIL.

#![warn(clippy::print_stderr)]

mod agents;
mod episodes;
mod errors;
mod families;
mod held;
mod outcome;
mod policy;
mod session;
mod sessions;
mod shared;

/// The extension module.
#[pyo3::pymodule]
mod _stepladder {
    #[pymodule_export]
    use crate::agents::{Agent, Expert};
    #[pymodule_export]
    use crate::episodes::{demonstrate, transcript};
    #[pymodule_export]
    use crate::families::{describe, ids, tasks};
    #[pymodule_export]
    use crate::policy::TrainedPolicy;
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::sessions::Sessions;
}
