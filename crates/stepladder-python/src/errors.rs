//! Errors as exceptions of `stepladder.errors`, which defines the classes.

use pyo3::prelude::*;
use stepladder_env::EnvError;

/// Reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Error of the environment.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Name of an environment that does not exist; the error has the known ones.
    #[error("{0}")]
    UnknownEnvironment(EnvError),
    /// Call after `close`.
    #[error("{0}: the environment is closed")]
    Closed(&'static str),
    /// Call in a forked process.
    #[error(
        "{0}: this environment was made in another process, and a fork does not copy its simulator; make the environment after \
         the fork"
    )]
    Forked(&'static str),
    /// An action that is no text.
    #[error("an action is a text (str), not {0}")]
    Action(String),
    /// An argument of the wrong form.
    #[error("{0}")]
    Usage(String),
}

impl Fault {
    /// Returns the name of the class.
    fn class(&self) -> &'static str {
        match self {
            Self::Env(error) => match error {
                EnvError::StepBeforeReset { .. } => "StepBeforeReset",
                EnvError::EpisodeOver { .. } => "EpisodeOver",
                EnvError::UnknownTask { .. } => "UnknownTask",
                EnvError::UnknownSplit { .. } => "UnknownSplit",
                EnvError::NoDataRoot { .. } => "DataMissing",
                EnvError::Data { path, .. } if !path.exists() => "DataMissing",
                EnvError::Data { .. } | EnvError::Io(_) => "DataError",
                EnvError::Reward { .. } | EnvError::Backend { .. } => "BackendError",
                EnvError::Usage(_) => "UsageError",
                _ => "StepladderError",
            },
            Self::UnknownEnvironment(_) => "UnknownEnvironment",
            Self::Closed(_) => "Closed",
            Self::Forked(_) => "Forked",
            Self::Action(_) => "InvalidAction",
            Self::Usage(_) => "UsageError",
        }
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        // The crates below name arguments as the command line does.
        let message = fault.to_string().replace("--data DIR", "data=DIR").replace("--data", "data=");
        let raised = Python::attach(|py| {
            let class = py.import("stepladder.errors")?.getattr(fault.class())?;
            class.call1((message,)).map(Self::from_value)
        });
        raised.unwrap_or_else(|error| error)
    }
}
