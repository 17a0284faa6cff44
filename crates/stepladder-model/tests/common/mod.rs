//! A tiny model for the tests of this crate.
#![allow(clippy::unwrap_used)]
// Every test file is a program of its own and uses another part of this.
#![allow(dead_code)]

use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_data::WordTokenizer;
use stepladder_model::decoder::rotations;
use stepladder_model::{Decoder, Factors, ModelConfig, Params, Shape};
use tch::{Device, Kind, Tensor};

pub(crate) const VOCAB: u32 = 40;

/// Three rotary pairs per head, so that a mistaken order of rows is no involution.
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

/// A model whose gains are not 1 and whose replies are not all alike.
pub(crate) fn random(shape: Shape, factors: &Factors, seed: u64) -> Params {
    let config = ModelConfig::new(shape, VOCAB as usize, factors.len()).unwrap();
    let mut params = Params::init(&config, seed, Device::Cpu);
    let mut rng = stream(seed, "test-noise", &[]);
    let noise: Vec<f32> = (0..params.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
    params.flat = &params.flat + Tensor::from_slice(&noise);
    params
}

pub(crate) fn params(kv_heads: i64, seed: u64) -> Params {
    random(shape(kv_heads), &factors(), seed)
}

pub(crate) fn decoder_of(params: &Params, factors: &Factors) -> Decoder {
    let rotations = rotations(&params.layout.config().shape, Device::Cpu);
    let incidence = factors.matrix(Device::Cpu);
    Decoder::new(&params.layout, &params.flat, incidence.as_ref(), &rotations, Kind::Float)
}

pub(crate) fn decoder(params: &Params) -> Decoder {
    decoder_of(params, &factors())
}

/// Exactly [`VOCAB`] words.
pub(crate) fn tokenizer() -> WordTokenizer {
    let words: Vec<String> = (3..VOCAB).map(|word| format!("w{word:02}")).collect();
    let tokenizer = WordTokenizer::train(&[], words.iter().map(String::as_str));
    assert_eq!(tokenizer.len(), VOCAB as usize);
    tokenizer
}
