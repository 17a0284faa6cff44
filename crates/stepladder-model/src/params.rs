//! Parameters in one contiguous buffer.
//!
//! One leaf tensor holds all trained parameters; the matrices are views made by one `split`. So the gradient is one tensor,
//! its norm one reduction, and an optimiser step a few operations for any number of matrices.

use rand::RngExt;
use stepladder_core::seed::stream;
use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Ones.
    One,
    /// Zeros.
    Zero,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform between this bound and its negative.
    Uniform(f64),
}

/// One parameter of an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name, for example `layers.0.qkv`.
    pub name: String,
    /// Shape; matrices are `[out, in]`.
    pub shape: Vec<i64>,
    /// Initial values.
    pub init: Init,
}

/// Name, shape and offset of one parameter.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Name, for example `layers.0.qkv`.
    pub name: String,
    /// Shape; matrices are `[out, in]`.
    pub shape: Vec<i64>,
    /// First element in the buffer.
    pub offset: i64,
}

impl Entry {
    /// Returns the number of elements.
    pub fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Whether there are no elements; never true.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Layout of parameters in a contiguous buffer: all parameters of a model, or the trained ones.
#[derive(Debug, Clone)]
pub struct Layout {
    /// In the order of the buffer.
    pub entries: Vec<Entry>,
    config: ModelConfig,
}

impl Layout {
    /// Lays out all parameters of a model.
    pub fn new(config: &ModelConfig) -> Self {
        Self::of(config, config.parameters())
    }

    /// Lays out these parameters of a model contiguously.
    pub fn of(config: &ModelConfig, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        let mut offset = 0;
        let place = |Parameter { name, shape, .. }| {
            let entry = Entry { name, shape, offset };
            offset += entry.len();
            entry
        };
        Self { entries: parameters.into_iter().map(place).collect(), config: config.clone() }
    }

    /// Replaces the configuration by one with the same parameters.
    pub(crate) fn with_config(self, config: ModelConfig) -> Self {
        Self { config, ..self }
    }

    /// Returns the number of elements of the buffer.
    pub fn total(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.offset + entry.len())
    }

    /// Returns the configuration of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns views of all parameters, in order. Gradients reach `buffer` through one concatenation.
    ///
    /// # Panics
    /// If `buffer` does not have [`Layout::total`] elements.
    pub fn split(&self, buffer: &Tensor) -> Vec<Tensor> {
        let sizes: Vec<i64> = self.entries.iter().map(Entry::len).collect();
        buffer
            .split_with_sizes(&sizes, 0)
            .into_iter()
            .zip(&self.entries)
            .map(|(part, entry)| part.view(entry.shape.as_slice()))
            .collect()
    }
}

/// Values of the parameters of a layout.
#[derive(Debug)]
pub struct Params {
    /// Layout of the buffer.
    pub layout: Layout,
    /// The buffer `[layout.total()]`, f32, without gradient.
    pub buffer: Tensor,
}

impl Params {
    /// Initialises all parameters from the run's `init` stream; bit-equal on every machine (docs/design.md D2).
    pub fn init(config: &ModelConfig, seed: u64, device: Device) -> Self {
        Self::drawn(config, config.parameters(), (seed, "init"), device)
    }

    /// Initialises these parameters of a model from a stream of the run.
    pub(crate) fn drawn(
        config: &ModelConfig,
        parameters: Vec<Parameter>,
        (seed, name): (u64, &str),
        device: Device,
    ) -> Self {
        let layout = Layout::of(config, parameters.iter().cloned());
        let mut values = Vec::with_capacity(layout.total() as usize);
        for (index, (entry, parameter)) in layout.entries.iter().zip(&parameters).enumerate() {
            let mut rng = stream(seed, name, &[index as u64]);
            match parameter.init {
                Init::One => values.extend(std::iter::repeat_n(1.0f32, entry.len() as usize)),
                Init::Zero => values.extend(std::iter::repeat_n(0.0f32, entry.len() as usize)),
                Init::Uniform(bound) => {
                    values
                        .extend((0..entry.len()).map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32));
                }
                Init::Normal(deviation) => {
                    // Box-Muller transform; both values of each pair are used.
                    let mut left = entry.len() as usize;
                    while left > 0 {
                        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * deviation;
                        let angle = std::f64::consts::TAU * rng.random::<f64>();
                        for value in [radius * angle.cos(), radius * angle.sin()].into_iter().take(left) {
                            values.push(value as f32);
                        }
                        left = left.saturating_sub(2);
                    }
                }
            }
        }
        let buffer = Tensor::from_slice(&values).to_device(device);
        Self { layout, buffer }
    }

    /// Creates a buffer of zeros.
    pub fn zeros(layout: Layout, device: Device) -> Self {
        let buffer = Tensor::zeros([layout.total()], (Kind::Float, device));
        Self { layout, buffer }
    }

    /// Returns a leaf tensor that shares the values and accumulates its own gradient.
    pub fn leaf(&self) -> Tensor {
        self.buffer.detach().set_requires_grad(true)
    }

    /// Returns a view of one parameter; none for an unknown name.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        let entry = self.layout.entries.iter().find(|entry| entry.name == name)?;
        Some(self.buffer.narrow(0, entry.offset, entry.len()).view(entry.shape.as_slice()))
    }

    /// Returns the number of scalar parameters.
    pub fn count(&self) -> i64 {
        self.layout.total()
    }
}
