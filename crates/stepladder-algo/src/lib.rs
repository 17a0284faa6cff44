//! Training algorithms on tensors and recorded episodes. Contains no command line and no environment.
//!
//! The modules are layers; each imports only from layers before it in this list.
//!
//! 1. [`ops`]: the mathematics, as functions of tensors
//! 2. [`runtime`]: trainer and networks, optimiser, schedules, data-parallel workers, checkpoints, metrics
//! 3. [`online`]: rollouts of the current policy and updates from them
//! 4. the algorithms, one file each: [`bc`] (behaviour cloning; docs/spec/algorithms.md 3.3), [`dagger`], [`offline_ac`] (3.4 to
//!    3.6), and the online methods [`himac`], [`grpo`] (and RLOO), [`gigpo`], [`ppo`]

#![warn(clippy::print_stderr)] // Printing panics if standard error is closed.

pub mod bc;
pub mod dagger;
pub mod gigpo;
pub mod grpo;
pub mod himac;
pub mod offline_ac;
pub mod online;
pub mod ops;
pub mod ppo;
pub mod runtime;

use stepladder_model::failure::{advice, first_line};

/// Error of training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlgoError {
    /// The loss or the gradient was not finite several times in a row.
    #[error(
        "the loss was not finite in {times} steps in a row (last: step {step}); lower the learning rate or \
         warm up longer"
    )]
    NotFinite {
        /// Number of steps.
        times: u32,
        /// Last step.
        step: u64,
    },
    /// There is no data to train on.
    #[error("no training rows: {0}")]
    NoData(String),
    /// A network of the algorithm is absent or does not fit the model.
    #[error("network `{name}`: {reason}")]
    Net {
        /// Name of the network.
        name: String,
        /// Cause and remedy.
        reason: String,
    },
    /// The policy failed to generate.
    #[error(transparent)]
    Generate(#[from] stepladder_rollout::GenerateError),
    /// An episode does not match its agent.
    #[error(transparent)]
    Replay(#[from] stepladder_agent::ReplayError),
    /// A generator returned a reply without token ids.
    #[error(
        "a {role} reply has no token ids with log-probabilities; online training needs a generator that returns them"
    )]
    NoTokens {
        /// Role of the reply.
        role: &'static str,
    },
    /// A worker thread panicked.
    #[error("a worker thread failed: {0}{advice}", advice = advice(.0))]
    Worker(String),
    /// Too many episodes of an iteration were aborted.
    #[error(transparent)]
    Aborted(#[from] stepladder_rollout::TooManyAborted),
    /// A sequence is longer than the context window.
    #[error(
        "a training row has {needed} tokens, the model's context window holds {window}; raise model.max_positions or leave the \
         row out"
    )]
    Window {
        /// Tokens of the longest sequence.
        needed: usize,
        /// Length of the context window.
        window: usize,
    },
    /// The observer ended training.
    #[error("{0}")]
    Observer(String),
    /// A checkpoint could not be written or read.
    #[error("{path}: {reason}")]
    Checkpoint {
        /// File or directory.
        path: String,
        /// Cause and remedy.
        reason: String,
    },
    /// The shape of a tensor does not fit an operation.
    #[error("{op}: {reason}")]
    Shape {
        /// Operation.
        op: &'static str,
        /// Both shapes.
        reason: String,
    },
    /// From the model layer.
    #[error(transparent)]
    Model(#[from] stepladder_model::ModelError),
    /// From the CPU engine.
    #[error(transparent)]
    Cpu(#[from] stepladder_cpu::CpuError),
    /// From libtorch.
    #[error("libtorch: {}{}", first_line(&.0.to_string()), advice(&.0.to_string()))]
    Torch(#[from] tch::TchError),
}
