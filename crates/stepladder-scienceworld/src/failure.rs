//! Failures of the simulator and of the JVMs that it runs in.

use std::path::PathBuf;

use stepladder_env::EnvError;

use crate::spec::SPEC;

/// Reason why a call returned no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No JVM could be started with the simulator.
    #[error("{0}")]
    Start(String),
    /// A file is missing or damaged.
    #[error("{path}: {reason}", path = path.display())]
    Data {
        /// Path of the file.
        path: PathBuf,
        /// The problem and its remedy.
        reason: String,
    },
    /// The JVM ended, did not reply in time or sent a malformed reply, and so did its replacement.
    #[error("{0}")]
    Broken(String),
    /// The simulator threw an exception. The same call would throw it again.
    #[error("the simulator failed: {0}")]
    Simulator(String),
    /// A replacement JVM did not reproduce the episode.
    #[error("{0}")]
    Replay(String),
}

impl Failure {
    /// Converts to an environment error; `doing` names the task and the action.
    pub fn into_env_error(self, doing: &str) -> EnvError {
        match self {
            Self::Data { path, reason } => EnvError::Data { path, reason },
            Self::Start(reason) => EnvError::Backend { env: SPEC.id, reason },
            other => EnvError::Backend { env: SPEC.id, reason: format!("{doing}: {other}") },
        }
    }
}
