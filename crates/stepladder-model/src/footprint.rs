//! Memory that a model needs, estimated from its configuration.

use crate::config::ModelConfig;

/// Rank of the adapters in [`Footprint::lora`].
pub const RANK: u64 = 16;
/// Tokens of a training batch in [`Footprint::lora`] and [`Footprint::full`].
pub const BATCH: u64 = 2048;

/// Bytes that a model needs. Real use is higher by buffers of single operations, and of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Weights in their dtype, and in f32 the keys and values of one sequence of full length.
    pub inference: u64,
    /// Weights in their dtype; adapters of rank [`RANK`] on all linear layers with gradient and AdamW's two moments; activations
    /// of [`BATCH`] tokens. The last three in f32.
    pub lora: u64,
    /// Weights, gradient and AdamW's two moments; activations of [`BATCH`] tokens. All in f32.
    pub full: u64,
}

/// Bytes of a trained value: f32 weight, gradient and two moments.
const TRAINED: u64 = 16;
const F32: u64 = 4;

impl Footprint {
    /// Estimates the memory of a model whose weights have `bytes` in all.
    pub fn estimate(config: &ModelConfig, bytes: u64) -> Self {
        let shape = &config.shape;
        let whole = |value: i64| u64::try_from(value).unwrap_or_default();
        let (layers, width, ffn) = (whole(shape.layers), whole(shape.width), whole(shape.ffn));
        let (queries, keys) =
            (whole(shape.heads * config.head_dim()), whole(shape.kv_heads * config.head_dim()));
        let cache = layers * 2 * keys * whole(shape.max_positions) * F32;
        // Inputs and outputs of query, key, value, output, gate, up and down.
        let sides = [
            (width, queries),
            (width, keys),
            (width, keys),
            (queries, width),
            (width, ffn),
            (width, ffn),
            (ffn, width),
        ];
        let adapters = layers * RANK * sides.iter().map(|(from, to)| from + to).sum::<u64>();
        // Kept for the backward pass, per token and layer: residual stream, normalised input and its scale before attention and
        // feed-forward network; queries, keys and values before and after rotation; attention; gate, up and their product.
        // Per token: logits, their log-probabilities and their gradient.
        let kept =
            layers * (6 * width + 2 * (queries + 2 * keys) + queries + 4 * ffn) + 3 * whole(config.vocab);
        let activations = BATCH * kept * F32;
        Self {
            inference: bytes + cache,
            lora: bytes + adapters * TRAINED + activations,
            full: whole(config.parameter_count()) * TRAINED + activations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tiny;

    #[test]
    fn the_estimate_is_the_sum_of_its_parts() {
        let config = ModelConfig::new(tiny(), 100, 0).unwrap();
        // Table 100 · 16; per layer two gains, 16 · (16 + 2 · 8), 16 · 16 and 3 · 16 · 24; a last gain.
        assert_eq!(config.parameter_count(), 1600 + 2 * (32 + 512 + 256 + 1152) + 16);
        let found = Footprint::estimate(&config, 1000);
        let cache = 2 * 2 * 8 * 64 * 4;
        let adapters = 2 * 16 * (32 + 24 + 24 + 32 + 3 * 40) * 16;
        let activations = 2048 * 4 * (2 * (96 + 64 + 16 + 96) + 300);
        let full = 5520 * 16 + activations;
        assert_eq!(found, Footprint { inference: 1000 + cache, lora: 1000 + adapters + activations, full });
    }
}
