//! Replies do not depend on the batching of prompts, to the last bit, and have the log-probabilities of a forward pass.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::sync::Arc;

use proptest::prelude::*;
use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_cpu::gradient::{Branch, Scorer};
use stepladder_cpu::{BlockMatrices, CpuError, Matrices, Model, Shape, Weights, Writer, rotations};
use stepladder_data::token_bytes::{TokenBytes, Writing};
use stepladder_rollout::engine::{Prompt, Reply};
use stepladder_rollout::sampling::{Distribution, Sampling};
use stepladder_rollout::stop::{Stop, StopStrings};
use stepladder_rollout::trie::{Constraint, Trie};

const VOCAB: u32 = 40;
/// Tolerance between log-probabilities of one model in different orders of f32 additions.
const TOLERANCE: f32 = 1e-4;
const KEPT: usize = 1 << 30;
const END: u32 = 7;

fn shapes() -> Vec<Shape> {
    let shape = Shape {
        vocab: VOCAB as usize,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 1,
        head_dim: 6,
        ffn: 20,
        max_positions: 96,
        norm_eps: 1e-5,
    };
    vec![
        shape,
        Shape { kv_heads: 2, layers: 1, ..shape },
        Shape { kv_heads: 4, head_dim: 12, ..shape },
        Shape { width: 160, heads: 2, head_dim: 80, ffn: 50, layers: 3, ..shape },
        Shape { width: 64, kv_heads: 2, head_dim: 16, ffn: 96, ..shape },
        Shape { width: 18, heads: 3, head_dim: 4, ..shape },
    ]
}

fn weights(shape: Shape, seed: u64) -> Weights {
    let mut rng = stream(seed, "test-weights", &[]);
    let mut matrix = |rows: usize, columns: usize| -> Vec<f32> {
        let bound = 2.0 / (columns as f32).sqrt();
        (0..rows * columns).map(|_| rng.random_range(-bound..bound)).collect()
    };
    let Shape { vocab, width, layers, heads, kv_heads, head_dim, ffn, .. } = shape;
    let blocks = (0..layers).map(|_| BlockMatrices {
        qkv: matrix((heads + 2 * kv_heads) * head_dim, width),
        out: matrix(width, heads * head_dim),
        gate_up: matrix(2 * ffn, width),
        down: matrix(width, ffn),
    });
    let blocks = blocks.collect();
    let matrices = Matrices { table: matrix(vocab, width), blocks, head: matrix(vocab, width) };
    Weights::new(shape, matrices, &rotations(&shape, 100.0)).unwrap()
}

/// Returns prompts of which many have a common prefix, extend each other or are equal.
fn prompts(seed: u64, count: usize) -> Vec<Prompt> {
    let mut rng = stream(seed, "test-prompts", &[]);
    let mut draw = |most: u32| rng.random_range(0..most);
    let beginnings: Vec<Vec<u32>> =
        (0..3).map(|at| (0..5 + 11 * at).map(|_| draw(VOCAB)).collect()).collect();
    (0..count)
        .map(|index| {
            let mut ids = beginnings[draw(3) as usize].clone();
            ids.truncate(1 + draw(30) as usize);
            // Few different tokens, so that some prompts are equal.
            ids.extend((0..draw(28)).map(|_| draw(3)));
            let distribution = match index % 4 {
                0 => None,
                1 => Some(Distribution { temperature: 1.0, top_p: 0.8, top_k: 9 }),
                _ => Some(Distribution::at(1.0)),
            };
            let rng = stream(seed, "sampling", &[index as u64]);
            let sampling = distribution.map(|distribution| Sampling { distribution, rng });
            Prompt { ids, budget: 1 + draw(20) as usize, sampling, constraint: None, stop: None }
        })
        .collect()
}

