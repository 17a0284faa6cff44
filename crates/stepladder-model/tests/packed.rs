//! Packed rows with shared prefixes have the log-probabilities and gradients of padded rows, for every family.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::random;
use rand::RngExt;
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::Row;
use stepladder_data::batch::{Batch, Reduction, collate_shared};
use stepladder_data::rows::Span;
use stepladder_data::sharing::{Shared, share};
use stepladder_model::checkpoint::load;
use stepladder_model::decoder::index;
use stepladder_model::{Decoder, Device, Factors, Frame, Kind, Lora, Weights};
use tch::Tensor;

/// Relative to the largest entry: sums are rounded in another order; 1.2e-5 was seen.
const TOLERANCE: f64 = 5e-5;

/// Rows of three instructions in two rooms, with one or two replies, one row without, and one equal to the prefix of others.
fn rows(vocab: u32) -> Vec<Row> {
    let mut rng = stream(4, "packed-rows", &[]);
    let mut ids = |count: usize| -> Vec<u32> { (0..count).map(|_| rng.random_range(0..vocab)).collect() };
    let begins: Vec<Vec<u32>> = (0..3).map(|_| ids(21)).collect();
    let mut rows: Vec<Row> = (0..11)
        .map(|number| {
            let own = ids(5 + 3 * (number % 5));
            let ids = [begins[number % 3].clone(), own].concat();
            let end = ids.len() as u32;
            let mut replies = vec![Span { start: end - 3, len: 3 }];
            if number % 2 == 0 {
                replies.insert(0, Span { start: 19, len: 4 });
            }
            Row { role: Role::Executor, ids, replies, prompts: Vec::new(), weight: 1.0 }
        })
        .collect();
    rows[4].replies.clear();
    rows.push(Row { ids: begins[0].clone(), replies: vec![Span { start: 9, len: 2 }], ..rows[0].clone() });
    rows.push(Row { ids: ids(9), replies: vec![Span { start: 1, len: 8 }], ..rows[0].clone() });
    rows
}

fn batch(rows: &[Row], groups: &[Shared]) -> Batch {
    let scaled: Vec<(&Row, f64)> = rows.iter().map(|row| (row, 0.1)).collect();
    collate_shared(&scaled, groups, Reduction::TokenMean)
}

fn weighted(decoder: &Decoder, logprobs: &Tensor) -> Tensor {
    let weights: Vec<f32> = (0..logprobs.size()[0]).map(|at| 0.3 + (at as f32).sin()).collect();
    let loss = (logprobs * Tensor::from_slice(&weights)).sum(Kind::Float);
    decoder.backward(&loss).unwrap();
    logprobs.detach()
}

/// Log-probabilities and gradient of each row padded to the same length, in the order of `order`.
fn padded(weights: &Weights, rows: &[Row], order: &[usize]) -> (Tensor, Tensor) {
    let longest = rows.iter().map(|row| row.ids.len()).max().unwrap();
    let (mut ids, mut targets) = (Vec::new(), Vec::new());
    for (place, &row) in order.iter().enumerate() {
        ids.extend(&rows[row].ids);
        ids.resize((place + 1) * longest, 0);
        for span in &rows[row].replies {
            targets.extend(
                (span.start..span.start + span.len).map(|at| (place * longest) as i64 + i64::from(at)),
            );
        }
    }
    let leaf = weights.trained.leaf();
    let decoder = Frame::new(weights, Kind::Float).decoder(&leaf);
    let ids = index(&ids).view([order.len() as i64, -1]);
    let logprobs = decoder.logprobs(&ids, &Tensor::from_slice(&targets)).unwrap();
    (weighted(&decoder, &logprobs), leaf.grad())
}

fn packed(weights: &Weights, rows: &[Row], groups: &[Shared], recompute: bool) -> (Tensor, Tensor) {
    let batch = batch(rows, groups);
    let leaf = weights.trained.leaf();
    let decoder = Frame::new(weights, Kind::Float).recomputing(recompute).decoder(&leaf);
    let before = Tensor::from_slice(&batch.before);
    let logprobs =
        decoder.packed_logprobs(&index(&batch.ids), &batch.groups, &before, &index(&batch.targets));
    (weighted(&decoder, &logprobs.unwrap()), leaf.grad())
}

