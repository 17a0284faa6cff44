//! The CPU engine computes the same log-probabilities and gradients as libtorch.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use proptest::prelude::*;
use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_cpu::gradient::{Branch, Scorer};
use stepladder_model::{Decoder, Factors, Frame, ModelConfig, Shape, Weights};
use tch::{Device, Kind, Tensor};

const VOCAB: u32 = 37;

/// Prompts with the replies to each.
type Rows = Vec<(Vec<u32>, Vec<Vec<u32>>)>;

fn view(rows: &Rows) -> Vec<Branch<'_>> {
    rows.iter()
        .map(|(prompt, replies)| Branch { prompt, replies: replies.iter().map(Vec::as_slice).collect() })
        .collect()
}

struct Case {
    weights: Weights,
    frame: Frame,
}

impl Case {
    /// A model with gains other than 1.
    fn new(shape: Shape, factored: bool) -> Self {
        let of_word = (0..VOCAB).map(|word| if word % 3 == 0 { vec![word % 5, 1] } else { vec![] }).collect();
        let names = (0..5).map(|name| name.to_string()).collect();
        let factors = if factored { Factors { names, of_word } } else { Factors::default() };
        let config = ModelConfig::new(shape, VOCAB as usize, factors.len()).unwrap();
        let mut weights = Weights::init(&config, 5, Device::Cpu).with_factors(factors).unwrap();
        let mut rng = stream(7, "test-noise", &[]);
        let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
        weights.trained.buffer = &weights.trained.buffer + Tensor::from_slice(&noise);
        let frame = Frame::new(&weights, Kind::Float);
        Self { weights, frame }
    }

    fn decoder(&self, leaf: &Tensor) -> Decoder {
        self.frame.decoder(leaf)
    }

    /// Log-probabilities and the gradient of Σ d logprob by libtorch, one padded row for each reply.
    fn expected(&self, rows: &Rows, d: &[f32]) -> (Vec<f32>, Tensor) {
        let all = || rows.iter().flat_map(|(p, replies)| replies.iter().map(move |reply| (p, reply)));
        let longest = all().map(|(prompt, reply)| prompt.len() + reply.len()).max().unwrap();
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for (prompt, reply) in all() {
            let first = ids.len() + prompt.len();
            targets.extend((first..first + reply.len()).map(|at| at as i64));
            let until = ids.len() + longest;
            ids.extend(prompt.iter().chain(reply).map(|&id| i64::from(id)));
            ids.resize(until, 0);
        }
        let leaf = self.weights.trained.leaf();
        let ids = Tensor::from_slice(&ids).view([-1, longest as i64]);
        let logprobs = self.decoder(&leaf).logprobs(&ids, &Tensor::from_slice(&targets)).unwrap();
        (&logprobs * Tensor::from_slice(d)).sum(Kind::Float).backward();
        (Vec::try_from(logprobs.detach()).unwrap(), leaf.grad())
    }

    fn check(&self, rows: &Rows) {
        let view = view(rows);
        let count = rows.iter().flat_map(|(_, replies)| replies).map(Vec::len).sum::<usize>();
        let mut rng = stream(9, "test-d", &[]);
        let d: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
        let (expected, gradient) = self.expected(rows, &d);
        let leaf = self.weights.trained.leaf();
        let decoder = self.decoder(&leaf);
        let mut scorer = Scorer::new(decoder.plain().unwrap());
        let found = scorer.logprobs(&view).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 2e-5, "{found} and {expected}");
        }
        // In two calls, the first with a part of the rows.
        let half = view.len() / 2;
        let split: usize = view[..half].iter().flat_map(|b| &b.replies).map(|reply| reply.len()).sum();
        scorer.logprobs(&view[..half]).unwrap();
        scorer.backward(&d[..split]).unwrap();
        scorer.logprobs(&view[half..]).unwrap();
        scorer.backward(&d[split..]).unwrap();
        decoder.pull_back(&scorer.gradient()).unwrap();
        self.same(&leaf.grad(), &gradient);
    }

    fn same(&self, found: &Tensor, expected: &Tensor) {
        for entry in &self.weights.trained.layout.entries {
            let part = |all: &Tensor| all.narrow(0, entry.offset, entry.len());
            let (found, expected) = (part(found), part(expected));
            let largest = expected.abs().max().double_value(&[]);
            let off = (found - expected).abs().max().double_value(&[]);
            assert!(off <= 2e-5 * largest + 1e-7, "{}: {off:e} off {largest:e}", entry.name);
        }
    }
}

fn shape(kv_heads: i64, head: i64, layers: i64, tied: bool) -> Shape {
    Shape {
        width: 4 * head,
        layers,
        heads: 4,
        kv_heads,
        ffn: 21,
        max_positions: 128,
        rope_theta: 100.0,
        norm_eps: 1e-5,
        tied,
    }
}

fn words(count: usize, salt: u64) -> Vec<u32> {
    let mut rng = stream(salt, "test-words", &[]);
    (0..count).map(|_| rng.random_range(0..VOCAB)).collect()
}

/// Replies of one word and of many, in bundles and long; equal prompts in several branches.
fn mixed() -> Rows {
    let replies = |lens: &[usize], salt: u64| -> Vec<Vec<u32>> {
        lens.iter().enumerate().map(|(at, &len)| words(len, 100 * salt + at as u64)).collect()
    };
    vec![
        (words(13, 1), replies(&[2], 1)),
        (words(1, 2), replies(&[1, 3, 1, 5], 2)),
        (words(13, 1), replies(&[27, 2, 3, 1], 3)),
        (words(13, 1), replies(&[1], 4)),
        (words(35, 3), replies(&[7, 9, 12, 26], 5)),
    ]
}

#[test]
fn log_probabilities_and_gradients_are_libtorchs() {
    for (kv_heads, head, layers, tied, factored) in [
        (2, 8, 2, true, true),
        (4, 16, 3, false, true),
        (1, 24, 1, true, false),
        (2, 6, 2, false, false),
        (2, 32, 2, true, true),
    ] {
        Case::new(shape(kv_heads, head, layers, tied), factored).check(&mixed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_branches_have_libtorchs_gradients(
        (kv, half, layers, tied, factored) in (0u32..3, 1i64..13, 1i64..4, any::<bool>(), any::<bool>()),
        lens in prop::collection::vec((1usize..30, prop::collection::vec(1usize..28, 1..4)), 1..4),
    ) {
        let rows = lens.iter().enumerate().map(|(at, (prompt, replies))| {
            let reply = |(place, len): (usize, &usize)| words(*len, (at * 10 + place) as u64);
            (words(*prompt, at as u64 % 3), replies.iter().enumerate().map(reply).collect())
        });
        Case::new(shape(1 << kv, 2 * half, layers, tied), factored).check(&rows.collect());
    }
}