fn writer(weights: &Weights, workers: usize) -> Writer {
    Writer::new(Model::new(weights.clone()), workers, KEPT)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Alone, together, in any order, on one thread or three, with or without cached prefixes.
    #[test]
    fn batching_changes_nothing_to_the_last_bit(seed in 0u64..1000, count in 1usize..40, index in 0usize..6) {
        let weights = weights(shapes()[index], seed);
        let prompts = prompts(seed, count);
        let expected = writer(&weights, 1).write(prompts.clone(), &[END]).unwrap();
        for workers in [1, 3] {
            let mut writer = writer(&weights, workers);
            let mut reversed: Vec<Prompt> = prompts.clone();
            reversed.reverse();
            let mut found = writer.write(reversed, &[END]).unwrap();
            found.reverse();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(&writer.write(prompts.clone(), &[END]).unwrap(), &expected, "again");
            let found: Vec<Reply> =
                prompts.iter().map(|prompt| writer.write(vec![prompt.clone()], &[END]).unwrap().remove(0)).collect();
            prop_assert_eq!(&found, &expected, "one by one");
        }
        // Without a cache.
        let mut forgetful = Writer::new(Model::new(weights), 2, 0);
        for _ in 0..2 {
            prop_assert_eq!(&forgetful.write(prompts.clone(), &[END]).unwrap(), &expected);
        }
    }
}

/// Computes the log-probabilities of a reply with a forward pass.
fn scored(scorer: &mut Scorer, prompt: &[u32], reply: &[u32]) -> Vec<f32> {
    scorer.score(&[Branch { prompt, replies: vec![reply] }]).unwrap()
}

#[test]
fn replies_are_those_of_a_forward_pass() {
    let (mut ended, mut cut) = (0, 0);
    for (seed, shape) in shapes().into_iter().enumerate() {
        let weights = weights(shape, seed as u64);
        let mut scorer = Scorer::new(weights.clone());
        let mut writer = writer(&weights, 2);
        // The second call uses the prefixes that the first has cached.
        for call in 0..2 {
            let prompts = prompts(10 * seed as u64 + call, 40);
            let replies = writer.write(prompts.clone(), &[END]).unwrap();
            for (prompt, reply) in prompts.iter().zip(replies) {
                let expected = scored(&mut scorer, &prompt.ids, &reply.ids);
                for (a, b) in expected.iter().zip(&reply.logprobs) {
                    assert!((a - b).abs() < TOLERANCE, "{a} and {b}");
                }
                if prompt.sampling.is_none() {
                    let other: Vec<u32> = (0..VOCAB).collect();
                    let branch = Branch { prompt: &prompt.ids, replies: other.chunks(1).collect() };
                    let best = scorer.score(&[branch]).unwrap().into_iter().fold(f32::MIN, f32::max);
                    assert!((best - reply.logprobs[0]).abs() < TOLERANCE, "{best} and {}", reply.logprobs[0]);
                }
                let has_end = reply.ids.last() == Some(&END);
                assert_eq!(reply.cut, !has_end);
                assert!(!reply.ids[..reply.ids.len() - 1].contains(&END));
                assert!(reply.ids.len() <= prompt.budget && (has_end || reply.ids.len() == prompt.budget));
                ended += usize::from(has_end);
                cut += usize::from(!has_end);
            }
        }
    }
    assert!(ended > 20 && cut > 20, "{ended} replies ended, {cut} were cut: both must happen");
}

/// Stop strings of two letters over a vocabulary of words of one to three letters.
fn stop() -> Stop {
    let word = |id: u32| -> Vec<u8> { (0..=id % 3).map(|at| b'a' + (id / 3 + at) as u8 % 5).collect() };
    let writing = Writing { tokens: TokenBytes::new((0..VOCAB).map(word)), lead: String::new() };
    Stop::new(Arc::new(StopStrings::new(&["ab".to_owned(), "dd".to_owned()], writing)))
}

/// A request with its own seed, distribution and stop strings gets the same reply alone and among 63 others, which ends with
/// the first token that completes a stop string.
#[test]
fn a_reply_is_the_same_alone_and_among_others() {
    let weights = weights(shapes()[4], 5);
    let free = prompts(5, 64);
    let bound: Vec<Prompt> =
        free.iter().map(|prompt| Prompt { stop: Some(stop()), ..prompt.clone() }).collect();
    let (unstopped, together) = (
        writer(&weights, 2).write(free, &[END]).unwrap(),
        writer(&weights, 2).write(bound.clone(), &[END]).unwrap(),
    );
    let mut stopped = 0;
    for ((prompt, found), unstopped) in bound.iter().zip(&together).zip(&unstopped) {
        let alone = writer(&weights, 1).write(vec![prompt.clone()], &[END]).unwrap();
        assert_eq!(&alone[0], found);
        let mut stop = stop();
        let ids = &unstopped.ids;
        match ids.iter().position(|&id| id != END && stop.push(id)) {
            Some(last) => {
                assert_eq!((found.ids.as_slice(), found.cut), (&ids[..=last], false));
                assert_eq!(found.logprobs, unstopped.logprobs[..=last]);
                stopped += 1;
            }
            None => assert_eq!(found, unstopped),
        }
    }
    assert!((10..60).contains(&stopped), "{stopped} replies were stopped");
}

