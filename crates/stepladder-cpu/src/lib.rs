//! Inference and gradients of a decoder on the CPU in f32, without libtorch.
//!
//! * [`Weights`]: the decoder as plain matrices, checked
//! * [`Writer`]: the [`stepladder_rollout::engine::Engine`]; completes prompts on several threads and caches keys and values
//!   of prompts between calls ([`prefixes`])
//! * [`gradient`]: log-probabilities of given replies, and their gradient
//! * [`checkpoint`]: reads plain Llamas from Hugging Face directories
//! * [`policy`]: trained policies of run and checkpoint directories, as generators
//! * `product`: packed matrices; `kernels`: operations on single positions; `attention`
//! * `choose`: the next token
//! * `segment`: keys and values, computed once and read by every row with the same prefix
//! * `forward`: the pending tokens of several rows in one pass, prompts and replies mixed
//!
//! The results of a token depend on the tokens before it only, to the last bit: not on the other rows of a pass, on cached
//! prefixes or on the number of threads. So batching does not change any reply.

mod attention;
pub mod checkpoint;
mod choose;
pub mod error;
mod forward;
pub mod gradient;
mod kernels;
mod model;
pub mod policy;
pub mod prefixes;
mod product;
mod segment;
#[cfg(test)]
mod testing;
mod weights;
mod writer;

pub use error::CpuError;
pub use model::Model;
pub use policy::Policy;
pub use weights::{BlockMatrices, Matrices, Shape, Weights, rotations};
pub use writer::{DEFAULT_PREFIX_BYTES, Writer};
