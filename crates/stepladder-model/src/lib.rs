//! Decoder transformer: forward pass, generation and checkpoints. Training is in `stepladder-algo`.
//!
//! * [`config`]: validated shapes; [`params`]: parameters as views of one contiguous buffer; [`weights`]: trained and frozen parameters
//! * [`factors`]: factored embeddings (docs/design.md D12)
//! * [`architecture`]: differences between model families; [`decoder`]: the forward pass; [`cache`]: generation with a KV cache
//! * `plain`: conversion to the matrices of `stepladder-cpu`, and gradients back ([`Decoder::plain`], [`Decoder::pull_back`])
//! * `drawn`: random weights computed on their device ([`Weights::drawn_on`])
//! * [`engine`]: choice between `stepladder-cpu` and libtorch; [`source`]: generators for changing weights
//! * [`lora`]: low-rank adapters; `dropout`: of their inputs, in training
//! * `recompute`: gradients with less memory ([`Frame::recomputing`], [`Decoder::backward`])
//! * [`checkpoint`]: Hugging Face directories (docs/design.md D6)
//! * [`footprint`]: memory that a model needs; [`probe`]: one forward pass
//! * [`gguf`]: GGUF files as Hugging Face directories
//! * [`device`]: CPU or CUDA; [`failure`]: panics and libtorch errors as messages

#![warn(clippy::print_stderr)] // Printing panics if standard error is closed.

pub mod architecture;
mod batching;
mod buffers;
pub mod cache;
pub mod checkpoint;
pub mod config;
pub mod decoder;
pub mod device;
mod drawn;
mod dropout;
pub mod engine;
pub mod factors;
pub mod failure;
pub mod families;
mod fingerprint;
pub mod footprint;
pub mod gguf;
mod linear;
pub mod lora;
#[cfg(target_arch = "x86_64")]
mod mkl;
mod packed;
mod packing;
mod parameters;
pub mod params;
mod plain;
pub mod probe;
mod recompute;
pub mod source;
pub mod version;
pub mod weights;

pub use config::{ModelConfig, Shape};
pub use decoder::{Decoder, Frame};
pub use factors::Factors;
pub use fingerprint::fingerprint;
pub use lora::Lora;
pub use params::{Layout, Params};
pub use source::{GeneratorSource, LocalSource};
pub use tch::{Device, Kind};
pub use weights::Weights;

/// Error of the model layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The configuration does not describe a valid model.
    #[error("impossible model shape: {0}")]
    Config(String),
    /// A file of a checkpoint is missing, broken or belongs to another model.
    #[error("{path}: {reason}")]
    Checkpoint {
        /// Path of the file.
        path: String,
        /// Cause and remedy.
        reason: String,
    },
    /// The files of the encoder could not be written.
    #[error(transparent)]
    Encoder(#[from] stepladder_data::encoder::EncoderError),
    /// The device cannot be used.
    #[error("device {device}: {reason}")]
    Device {
        /// Name from the configuration.
        device: String,
        /// Cause and remedy.
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
    /// Converts the payload of a panicked thread.
    pub(crate) fn thread(payload: &(dyn std::any::Any + Send)) -> Self {
        Self::Thread(failure::of_panic(payload))
    }
}
