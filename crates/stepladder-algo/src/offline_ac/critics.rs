//! Critics of STEP-HRL's levels (docs/spec/algorithms.md 3.4): per level a head V, a head Q, and a target network of both.
//!
//! ```text
//! head(h) = w₃ · relu(W₂ relu(W₁ h + b₁) + b₂) + b₃        W₁, W₂: [d, d], w₃: [1, d]
//! ```
//! V reads h(x), the model's last-layer vector at the last prompt token; Q reads h(x, y), the vector at the last reply token.
//! All parameters are f32 in one buffer, like the policy's.

use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_data::{Level, PerLevel};
use stepladder_model::Params;
use tch::{Device, TchError, Tensor};

use crate::AlgoError;
use crate::runtime::net::Net;
use crate::runtime::optimiser::AdamWConfig;

/// Name of the network in a trainer and in checkpoints.
pub const CRITIC: &str = "critic";

/// Layers of a head.
const LAYERS: usize = 3;
/// Names of the heads of a level, in the order of the buffer.
const HEADS: [&str; 2] = ["v", "q"];

/// Lists name and shape of every tensor of the buffer, in order: `planner.v.0.weight` `[d, d]`, `planner.v.0.bias` `[d]`, …
pub fn entries(width: i64) -> Vec<(String, Vec<i64>)> {
    let mut entries = Vec::new();
    for level in Level::ALL {
        for head in HEADS {
            for layer in 0..LAYERS {
                let out = if layer + 1 == LAYERS { 1 } else { width };
                let name = |what: &str| format!("{}.{head}.{layer}.{what}", level.role().name());
                entries.push((name("weight"), vec![out, width]));
                entries.push((name("bias"), vec![out]));
            }
        }
    }
    entries
}

/// Returns the number of parameters of the critics of a model of this width.
pub fn count(width: i64) -> i64 {
    (Level::ALL.len() * HEADS.len()) as i64 * (2 * (width * width + width) + width + 1)
}

/// Returns [`count`] for the critics of a policy.
pub(super) fn count_for(params: &Params) -> i64 {
    count(params.layout.config().shape.width)
}

/// Error for critics without a target network.
pub(super) fn no_target() -> AlgoError {
    let reason = "it has no target network; load a checkpoint of offline actor-critic".to_owned();
    AlgoError::Net { name: CRITIC.to_owned(), reason }
}

/// Initialises critics for a policy.
pub(super) fn start(params: &Params, seed: u64, config: AdamWConfig) -> Net {
    init(params.layout.config().shape.width, seed, config, params.buffer.device())
}

/// Initialises critics from the run's `critic` stream, with an equal target network.
///
/// Weights and biases are uniform in ±1/√d, PyTorch's default for linear layers, as in the released code.
pub fn init(width: i64, seed: u64, config: AdamWConfig, device: Device) -> Net {
    let bound = 1.0 / (width as f64).sqrt();
    let mut values = Vec::with_capacity(count(width) as usize);
    for (index, (_, shape)) in entries(width).iter().enumerate() {
        let mut rng = stream(seed, "critic", &[index as u64]);
        let len = shape.iter().product::<i64>();
        values.extend((0..len).map(|_| rng.random_range(-bound..bound) as f32));
    }
    Net::new(Tensor::from_slice(&values).to_device(device), config).with_target()
}

/// Head of a critic, as views of a buffer.
pub struct Head {
    layers: Vec<(Tensor, Tensor)>,
}

impl Head {
    /// Computes the values of vectors.
    ///
    /// # Shapes
    /// `[N, d]` → `[N]`
    ///
    /// # Errors
    /// From libtorch: vectors of another width, out of memory.
    pub fn value(&self, vectors: &Tensor) -> Result<Tensor, TchError> {
        let mut x = vectors.shallow_clone();
        for (layer, (weight, bias)) in self.layers.iter().enumerate() {
            x = x.f_linear(weight, Some(bias))?;
            if layer + 1 < LAYERS {
                x = x.f_relu()?;
            }
        }
        x.f_squeeze_dim(1)
    }
}

/// Both heads of a level.
pub struct Heads {
    /// Value of a prompt.
    pub v: Head,
    /// Value of a reply to a prompt.
    pub q: Head,
}

/// Splits a buffer into the heads of each level. Gradients reach `buffer`.
///
/// # Panics
/// If `buffer` does not have [`count`] elements.
pub fn heads(buffer: &Tensor, width: i64) -> PerLevel<Heads> {
    let entries = entries(width);
    let sizes: Vec<i64> = entries.iter().map(|(_, shape)| shape.iter().product()).collect();
    let mut parts = buffer
        .split_with_sizes(&sizes, 0)
        .into_iter()
        .zip(entries)
        .map(|(part, (_, shape))| part.view(shape.as_slice()));
    let mut next = || parts.next().expect("a buffer holds every entry");
    let mut head = || Head { layers: (0..LAYERS).map(|_| (next(), next())).collect() };
    PerLevel::from_fn(|_| Heads { v: head(), q: head() })
}