/// Samples of one prompt differ, and each has the log-probability of a forward pass.
#[test]
fn samples_of_a_prompt_are_its_own() {
    let weights = weights(shapes()[1], 3);
    let prompt = |index: u64| Prompt {
        ids: (0..30).map(|at| at * 7 % VOCAB).collect(),
        budget: 6,
        sampling: Some(Sampling::at(1.0, stream(3, "sampling", &[index]))),
        constraint: None,
        stop: None,
    };
    let replies = writer(&weights, 2).write((0..64).map(prompt).collect(), &[END]).unwrap();
    let mut distinct: Vec<&Vec<u32>> = replies.iter().map(|reply| &reply.ids).collect();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 32, "{} replies", distinct.len());
    let mut scorer = Scorer::new(weights);
    for reply in &replies {
        let expected = scored(&mut scorer, &prompt(0).ids, &reply.ids);
        assert!(expected.iter().zip(&reply.logprobs).all(|(a, b)| (a - b).abs() < TOLERANCE));
    }
}

/// Returns replies of up to 12 tokens, of which many have a common beginning.
fn allowed(seed: u64) -> Vec<Vec<u32>> {
    let mut rng = stream(seed, "test-allowed", &[]);
    let mut reply = || {
        let mut ids: Vec<u32> = (0..rng.random_range(0..12)).map(|_| 20 + rng.random_range(0..3)).collect();
        ids.push(END);
        ids
    };
    (0..30).map(|_| reply()).collect()
}

fn constrained(prompts: &[Prompt], replies: &[Vec<u32>]) -> Vec<Prompt> {
    let constraint = Some(Constraint::new(Arc::new(Trie::new(replies.to_vec()))));
    let of = |prompt: &Prompt| Prompt { budget: 20, constraint: constraint.clone(), ..prompt.clone() };
    prompts.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Greedy and at any temperature, in one batch with prompts without a constraint, which do not change.
    #[test]
    fn constrained_replies_are_allowed_and_do_not_depend_on_the_batch(
        seed in 0u64..1000, temperature in 0.01f64..10.0, index in 0usize..6
    ) {
        let weights = weights(shapes()[index], seed);
        let free = prompts(seed, 30);
        let allowed = allowed(seed);
        let mut bound = constrained(&free, &allowed);
        for sampling in bound.iter_mut().filter_map(|prompt| prompt.sampling.as_mut()) {
            sampling.distribution.temperature = temperature;
        }
        let mixed: Vec<Prompt> = free.iter().chain(&bound).cloned().collect();
        let found = writer(&weights, 3).write(mixed, &[END]).unwrap();
        prop_assert_eq!(&found[..30], &writer(&weights, 1).write(free, &[END]).unwrap());
        prop_assert_eq!(&found[30..], &writer(&weights, 1).write(bound.clone(), &[END]).unwrap());
        let mut scorer = Scorer::new(weights);
        for (prompt, reply) in bound.iter().zip(&found[30..]) {
            prop_assert!(allowed.contains(&reply.ids) && !reply.cut, "{:?}", reply.ids);
            // The first log-probability is that of the model among the allowed first tokens.
            let first: Vec<u32> = prompt.constraint.as_ref().unwrap().allowed().to_vec();
            let branch = Branch { prompt: &prompt.ids, replies: first.chunks(1).collect() };
            let scale = prompt.sampling.as_ref().map_or(1.0, |sampling| 1.0 / sampling.distribution.temperature as f32);
            let scores: Vec<f32> = scorer.score(&[branch]).unwrap().iter().map(|score| score * scale).collect();
            let largest = scores.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = scores.iter().map(|score| (score - largest).exp()).sum();
            let place = first.iter().position(|id| *id == reply.ids[0]).unwrap();
            let expected = scores[place] - largest - sum.ln();
            let tolerance = TOLERANCE * (1.0 + scale);
            prop_assert!((expected - reply.logprobs[0]).abs() < tolerance, "{} {}", expected, reply.logprobs[0]);
        }
    }
}

