//! Comparison with a plain forward pass in f64 and its finite differences, for all instruction sets.

use proptest::prelude::*;
use rand::RngExt;
use stepladder_core::seed::stream;

use super::{Branch, Scorer};
use crate::error::CpuError;
use crate::testing::{archs, checked, hidden, logprobs, random, shapes, weights};
use crate::weights::{Matrices, Shape};

/// Prompts, and the replies to each.
type Rows = Vec<(Vec<u32>, Vec<Vec<u32>>)>;

fn view(rows: &Rows) -> Vec<Branch<'_>> {
    rows.iter()
        .map(|(prompt, replies)| Branch { prompt, replies: replies.iter().map(Vec::as_slice).collect() })
        .collect()
}

fn tokens(count: usize, salt: u64) -> Vec<u32> {
    let mut rng = stream(salt, "test-tokens", &[]);
    (0..count).map(|_| rng.random_range(0..shapes()[0].vocab as u32)).collect()
}

fn random_values(count: usize) -> Vec<f32> {
    let mut rng = stream(9, "test-d", &[]);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Returns rows with replies of one token and of many, bundled and long, and equal prompts in several branches.
fn mixed() -> Rows {
    let replies = |lens: &[usize], salt: u64| -> Vec<Vec<u32>> {
        lens.iter().enumerate().map(|(at, &len)| tokens(len, 100 * salt + at as u64)).collect()
    };
    vec![
        (tokens(13, 1), replies(&[2], 1)),
        (tokens(1, 2), replies(&[1, 3, 1, 5], 2)),
        (tokens(13, 1), replies(&[27, 2, 3, 1], 3)),
        (tokens(13, 1), replies(&[1], 4)),
        (tokens(35, 3), replies(&[7, 9, 12, 26], 5)),
    ]
}

fn short() -> Rows {
    vec![
        (tokens(5, 1), vec![tokens(3, 2), tokens(1, 3), tokens(4, 4)]),
        (tokens(1, 5), vec![tokens(2, 6)]),
        (tokens(3, 7), vec![tokens(6, 8)]),
    ]
}

fn all(rows: &Rows) -> impl Iterator<Item = (&[u32], &[u32])> {
    rows.iter().flat_map(|(prompt, replies)| replies.iter().map(|reply| (&prompt[..], &reply[..])))
}

#[test]
fn log_probabilities_and_hidden_vectors_are_those_of_a_plain_pass() {
    let rows = mixed();
    let view = view(&rows);
    for shape in shapes() {
        let matrices = random(&shape, 3);
        let expected: Vec<f64> =
            all(&rows).flat_map(|(prompt, reply)| logprobs(&shape, &matrices, prompt, reply)).collect();
        let vectors: Vec<f64> = all(&rows)
            .flat_map(|(prompt, reply)| {
                let ids = [prompt, &reply[..reply.len() - 1]].concat();
                hidden(&shape, &matrices, &ids).split_off(prompt.len() - 1).concat()
            })
            .collect();
        for arch in archs() {
            let mut scorer = Scorer::with_arch(arch, checked(&shape, matrices.clone()));
            let found = scorer.logprobs(&view).unwrap();
            // To the last bit.
            assert_eq!(found, scorer.score(&view).unwrap());
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 2e-5, "{arch:?}: {found} and {expected}");
            }
            let found = scorer.hidden(&view).unwrap();
            assert_eq!(found.len(), vectors.len());
            for (found, expected) in found.iter().zip(&vectors) {
                assert!((f64::from(*found) - expected).abs() < 2e-5, "{arch:?}: {found} and {expected}");
            }
        }
    }
}

/// Returns the values of all matrices, in a fixed order.
fn values(matrices: &mut Matrices) -> Vec<&mut f32> {
    let Matrices { table, blocks, head } = matrices;
    let mut found: Vec<&mut f32> = table.iter_mut().chain(head).collect();
    for block in blocks {
        let matrices = [&mut block.qkv, &mut block.out, &mut block.gate_up, &mut block.down];
        found.extend(matrices.into_iter().flatten());
    }
    found
}

/// Compares a gradient with the central differences of `loss`, for about 200 values of all matrices.
fn same_as_differences(
    matrices: &Matrices,
    loss: impl Fn(&Matrices) -> f64,
    mut found: Matrices,
    name: &str,
) {
    let found: Vec<f32> = values(&mut found).into_iter().map(|value| *value).collect();
    let mut changed = matrices.clone();
    let largest = found.iter().fold(0f32, |most, value| most.max(value.abs()));
    assert!(largest > 0.1, "{name}: the loss depends on the matrices");
    for (at, found) in found.iter().enumerate().step_by(found.len() / 200) {
        let mut at_offset = |offset: f32| {
            let before = std::mem::replace(values(&mut changed).swap_remove(at), 0.0);
            let place = before + offset;
            *values(&mut changed).swap_remove(at) = place;
            let loss = loss(&changed);
            *values(&mut changed).swap_remove(at) = before;
            (f64::from(place), loss)
        };
        let ((high, above), (low, below)) = (at_offset(2e-4), at_offset(-2e-4));
        let expected = (above - below) / (high - low);
        let off = (f64::from(*found) - expected).abs();
        assert!(off < 1e-4 * f64::from(largest), "{name}, value {at}: {found} and {expected}");
    }
}

