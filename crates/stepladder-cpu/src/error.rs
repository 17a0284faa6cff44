//! Why the engine refused or failed.

use std::any::Any;

/// Why the engine refused its input, or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// Dimensions or matrices that make no decoder.
    #[error("the decoder's {0}")]
    Weights(String),
    /// A prompt or a reply that the decoder cannot read.
    #[error("prompt {index} of the call: {reason}")]
    Input {
        /// Place among the prompts of the call, from 0.
        index: usize,
        /// The violation.
        reason: String,
    },
    /// Gradients of another number of values than the last forward pass returned.
    #[error("{given} gradients were given for the {expected} values of the last forward pass")]
    Gradient {
        /// Values of the last forward pass.
        expected: usize,
        /// Gradients given.
        given: usize,
    },
    /// A thread panicked.
    #[error("a thread failed: {0}")]
    Thread(String),
}

/// The message of a panic.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "it panicked without a message".to_owned(),
    }
}