#[test]
fn a_constraint_that_allows_the_greedy_replies_changes_none() {
    for (seed, shape) in shapes().into_iter().enumerate() {
        let weights = weights(shape, seed as u64);
        let greedy = |prompt| Prompt { budget: 20, sampling: None, ..prompt };
        let prompts: Vec<Prompt> = prompts(seed as u64, 40).into_iter().map(greedy).collect();
        let free = writer(&weights, 2).write(prompts.clone(), &[END, 11, 30]).unwrap();
        let ended = || free.iter().zip(&prompts).filter(|(reply, _)| !reply.cut);
        let replies: Vec<Vec<u32>> = ended().map(|(reply, _)| reply.ids.clone()).collect();
        let asked: Vec<Prompt> = ended().map(|(_, prompt)| prompt.clone()).collect();
        assert!(replies.len() > 5, "{} replies", replies.len());
        let found = writer(&weights, 2).write(constrained(&asked, &replies), &[END, 11, 30]).unwrap();
        for (reply, expected) in found.iter().zip(&replies) {
            assert_eq!(&reply.ids, expected);
        }
    }
}

/// A reply ends with the first of several end tokens.
#[test]
fn each_end_token_ends_a_reply() {
    let weights = weights(shapes()[0], 2);
    let prompts: Vec<Prompt> =
        prompts(2, 60).into_iter().map(|prompt| Prompt { budget: 12, ..prompt }).collect();
    let long = writer(&weights, 2).write(prompts.clone(), &[]).unwrap();
    assert!(long.iter().all(|reply| reply.cut && reply.ids.len() == 12));
    let ends = [END, 11, 30];
    let mut seen = [0; 3];
    for (reply, long) in writer(&weights, 2).write(prompts, &ends).unwrap().iter().zip(&long) {
        let end = long.ids.iter().position(|id| ends.contains(id));
        assert_eq!(reply.ids, long.ids[..end.map_or(12, |at| at + 1)]);
        assert_eq!(reply.cut, end.is_none());
        if let Some(place) = end.and_then(|at| ends.iter().position(|&id| id == long.ids[at])) {
            seen[place] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "each of the three ends some reply: {seen:?}");
}

#[test]
fn no_prompts_no_replies() {
    assert!(writer(&weights(shapes()[0], 0), 2).write(Vec::new(), &[END]).unwrap().is_empty());
}

#[test]
fn damaged_prompts_are_errors() {
    let shape = shapes()[0];
    let mut writer = writer(&weights(shape, 0), 2);
    let good = Prompt { ids: vec![3, 4], budget: 2, sampling: None, constraint: None, stop: None };
    let expected = writer.write(vec![good.clone()], &[END]).unwrap();
    let hot = |temperature| Some(Sampling::at(temperature, stream(1, "sampling", &[])));
    let most = shape.max_positions;
    let cases = [
        (Prompt { ids: Vec::new(), ..good.clone() }, "it has no token"),
        (Prompt { ids: vec![3, VOCAB], ..good.clone() }, "token 40 is not in the vocabulary of 40"),
        (Prompt { budget: 0, ..good.clone() }, "its budget is 0"),
        (Prompt { ids: vec![3; most - 1], ..good.clone() }, "it needs 97 tokens, the context window has 96"),
        (Prompt { budget: usize::MAX, ..good.clone() }, "the context window has 96"),
        (Prompt { sampling: hot(0.0), ..good.clone() }, "its temperature is 0"),
        (Prompt { sampling: hot(f64::NAN), ..good.clone() }, "its temperature is NaN"),
        (constrained(std::slice::from_ref(&good), &[]).remove(0), "its constraint allows no reply"),
        (
            constrained(std::slice::from_ref(&good), &[vec![VOCAB, END]]).remove(0),
            "token 40 of its constraint",
        ),
    ];
    for (damaged, expected) in cases {
        match writer.write(vec![good.clone(), good.clone(), damaged], &[END]).unwrap_err() {
            CpuError::Input { index: 2, reason } => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{other}"),
        }
    }
    let full = Prompt { ids: vec![3; most - 1], budget: 1, sampling: None, constraint: None, stop: None };
    assert_eq!(writer.write(vec![good, full], &[END]).unwrap()[0], expected[0]);
}
