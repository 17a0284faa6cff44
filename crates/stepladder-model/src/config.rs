//! Shape of a model.

use serde::{Deserialize, Serialize};
use stepladder_core::section;
use stepladder_core::section::{Bound, Section};

use crate::ModelError;
use crate::architecture::Architecture;
use crate::lora::Lora;

section! {
    /// Shape of a model; the vocabulary comes from the tokenizer.
    pub struct Shape {
        /// Width of the residual stream; a multiple of `heads`.
        pub width: i64 = 128 => [Bound::Between(1, 1 << 24)],
        /// Number of blocks.
        pub layers: i64 = 4 => [Bound::Between(1, 1 << 12)],
        /// Query heads; a multiple of `kv_heads`.
        pub heads: i64 = 4 => [Bound::Between(1, 1 << 24)],
        /// Key and value heads (grouped-query attention).
        pub kv_heads: i64 = 2 => [Bound::Between(1, 1 << 24)],
        /// Inner width of the SwiGLU.
        pub ffn: i64 = 352 => [Bound::Between(1, 1 << 24)],
        /// Context window: the longest sequence, prompt and completion together.
        pub max_positions: i64 = 1024 => [Bound::Between(1, 1 << 24)],
        /// Base of the rotary frequencies.
        pub rope_theta: f64 = 10_000.0 => [Bound::Above(1)],
        /// ε inside the root of RMSNorm.
        pub norm_eps: f64 = 1e-5 => [Bound::Positive],
        /// The output matrix is the embedding matrix.
        pub tied: bool = true,
    }
}

/// Validated shape with architecture, vocabulary size and number of factors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Chosen shape.
    pub shape: Shape,
    /// Rows of the embedding table: the number of tokens, or more where the vocabulary is padded.
    pub vocab: i64,
    /// Number of tokens where the vocabulary is padded. The surplus rows have no logits, in sampling and in learning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Number of embedding factors; 0 without factored embeddings.
    pub factors: i64,
    /// Differences between model families.
    #[serde(default, skip_serializing_if = "Architecture::is_plain")]
    pub architecture: Architecture,
    /// Adapters over the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
}

/// Training needs 16 bytes per parameter (value, gradient and two moments in f32), here 64 GB.
const MAX_PARAMETERS: i128 = 4_000_000_000;

impl Shape {
    /// Returns the width of one head.
    pub fn head_dim(&self) -> i64 {
        self.width / self.heads
    }

    /// Returns the number of parameters of all blocks, without embeddings, which depend on the vocabulary.
    pub fn block_parameters(&self) -> i128 {
        let [width, layers, ffn] = [self.width, self.layers, self.ffn].map(i128::from);
        let key_width = i128::from(self.head_dim()) * i128::from(self.kv_heads);
        layers * (2 * width * width + 2 * width * key_width + 3 * width * ffn + 2 * width)
    }

    /// Returns one sentence for each contradiction between values; empty if there is none or if a value is out of range.
    pub fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.violations().is_empty() {
            return found;
        }
        self.head_conflicts(&mut found);
        if self.heads % self.kv_heads != 0 {
            found.push(self.group_conflict());
        }
        if self.block_parameters() > MAX_PARAMETERS {
            found.push(format!(
                "width {}, ffn {} and layers {} give {:.1e} parameters; at most {:.1e} are supported",
                self.width,
                self.ffn,
                self.layers,
                self.block_parameters() as f64,
                MAX_PARAMETERS as f64
            ));
        }
        found
    }

    fn group_conflict(&self) -> String {
        format!("heads {} is not a multiple of kv_heads {}", self.heads, self.kv_heads)
    }

    /// Adds the contradictions of a shape whose heads divide the width.
    fn head_conflicts(&self, found: &mut Vec<String>) {
        if self.width % self.heads != 0 {
            let lower = (self.width / self.heads) * self.heads;
            let upper = lower + self.heads;
            let nearest = if lower == 0 {
                format!("the nearest is {upper}")
            } else {
                format!("nearest are {lower} and {upper}")
            };
            found.push(format!("width {} is not a multiple of heads {}; {nearest}", self.width, self.heads));
        } else if self.head_dim() % 2 != 0 {
            found.push(format!(
                "a head is {} wide (width / heads); rotary positions need an even number",
                self.head_dim()
            ));
        }
    }
}

impl ModelConfig {
    /// Checks a shape for a vocabulary.
    ///
    /// # Errors
    /// [`ModelError::Config`] with all violations and conflicts.
    pub fn new(shape: Shape, vocab: usize, factors: usize) -> Result<Self, ModelError> {
        let mut found: Vec<String> = shape.violations().iter().map(ToString::to_string).collect();
        found.extend(shape.conflicts());
        if vocab < 2 {
            found.push(format!("the vocabulary has {vocab} tokens; it needs at least 2"));
        }
        if !found.is_empty() {
            return Err(ModelError::Config(found.join("; ")));
        }
        Ok(Self {
            shape,
            vocab: vocab as i64,
            tokens: None,
            factors: factors as i64,
            architecture: Architecture::default(),
            lora: None,
        })
    }