fn models() -> Vec<(String, Weights)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families");
    let mut models: Vec<(String, Weights)> = fs_err::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), load(&path, &BTreeSet::new(), Device::Cpu).unwrap()))
        .collect();
    assert_eq!(models.len(), 6);
    let lora = Lora { rank: 3, ..Lora::default() };
    let some = Lora {
        targets: vec!["q_proj".to_owned(), "v_proj".to_owned(), "up_proj".to_owned()],
        ..lora.clone()
    };
    for (dtype, lora) in [(Kind::Float, &lora), (Kind::BFloat16, &lora), (Kind::Float, &some)] {
        let base = random(common::shape(2), &Factors::default(), 6).merged().unwrap().cast_frozen(dtype);
        let mut weights = base.with_lora(lora, 2).unwrap();
        weights.trained.buffer = &weights.trained.buffer + 0.1 * (&weights.trained.buffer + 0.7).sin();
        models.push((format!("adapters of {:?} over {dtype:?}", lora.targets), weights));
    }
    models
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

#[test]
fn shared_prefixes_change_nothing_but_rounding() {
    for (name, weights) in models() {
        let rows = rows(weights.config().vocab as u32);
        let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids.as_slice()).collect();
        let all: Vec<usize> = (0..rows.len()).collect();
        let whole = vec![Shared { prefix: 0, rows: all }];
        let shared = share(&ids);
        assert_eq!(shared.iter().filter(|group| group.prefix >= 21).count(), 3);
        let bf16 = weights.frozen().values().any(|tensor| tensor.kind() == Kind::BFloat16);
        // Outputs of bf16 products have 8 bits; 2.3 % was seen.
        let tolerance = if bf16 { 0.05 } else { TOLERANCE };
        for groups in [whole, shared] {
            let order: Vec<usize> = groups.iter().flat_map(|group| group.rows.clone()).collect();
            let (expected, gradient) = padded(&weights, &rows, &order);
            for recompute in [false, true] {
                let (found, own) = packed(&weights, &rows, &groups, recompute);
                let off = largest(&(&found - &expected));
                assert!(off < tolerance * largest(&expected), "{name}: log-probabilities are off by {off:e}");
                for entry in &weights.trained.layout.entries {
                    let of = |gradient: &Tensor| gradient.narrow(0, entry.offset, entry.len());
                    let off = largest(&(of(&own) - of(&gradient)));
                    // Gradients of keys are small differences, those of their biases rounding alone: they move all scores of a
                    // query alike.
                    let size = largest(&of(&gradient)).max(1e-2 * largest(&gradient));
                    assert!(off < tolerance * size, "{name}: {} is off by {off:e} of {size:e}", entry.name);
                }
            }
        }
    }
}

#[test]
fn a_row_does_not_see_the_others_of_its_group() {
    let (_, weights) = models().swap_remove(0);
    let mut rows = rows(weights.config().vocab as u32);
    let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids.as_slice()).collect();
    let groups = share(&ids);
    let (before, _) = packed(&weights, &rows, &groups, false);
    let order: Vec<usize> = groups.iter().flat_map(|group| group.rows.clone()).collect();
    // A word after the prefix of the first row of the first group.
    let changed = order[0];
    let last = rows[changed].ids.len() - 2;
    rows[changed].ids[last] = (rows[changed].ids[last] + 1) % weights.config().vocab as u32;
    let (after, _) = packed(&weights, &rows, &groups, false);
    let mut at = 0;
    for row in order {
        let count = i64::from(rows[row].reply_tokens());
        let same = before.narrow(0, at, count).equal(&after.narrow(0, at, count));
        assert_eq!(same, row != changed || count == 0, "row {row}");
        at += count;
    }
}
