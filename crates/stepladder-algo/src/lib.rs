//! How agents learn: algorithms over tensors and recorded episodes, without a command line and without an environment.
//!
//! The modules are rungs of a ladder; each imports only from rungs below it.
//!
//! 1. [`ops`]: the mathematics, tensors in and tensors out
//! 2. [`runtime`]: trainer and networks, optimiser, schedules, data-parallel workers, checkpoints, metrics
//! 3. [`online`]: playing with the current policy and learning from it
//! 4. the algorithms, a file each: [`bc`] (behaviour cloning; docs/spec/algorithms.md 3.3), [`dagger`], [`offline_ac`] (3.4 to
//!    3.6), and those on [`online`]: [`himac`], [`grpo`] (and RLOO), [`gigpo`], [`ppo`]

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

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

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlgoError {
    /// The loss or the gradient was not finite several times in a row.
    #[error(
        "the loss was not finite in {times} steps in a row (last: step {step}); lower the learning rate or \
         warm up longer"
    )]
    NotFinite {
        /// How often.
        times: u32,
        /// Where it stopped.
        step: u64,
    },
    /// There is nothing to learn from.
    #[error("no training rows: {0}")]
    NoData(String),
    /// An algorithm needs a network beside the policy that the trainer does not have.
    #[error("network `{name}`: {reason}")]
    Net {
        /// Name of the network.
        name: String,
        /// Difference and remedy.
        reason: String,
    },
    /// The model could not answer.
    #[error(transparent)]
    Generate(#[from] stepladder_rollout::GenerateError),
    /// An episode that its agent cannot have recorded.
    #[error(transparent)]
    Replay(#[from] stepladder_agent::ReplayError),
    /// A generator that learns must say which tokens it wrote.
    #[error(
        "a {role} reply came without token ids and their log-probabilities, so nothing can be learnt from it; \
         learning by playing needs a generator that returns them"
    )]
    NoTokens {
        /// Role of the reply.
        role: &'static str,
    },
    /// A worker thread panicked.
    #[error("a worker thread failed: {0}{advice}", advice = advice(.0))]
    Worker(String),
    /// Too many episodes of an iteration broke off.
    #[error(transparent)]
    Broken(#[from] stepladder_rollout::TooManyBroken),
    /// A sequence is longer than the model can read.
    #[error(
        "a training row has {needed} tokens, the model reads {window}; raise model.max_positions or leave the row out"
    )]
    Window {
        /// Tokens of the longest sequence.
        needed: usize,
        /// The model's window.
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
        /// What is wrong and what to do.
        reason: String,
    },
    /// A tensor of another shape than an operation needs.
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