    /// Checks shape and architecture of a pretrained model.
    ///
    /// # Errors
    /// [`ModelError::Config`] with all violations and conflicts.
    pub fn pretrained(shape: Shape, architecture: Architecture, vocab: i64) -> Result<Self, ModelError> {
        let mut found: Vec<String> = shape.violations().iter().map(ToString::to_string).collect();
        match architecture.head_dim {
            _ if !found.is_empty() => {}
            None => shape.head_conflicts(&mut found),
            Some(head) if head < 2 || head % 2 != 0 => {
                found.push(format!("a head is {head} wide; rotary positions need an even number above 0"));
            }
            Some(_) => {}
        }
        if found.is_empty() && shape.heads % shape.kv_heads != 0 {
            found.push(shape.group_conflict());
        }
        if !(2..=1 << 24).contains(&vocab) {
            found.push(format!("the vocabulary has {vocab} tokens; it must have between 2 and {}", 1 << 24));
        }
        if !found.is_empty() {
            return Err(ModelError::Config(found.join("; ")));
        }
        Ok(Self { shape, vocab, tokens: None, factors: 0, architecture, lora: None })
    }

    /// Limits the logits to those of a tokenizer's ids, all below `tokens`.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the embedding table has fewer rows.
    pub fn with_tokens(self, tokens: usize) -> Result<Self, ModelError> {
        let count = tokens as i64;
        if count > self.vocab || count < 2 {
            return Err(ModelError::Config(format!(
                "the tokenizer has {count} tokens, but the model has {} embeddings: they are of different models",
                self.vocab
            )));
        }
        Ok(Self { tokens: (count < self.vocab).then_some(count), ..self })
    }

    /// Shortens the context window.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the model has a shorter one, or for 0.
    pub fn with_context(mut self, context: i64) -> Result<Self, ModelError> {
        let own = self.shape.max_positions;
        if context < 1 || context > own {
            return Err(ModelError::Config(format!(
                "a context of {context} tokens was asked for; the model was trained for at most {own}"
            )));
        }
        self.shape.max_positions = context;
        Ok(self)
    }

    /// Returns the bytes of all parameters in f32, in which they are kept on the CPU.
    pub fn bytes_in_f32(&self) -> u64 {
        u64::try_from(self.parameter_count()).unwrap_or_default().saturating_mul(4)
    }

    /// Adds adapters.
    ///
    /// # Errors
    /// [`ModelError::Config`] with all violations, or if there are adapters already.
    pub fn with_lora(self, lora: &Lora) -> Result<Self, ModelError> {
        let mut found: Vec<String> = lora.violations().iter().map(ToString::to_string).collect();
        found.extend(lora.conflicts());
        if self.lora.is_some() {
            found.push("the model has adapters already; merge them first".to_owned());
        }
        if !found.is_empty() {
            return Err(ModelError::Config(found.join("; ")));
        }
        Ok(Self { lora: Some(lora.clone()), ..self })
    }

    /// Returns the number of rows of the matrix with this name in transformers.
    pub(crate) fn rows_of(&self, module: &str) -> i64 {
        let Shape { width, heads, kv_heads, ffn, .. } = self.shape;
        match module {
            "q_proj" => heads * self.head_dim(),
            "k_proj" | "v_proj" => kv_heads * self.head_dim(),
            "gate_proj" | "up_proj" => ffn,
            _ => width,
        }
    }

    /// Returns the number of columns of the matrix with this name in transformers.
    pub(crate) fn columns_of(&self, module: &str) -> i64 {
        match module {
            "o_proj" => self.shape.heads * self.head_dim(),
            "down_proj" => self.shape.ffn,
            _ => self.shape.width,
        }
    }

    /// Returns the width of one head.
    pub fn head_dim(&self) -> i64 {
        self.architecture.head_dim.unwrap_or_else(|| self.shape.head_dim())
    }

    /// Returns the number of all parameters.
    pub fn parameter_count(&self) -> i64 {
        self.parameters().iter().map(|parameter| parameter.shape.iter().product::<i64>()).sum()
    }
}

#[cfg(test)]
pub(crate) fn tiny() -> Shape {
    Shape {
        width: 16,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 24,
        max_positions: 64,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_shapes_are_named_with_the_nearest_possible() {
        let message = ModelConfig::new(Shape { heads: 5, ..tiny() }, 10, 0).unwrap_err().to_string();
        assert!(message.contains("nearest are 15 and 20"), "{message}");
        assert!(ModelConfig::new(Shape { kv_heads: 3, ..tiny() }, 10, 0).is_err());
        assert!(ModelConfig::new(Shape { layers: 0, ..tiny() }, 10, 0).is_err());
        let huge = Shape { width: 1 << 20, layers: 1000, ..tiny() };
        let message = ModelConfig::new(huge, 10, 0).unwrap_err().to_string();
        assert!(message.contains("give 3.3e15 parameters; at most 4.0e9 are supported"), "{message}");
        let large = 1 << 24;
        assert!(ModelConfig::new(Shape { layers: large, ..tiny() }, 10, 0).is_err());
        assert!(ModelConfig::new(Shape { width: large, ffn: large, ..tiny() }, 10, 0).is_err());
        assert!(ModelConfig::new(tiny(), 10, 0).is_ok());
    }
}