#[test]
fn gradients_are_finite_differences() {
    let rows = short();
    let view = view(&rows);
    let count = all(&rows).map(|(_, reply)| reply.len()).sum();
    for shape in shapes() {
        let shape =
            Shape { vocab: shape.vocab, width: shape.width / 2, head_dim: shape.head_dim / 2 * 2, ..shape };
        let matrices = random(&shape, 4);
        let d = random_values(count);
        let loss = |matrices: &Matrices| {
            let logprobs = all(&rows).flat_map(|(prompt, reply)| logprobs(&shape, matrices, prompt, reply));
            logprobs.zip(&d).map(|(logprob, &d)| logprob * f64::from(d)).sum()
        };
        let mut scorer = Scorer::new(checked(&shape, matrices.clone()));
        scorer.logprobs(&view).unwrap();
        scorer.backward(&d).unwrap();
        same_as_differences(&matrices, loss, scorer.gradient(), "logprobs");

        let d = random_values(count * shape.width);
        let loss = |matrices: &Matrices| {
            let vectors = all(&rows).flat_map(|(prompt, reply)| {
                let ids = [prompt, &reply[..reply.len() - 1]].concat();
                hidden(&shape, matrices, &ids).split_off(prompt.len() - 1).concat()
            });
            vectors.zip(&d).map(|(value, &d)| value * f64::from(d)).sum()
        };
        let mut scorer = Scorer::new(checked(&shape, matrices.clone()));
        scorer.hidden(&view).unwrap();
        scorer.backward_hidden(&d).unwrap();
        same_as_differences(&matrices, loss, scorer.gradient(), "hidden");
    }
}

fn in_order(mut matrices: Matrices) -> Vec<f32> {
    values(&mut matrices).into_iter().map(|value| *value).collect()
}

fn close(found: &[f32], expected: &[f32], name: &str) {
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-5 * largest + 1e-7, "{name}: {found} and {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A pass over several branches has the gradient of each reply scored alone, on all instruction sets.
    #[test]
    fn shared_prompts_change_no_gradient(
        index in 0usize..4,
        lens in prop::collection::vec((1usize..30, prop::collection::vec(1usize..28, 1..4)), 1..4),
    ) {
        let shape = shapes()[index];
        let rows: Rows = lens.iter().enumerate().map(|(at, (prompt, replies))| {
            let reply = |(place, len): (usize, &usize)| tokens(*len, (at * 10 + place) as u64);
            (tokens(*prompt, at as u64 % 3), replies.iter().enumerate().map(reply).collect())
        }).collect();
        let d = random_values(all(&rows).map(|(_, reply)| reply.len()).sum());
        let mut alone = Scorer::new(weights(&shape, 6));
        let mut first = 0;
        let mut expected = Vec::new();
        for (prompt, reply) in all(&rows) {
            expected.extend(alone.logprobs(&[Branch { prompt, replies: vec![reply] }]).unwrap());
            alone.backward(&d[first..first + reply.len()]).unwrap();
            first += reply.len();
        }
        let view = view(&rows);
        for arch in archs() {
            let mut scorer = Scorer::with_arch(arch, weights(&shape, 6));
            close(&scorer.logprobs(&view).unwrap(), &expected, "log-probabilities");
            scorer.backward(&d).unwrap();
            close(&in_order(scorer.gradient()), &in_order(alone.gradient()), "gradient");
        }
    }
}

#[test]
fn a_scorer_takes_other_parameters() {
    let rows = mixed();
    let view = view(&rows);
    let [small, large] = [0, 3].map(|index| weights(&shapes()[index], 1));
    let mut scorer = Scorer::new(small.clone());
    let before = scorer.logprobs(&view).unwrap();
    scorer.backward(&vec![1.0; before.len()]).unwrap();
    scorer.update(large.clone());
    assert!(scorer.gradient().head.iter().all(|&value| value == 0.0));
    assert_eq!(scorer.score(&view).unwrap(), Scorer::new(large).score(&view).unwrap());
    scorer.update(small);
    assert_eq!(scorer.score(&view).unwrap(), before);
}

#[test]
fn damaged_branches_are_errors() {
    let shape = shapes()[0];
    let mut scorer = Scorer::new(weights(&shape, 1));
    let long = vec![1; shape.max_positions];
    let branch = |prompt, reply| Branch { prompt, replies: vec![reply] };
    let good: Branch<'_> = branch(&[1, 2], &[3]);
    assert_eq!(scorer.logprobs(&[branch(&long[1..], &[3])]).unwrap().len(), 1);
    let cases: [(Branch<'_>, &str); 5] = [
        (branch(&[], &[3]), "prompt 1 of the call: it has no token"),
        (branch(&[1], &[]), "one of its replies has no token"),
        (branch(&[1, 19], &[3]), "token 19 is not in the vocabulary of 19"),
        (branch(&[1], &[3, 400]), "token 400 is not"),
        (branch(&long, &[3]), "97 tokens, the context window has 96"),
    ];
    for (damaged, reason) in cases {
        let branches = [good.clone(), damaged];
        let errors = [scorer.logprobs(&branches), scorer.score(&branches), scorer.hidden(&branches)];
        for error in errors {
            let message = error.unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
        // No state of the refused pass is left.
        assert_eq!(scorer.backward(&[1.0]), Err(CpuError::Gradient { expected: 0, given: 1 }));
    }
    scorer.logprobs(std::slice::from_ref(&good)).unwrap();
    assert_eq!(scorer.backward(&[]), Err(CpuError::Gradient { expected: 1, given: 0 }));
    scorer.backward(&[1.0]).unwrap();
    scorer.hidden(&[good]).unwrap();
    let message = scorer.backward_hidden(&[1.0]).unwrap_err().to_string();
    assert_eq!(message, "1 gradients were given for the 24 values of the last forward pass");
}
