//! Tiny model for the tests of this crate.
#![allow(clippy::unwrap_used)]
// Every test file is a separate program and uses a different part of this module.
#![allow(dead_code)]

use std::sync::Arc;

use rand::RngExt;
use stepladder_core::codec::Plain;
use stepladder_core::seed::stream;
use stepladder_data::{Budgets, CompactWords, PromptEncoder};
use stepladder_model::{Decoder, Factors, Frame, ModelConfig, Shape, Weights};
use tch::{Device, Kind, Tensor};

pub(crate) const VOCAB: u32 = 40;
/// First id after those of special words and markers.
pub(crate) const FIRST_WORD: u32 = 17;

/// Three rotary pairs per head, so that a wrong row order is not an involution.
pub(crate) fn shape(kv_heads: i64) -> Shape {
    Shape {
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads,
        ffn: 20,
        max_positions: 96,
        rope_theta: 100.0,
        norm_eps: 1e-5,
        tied: true,
    }
}

pub(crate) fn factors() -> Factors {
    let of_word = (0..VOCAB).map(|word| if word % 2 == 0 { vec![word % 5] } else { vec![] }).collect();
    Factors { names: (0..5).map(|name| name.to_string()).collect(), of_word }
}

/// A model with gains other than 1 and varied replies.
pub(crate) fn random(shape: Shape, factors: &Factors, seed: u64) -> Weights {
    let config = ModelConfig::new(shape, VOCAB as usize, factors.len()).unwrap();
    let mut weights = Weights::init(&config, seed, Device::Cpu).with_factors(factors.clone()).unwrap();
    let mut rng = stream(seed, "test-noise", &[]);
    let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
    weights.trained.buffer = &weights.trained.buffer + Tensor::from_slice(&noise);
    weights
}

pub(crate) fn weights(kv_heads: i64, seed: u64) -> Weights {
    random(shape(kv_heads), &factors(), seed)
}

pub(crate) fn decoder(weights: &Weights) -> Decoder {
    Frame::new(weights, Kind::Float).decoder(&weights.trained.buffer)
}

/// Vocabulary of exactly [`VOCAB`] ids; those from [`FIRST_WORD`] on are the words `w17`, `w18`, …
pub(crate) fn encoder() -> CompactWords {
    let bare = CompactWords::new(Arc::new(Plain), Budgets { short: 9, long: 23, ..Budgets::default() });
    assert_eq!(bare.vocab(), FIRST_WORD as usize);
    let words: Vec<String> = (FIRST_WORD..VOCAB).map(|word| format!("w{word:02}")).collect();
    let encoder = bare.with_words(words.iter().map(String::as_str));
    assert_eq!(encoder.vocab(), VOCAB as usize);
    encoder
}
