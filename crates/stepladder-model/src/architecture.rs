//! Differences between model families, apart from the shape: what `config.json` of each family selects.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// Model families whose checkpoints are read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Llama 2 and 3, and models in its format, such as SmolLM2.
    #[default]
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3, dense.
    Qwen3,
    /// Gemma 1.
    Gemma,
}

/// Activation function of the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(x)
    #[default]
    Silu,
    /// GELU with the error function.
    Gelu,
    /// GELU approximated with tanh.
    GeluTanh,
}

/// Scaling of the rotary frequencies for contexts longer than those of pretraining.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotaryScaling {
    /// None.
    #[default]
    None,
    /// All frequencies divided by one factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by a factor, high ones kept, those between them interpolated.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Frequencies with fewer turns than this in `original` positions are low.
        low: f64,
        /// Frequencies with more turns than this in `original` positions are high.
        high: f64,
        /// Context window of pretraining, in tokens.
        original: f64,
    },
}

impl RotaryScaling {
    /// Scales a frequency, in radians per position.
    ///
    /// ```
    /// use stepladder_model::architecture::RotaryScaling;
    /// let llama3 = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    /// assert_eq!(llama3.apply(1.0), 1.0);
    /// assert_eq!(llama3.apply(1e-6), 1e-6 / 8.0);
    /// ```
    pub fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, original } => {
                let turns = original * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}

/// Architecture of a decoder. The default is that of models that are trained from scratch, a Llama without biases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Architecture {
    /// Family, which determines `config.json`.
    pub family: Family,
    /// Width of one head; `width / heads` if absent.
    pub head_dim: Option<i64>,
    /// Query, key and value matrices have a bias.
    pub qkv_bias: bool,
    /// The output matrix of attention has a bias.
    pub out_bias: bool,
    /// The matrices of the MLP have a bias.
    pub mlp_bias: bool,
    /// Queries and keys are normalised per head before they are rotated.
    pub qk_norm: bool,
    /// Activation function of the gate.
    pub activation: Activation,
    /// Gains of norms are stored minus one, and embeddings are multiplied by √width (Gemma).
    pub gemma_norm: bool,
    /// Scaling of the rotary frequencies.
    pub rotary: RotaryScaling,
}

impl Architecture {
    /// Whether this is the default, which has every kernel.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
