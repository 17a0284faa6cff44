//! Errors of the engine.

use std::any::Any;
use std::path::PathBuf;

/// Error of the engine: invalid input, or a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// Dimensions or matrices do not form a decoder.
    #[error("the decoder's {0}")]
    Weights(String),
    /// A checkpoint cannot be read, or is of a model that the kernels do not compute.
    #[error("{path}: {reason}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Fault.
        reason: String,
    },
    /// A prompt or a reply is invalid for the decoder.
    #[error("prompt {index} of the call: {reason}")]
    Input {
        /// Index of the prompt in the call, from 0.
        index: usize,
        /// The violation.
        reason: String,
    },
    /// The number of gradients differs from the number of values of the last forward pass.
    #[error("{given} gradients were given for the {expected} values of the last forward pass")]
    Gradient {
        /// Number of values of the last forward pass.
        expected: usize,
        /// Number of gradients.
        given: usize,
    },
    /// A thread panicked.
    #[error("a thread failed: {0}")]
    Thread(String),
}

/// Returns the message of a panic.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "it panicked without a message".to_owned(),
    }
}
