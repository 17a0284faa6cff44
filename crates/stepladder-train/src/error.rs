//! Errors of the library, classified by cause.

use std::error::Error as StdError;
use std::fmt;

use stepladder_algo::AlgoError;
use stepladder_data::encoder::EncoderError;
use stepladder_env::EnvError;
use stepladder_hub::HubError;
use stepladder_model::ModelError;
use stepladder_rollout::{GenerateError, TooManyAborted};

use crate::config::ConfigError;

/// Result of the library's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Class of an error, for callers that treat classes differently (the command line: by exit code).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or the configuration is invalid.
    Usage,
    /// The caller's flag stopped the work.
    Stopped,
    /// The work failed: files, data, memory, numerics.
    Failed,
}

/// Error of the library. Its text gives the problem, the place and the remedy; [`Error::kind`] gives its class.
#[derive(Debug)]
pub struct Error(anyhow::Error);

impl Error {
    /// Creates an error for an invalid request.
    pub fn usage(text: impl Into<String>) -> Self {
        Self(Usage(text.into()).into())
    }

    /// Creates an error for failed work.
    pub fn failed(text: impl Into<String>) -> Self {
        Self(anyhow::Error::msg(text.into()))
    }

    /// Returns the class of the error.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(&self.0)
    }
}

impl ErrorKind {
    /// Classifies an error that may wrap one of the library below its context.
    pub fn of(error: &anyhow::Error) -> Self {
        if let Some(inner) = error.downcast_ref::<Error>() {
            return inner.kind();
        }
        let of_env = matches!(error.downcast_ref(), Some(EnvError::UnknownSplit { .. } | EnvError::Usage(_)));
        if error.is::<Usage>() || error.is::<ConfigError>() || of_env {
            Self::Usage
        } else if was_stopped(error) {
            Self::Stopped
        } else {
            Self::Failed
        }
    }
}

/// Whether an error only says that the caller asked to stop.
pub(crate) fn was_stopped(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(GenerateError::Stopped))
        || matches!(error.downcast_ref(), Some(AlgoError::Generate(GenerateError::Stopped)))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.chain().nth(1)
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

/// Returns an error with the arguments of `format!`.
macro_rules! bail {
    ($($part:tt)*) => { return Err(::anyhow::anyhow!($($part)*).into()) };
}
pub(crate) use bail;

macro_rules! from {
    ($($source:ty),+) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self(error.into())
            }
        }
    )+};
}
from!(
    std::io::Error,
    serde_json::Error,
    AlgoError,
    ConfigError,
    EncoderError,
    EnvError,
    GenerateError,
    HubError,
    ModelError,
    TooManyAborted,
    Usage
);

/// An invalid request; [`ErrorKind::Usage`].
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Usage {}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_kind_survives_context_and_conversion() {
        let kind = |error: anyhow::Error| (ErrorKind::of(&error), Error::from(error).kind());
        assert_eq!(kind(Usage("-x".to_owned()).into()), (ErrorKind::Usage, ErrorKind::Usage));
        let split = EnvError::UnknownSplit { env: "e", split: "s".to_owned(), known: "t".to_owned() };
        let outer = Err::<(), Error>(split.into()).context("--split").unwrap_err();
        assert_eq!(outer.to_string(), "--split");
        let outer = Error::from(outer);
        assert_eq!((outer.to_string(), outer.kind()), ("--split".to_owned(), ErrorKind::Usage));
        assert_eq!(Error::from(GenerateError::Stopped).kind(), ErrorKind::Stopped);
        assert_eq!(Error::from(AlgoError::from(GenerateError::Stopped)).kind(), ErrorKind::Stopped);
        assert_eq!(Error::from(std::io::Error::other("disk")).kind(), ErrorKind::Failed);
    }

    #[test]
    fn every_cause_is_in_the_chain_once() {
        let error = Err::<(), _>(std::io::Error::other("disk")).context("run.json").unwrap_err();
        let error = anyhow::Error::from(Error::from(error)).context("resume");
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        assert_eq!(chain, ["resume", "run.json", "disk"]);
    }
}
