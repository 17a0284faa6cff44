//! All parameters in one flat buffer.
//!
//! One leaf tensor holds every parameter; the matrices are views that one `split` makes. So a gradient is one tensor,
//! its norm one reduction, and an optimiser step a handful of operations, whatever the number of matrices.

use rand::RngExt;
use stepladder_core::seed::stream;
use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Init {
    One,
    /// Normal with this standard deviation.
    Normal(f64),
}

/// Name, shape and place of one parameter.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Our name, `layers.0.qkv`.
    pub name: String,
    /// Shape; matrices are `[out, in]`.
    pub shape: Vec<i64>,
    /// First element in the flat buffer.
    pub offset: i64,
    init: Init,
}

impl Entry {
    /// Number of elements.
    pub fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Never true: every parameter has elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where every parameter lies.
#[derive(Debug, Clone)]
pub struct Layout {
    /// In the order of the buffer.
    pub entries: Vec<Entry>,
    config: ModelConfig,
}

impl Layout {
    /// The parameters of a model.
    ///
    /// Query, key and value share one matrix, gate and up another: fewer, larger products. Rows of queries and keys are
    /// stored so that rotary pairs are neighbours; `checkpoint` translates to the order that transformers uses.
    pub fn new(config: &ModelConfig) -> Self {
        let shape = &config.shape;
        let (d, head) = (shape.width, shape.head_dim());
        // 0.02 as in GPT-2; the two matrices that write to the residual stream start smaller by √(2·layers).
        let plain = Init::Normal(0.02 * (256.0 / d as f64).sqrt().max(1.0));
        let Init::Normal(base) = plain else { unreachable!("plain is a normal initialisation") };
        let residual = Init::Normal(base / (2.0 * shape.layers as f64).sqrt());
        let mut layout = Self { entries: Vec::new(), config: config.clone() };
        layout.push("embed.own", &[config.vocab, d], plain);
        if config.factors > 0 {
            layout.push("embed.factors", &[config.factors, d], plain);
        }
        for layer in 0..shape.layers {
            let mut push = |name: &str, dims: &[i64], init| {
                layout.push(&format!("layers.{layer}.{name}"), dims, init);
            };
            push("norm_attention", &[d], Init::One);
            push("qkv", &[(shape.heads + 2 * shape.kv_heads) * head, d], plain);
            push("out", &[d, shape.heads * head], residual);
            push("norm_ffn", &[d], Init::One);
            push("gate_up", &[2 * shape.ffn, d], plain);
            push("down", &[d, shape.ffn], residual);
        }
        layout.push("norm", &[d], Init::One);
        if !shape.tied {
            layout.push("head", &[config.vocab, d], plain);
        }
        layout
    }

    fn push(&mut self, name: &str, shape: &[i64], init: Init) {
        let offset = self.total();
        self.entries.push(Entry { name: name.to_owned(), shape: shape.to_vec(), offset, init });
    }

    /// Number of elements of the buffer.
    pub fn total(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.offset + entry.len())
    }

    /// The model this describes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Views of all parameters, in order. Gradients flow back to `flat` through one concatenation.
    pub fn split(&self, flat: &Tensor) -> Vec<Tensor> {
        let sizes: Vec<i64> = self.entries.iter().map(Entry::len).collect();
        flat.split_with_sizes(&sizes, 0)
            .into_iter()
            .zip(&self.entries)
            .map(|(part, entry)| part.view(entry.shape.as_slice()))
            .collect()
    }
}

/// The values of all parameters.
#[derive(Debug)]
pub struct Params {
    /// Where each lies.
    pub layout: Layout,
    /// The buffer, f32, no gradient.
    pub flat: Tensor,
}

impl Params {
    /// Fresh parameters from the run's `init` stream: the same numbers on every machine (design D2).
    pub fn init(config: &ModelConfig, seed: u64, device: Device) -> Self {
        let layout = Layout::new(config);
        let mut values = Vec::with_capacity(layout.total() as usize);
        for (index, entry) in layout.entries.iter().enumerate() {
            let mut rng = stream(seed, "init", &[index as u64]);
            match entry.init {
                Init::One => values.extend(std::iter::repeat_n(1.0f32, entry.len() as usize)),
                Init::Normal(deviation) => {
                    // Box-Muller, both numbers of each pair.
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
        let flat = Tensor::from_slice(&values).to_device(device);
        Self { layout, flat }
    }

    /// Zeros of the same layout, to be filled.
    pub fn zeros(config: &ModelConfig, device: Device) -> Self {
        let layout = Layout::new(config);
        let flat = Tensor::zeros([layout.total()], (Kind::Float, device));
        Self { layout, flat }
    }

    /// A leaf that shares the values and collects a gradient of its own.
    pub fn leaf(&self) -> Tensor {
        self.flat.detach().set_requires_grad(true)
    }

    /// A view of one parameter's values, by our name.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        let entry = self.layout.entries.iter().find(|entry| entry.name == name)?;
        Some(self.flat.narrow(0, entry.offset, entry.len()).view(entry.shape.as_slice()))
    }

    /// Number of parameters.
    pub fn count(&self) -> i64 {
        self.layout.total()
    }
}
