//! Recomputed blocks have the gradients of the whole graph.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{VOCAB, factors, random, shape};
use stepladder_model::{Factors, Frame, Lora, Shape, Weights};
use tch::{Kind, Tensor};

/// Relative to the largest entry: gradients of a tensor that is used twice are added in another order.
const TOLERANCE: f64 = 1e-6;

fn frozen(weights: &Weights, of: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let names = weights.trained.layout.entries.iter().map(|entry| entry.name.clone());
    names.filter(|name| of(name)).collect()
}

fn adapted(dtype: Kind) -> Weights {
    let lora = Lora { rank: 3, dropout: 0.3, ..Lora::default() };
    let base = random(shape(2), &Factors::default(), 6).merged().unwrap().cast_frozen(dtype);
    let mut weights = base.with_lora(&lora, 2).unwrap();
    weights.trained.buffer = &weights.trained.buffer + 0.1 * (&weights.trained.buffer + 0.7).sin();
    weights
}

/// Tied with factors, untied, partly frozen, with adapters over f32 and bf16.
fn models() -> Vec<Weights> {
    let whole = |tied| random(Shape { tied, ..shape(2) }, &factors(), 6);
    let part = |of: fn(&str) -> bool| whole(true).freeze(&frozen(&whole(true), of), Kind::Float).unwrap();
    vec![
        whole(true),
        whole(false),
        part(|name| !name.starts_with("layers.1.")),
        part(|name| !name.starts_with("layers.0.")),
        part(|name| name.starts_with("embed.")),
        adapted(Kind::Float),
        adapted(Kind::BFloat16),
    ]
}

/// Log-probabilities of two passes, and the gradient of a loss of both.
fn learnt(weights: &Weights, recompute: bool) -> (Tensor, Tensor) {
    let ids: Vec<i64> = (0..60).map(|at| at * at % i64::from(VOCAB)).collect();
    let ids = Tensor::from_slice(&ids).view([3, 20]);
    let targets = Tensor::from_slice(&[3i64, 7, 19, 24, 29, 45, 59]);
    let leaf = weights.trained.leaf();
    let decoder = Frame::new(weights, Kind::Float).recomputing(recompute).decoder_in_training(&leaf, 5);
    let first = decoder.logprobs(&ids, &targets).unwrap();
    let hidden = decoder.hidden(&ids.narrow(1, 0, 11)).unwrap();
    assert_eq!(hidden.is_leaf(), recompute);
    // Without gradient, and so without a pass to go back through.
    assert!(!tch::no_grad(|| decoder.hidden(&ids)).unwrap().requires_grad());
    let second = decoder.features(&hidden).unwrap().sin().sum(Kind::Float);
    decoder.backward(&(first.exp().sum(Kind::Float) * 3.0 + second)).unwrap();
    (first.detach(), leaf.grad())
}

#[test]
fn gradients_are_those_of_the_whole_graph() {
    for (index, weights) in models().iter().enumerate() {
        let ((expected, whole), (found, recomputed)) = (learnt(weights, false), learnt(weights, true));
        assert!(found.equal(&expected), "model {index}");
        for entry in &weights.trained.layout.entries {
            let of = |gradient: &Tensor| gradient.narrow(0, entry.offset, entry.len());
            let largest = of(&whole).abs().max().double_value(&[]);
            let off = (of(&recomputed) - of(&whole)).abs().max().double_value(&[]);
            let name = &entry.name;
            assert!(largest > 0.0, "model {index}: {name} has no gradient");
            assert!(off <= TOLERANCE * largest, "model {index}: {name} is off by {off:e}, up to {largest:e}");
        }
    }
}
