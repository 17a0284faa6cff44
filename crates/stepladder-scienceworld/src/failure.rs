//! What can go wrong between here and the simulator.

use std::path::PathBuf;

use stepladder_env::EnvError;

use crate::spec::SPEC;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No JVM with the simulator could be started.
    #[error("{0}")]
    Start(String),
    /// A file is missing or broken.
    #[error("{path}: {reason}", path = path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The JVM died, hung or answered nonsense, and so did its replacement.
    #[error("{0}")]
    Broken(String),
    /// The simulator threw an exception. The same call would throw it again.
    #[error("the simulator failed: {0}")]
    Simulator(String),
    /// A replaced JVM did not repeat an episode as it had been.
    #[error("{0}")]
    Replay(String),
}

impl Failure {
    /// As an environment says it; `doing` is the task and the action.
    pub fn into_env_error(self, doing: &str) -> EnvError {
        match self {
            Self::Data { path, reason } => EnvError::Data { path, reason },
            Self::Start(reason) => EnvError::Backend { env: SPEC.id, reason },
            other => EnvError::Backend { env: SPEC.id, reason: format!("{doing}: {other}") },
        }
    }
}
