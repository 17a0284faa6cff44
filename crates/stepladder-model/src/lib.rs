//! Not a trainer: a decoder transformer, how it writes replies, and how it is stored.
//!
//! * [`config`]: shapes, checked; [`params`]: parameters as views of one flat buffer; [`weights`]: the trained and the frozen ones
//! * [`factors`]: words that share embeddings (design D12)
//! * [`decoder`]: the forward pass; [`cache`]: the same with a KV cache
//! * `plain`: a decoder's matrices for `stepladder-cpu`, and gradients back ([`Decoder::plain`], [`Decoder::pull_back`])
//! * [`engine`]: the choice between `stepladder-cpu` and tensors
//! * [`checkpoint`]: Hugging Face directories (design D6)
//! * [`device`]: CPU or CUDA; [`failure`]: what stopped a thread, in one sentence

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

pub mod cache;
pub mod checkpoint;
pub mod config;
pub mod decoder;
pub mod device;
pub mod engine;
pub mod factors;
pub mod failure;
mod fingerprint;
mod llama;
#[cfg(target_arch = "x86_64")]
mod mkl;
pub mod params;
mod plain;
pub mod source;
mod tiles;
pub mod version;
pub mod weights;

pub use config::{ModelConfig, Shape};
pub use decoder::{Decoder, Frame};
pub use factors::Factors;
pub use fingerprint::fingerprint;
pub use params::{Layout, Params};
pub use source::{GeneratorSource, LocalSource};
pub use tch::{Device, Kind};
pub use weights::Weights;

/// Why the model layer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The configuration does not describe a model.
    #[error("impossible model shape: {0}")]
    Config(String),
    /// A file of a checkpoint is missing, broken or of another model.
    #[error("{path}: {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The files of the encoder could not be written.
    #[error(transparent)]
    Encoder(#[from] stepladder_data::encoder::EncoderError),
    /// The device cannot be used.
    #[error("device {device}: {reason}")]
    Device {
        /// As the user wrote it.
        device: String,
        /// What is missing.
        reason: String,
    },
    /// A thread panicked.
    #[error("a thread failed: {0}{advice}", advice = failure::advice(.0))]
    Thread(String),
    /// The CPU engine refused its input, or failed.
    #[error(transparent)]
    Cpu(#[from] stepladder_cpu::CpuError),
    /// libtorch refused an operation.
    #[error("libtorch: {}{}", failure::first_line(&.0.to_string()), failure::advice(&.0.to_string()))]
    Torch(#[from] tch::TchError),
}

impl ModelError {
    /// What a thread panicked with.
    pub(crate) fn thread(payload: &(dyn std::any::Any + Send)) -> Self {
        Self::Thread(failure::of_panic(payload))
    }
}
