//! Invariances of loss and gradient: order of rows, rows without targets (docs/spec/algorithms.md 8.2), merging
//! of identical rows, and the number of workers.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::{REDUCTIONS, VOCAB, compare, factors, gradient, gradient_of, params, rows, shape};
use rand::seq::SliceRandom;
use stepladder_algo::bc::{BcConfig, batches, scaled};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::score::weighted_nll;
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::batch::{Reduction, collate, collate_all};
use stepladder_data::rows::merge;
use stepladder_data::{Batch, Row};
use stepladder_model::{Kind, Params};

/// Tolerance relative to the largest entry: only the order of f32 additions differs.
const TOLERANCE: f64 = 1e-6;

struct Same {
    params: Params,
}

impl Same {
    fn new() -> Self {
        Self { params: params(shape(), &factors(), 5) }
    }

    fn of(&self, rows: &[Row], reduction: Reduction) -> (f64, Params) {
        self.of_batch(batch(rows, reduction))
    }

    fn of_batch(&self, batch: Batch) -> (f64, Params) {
        gradient(&self.params, batch)
    }

    fn same(&self, what: &str, found: &(f64, Params), expected: &(f64, Params)) -> Result<(), String> {
        assert!(expected.1.buffer.abs().max().double_value(&[]) > 1e-3, "{what}: no gradient to compare");
        if (found.0 - expected.0).abs() > TOLERANCE * expected.0.abs() {
            return Err(format!("{what}: loss {} for {}", found.0, expected.0));
        }
        compare(what, &found.1.buffer, &expected.1.buffer, TOLERANCE).map(drop)
    }
}

fn batch(rows: &[Row], reduction: Reduction) -> Batch {
    collate_all(&rows.iter().collect::<Vec<_>>(), reduction)
}

#[test]
fn order_and_rows_without_targets_change_nothing() {
    let same = Same::new();
    for (seed, reduction) in REDUCTIONS.into_iter().enumerate() {
        let rows = rows(seed as u64, 11);
        let expected = same.of(&rows, reduction);
        let mut permuted = rows.clone();
        permuted.shuffle(&mut stream(seed as u64, "permutation", &[]));
        assert_ne!(permuted, rows);
        same.same("permuted", &same.of(&permuted, reduction), &expected).unwrap();

        let mut masked = rows.clone();
        for (position, mut row) in common::rows(77, 3).into_iter().enumerate() {
            row.replies.clear();
            masked.insert(4 * position, row);
        }
        same.same("rows without targets", &same.of(&masked, reduction), &expected).unwrap();
    }
}

#[test]
fn the_comparison_sees_a_changed_row() {
    let same = Same::new();
    let rows = rows(0, 11);
    let expected = same.of(&rows, Reduction::RowMean);
    let mut changed = rows.clone();
    changed[2].ids[0] = (changed[2].ids[0] + 1) % VOCAB;
    assert!(same.same("changed word", &same.of(&changed, Reduction::RowMean), &expected).is_err());
    assert!(same.same("a row less", &same.of(&rows[1..], Reduction::RowMean), &expected).is_err());
    assert!(same.same("other mean", &same.of(&rows, Reduction::TokenMean), &expected).is_err());
}

#[test]
fn a_merged_row_teaches_what_its_copies_did() {
    let same = Same::new();
    for reduction in REDUCTIONS {
        let distinct = rows(3, 6);
        let copies: Vec<Row> = distinct
            .iter()
            .enumerate()
            .flat_map(|(index, row)| std::iter::repeat_n(row.clone(), 1 + index % 4))
            .collect();
        let merged = merge(copies.clone());
        assert_eq!(merged.len(), distinct.len());
        same.same("merged", &same.of(&merged, reduction), &same.of(&copies, reduction)).unwrap();
        // Without weights the loss differs.
        assert!(same.same("unmerged", &same.of(&distinct, reduction), &same.of(&copies, reduction)).is_err());
    }
}

fn config(mixture: Mixture, reduction: Reduction) -> BcConfig {
    BcConfig {
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        warmup: 0.0,
        floor: 0.0,
        reduction,
        mixture,
        batch_tokens: 64,
        batch_rows: 4,
        planner_every: 4,
        budget: Budget::Steps(1),
        group_rows: 0,
        ..BcConfig::default()
    }
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let same = Same::new();
    let rows: Vec<Row> = rows(8, 12).into_iter().filter(|row| row.role != Role::Flat).collect();
    let group: Vec<usize> = (0..rows.len()).collect();
    for mixture in [Mixture::Pooled, Mixture::Levels] {
        for reduction in REDUCTIONS {
            let of = |workers: usize, group_rows: usize| {
                let config = BcConfig { group_rows, ..config(mixture, reduction) };
                let scaled = scaled(&config, &rows, &group, 0);
                let shards = batches(&config, scaled, workers, Kind::Float.into());
                assert_eq!(shards.len(), workers);
                gradient_of(&same.params, shards.into_iter().flatten().collect(), workers, weighted_nll)
            };
            let one = of(1, 0);
            for (workers, group_rows) in [(2, 0), (3, 0), (1, 4), (2, 4), (3, 4)] {
                let name = format!("{mixture:?} {reduction:?} {workers} workers, groups of {group_rows}");
                same.same(&name, &of(workers, group_rows), &one).unwrap();
            }
            if mixture == Mixture::Pooled {
                same.same("one batch", &same.of(&rows, reduction), &one).unwrap();
            }
        }
    }
}

/// `levels` sums the means of the levels; the planner's is included in every fourth step only.
#[test]
fn levels_add_up_and_the_planner_pauses() {
    let same = Same::new();
    let rows: Vec<Row> = rows(8, 12).into_iter().filter(|row| row.role != Role::Flat).collect();
    let group: Vec<usize> = (0..rows.len()).collect();
    let config = config(Mixture::Levels, Reduction::RowMean);
    let mean = |role: Role| {
        let level: Vec<Row> = rows.iter().filter(|row| row.role == role).cloned().collect();
        assert!(!level.is_empty());
        same.of(&level, Reduction::RowMean)
    };
    let [planner, executor, progress] = [Role::Planner, Role::Executor, Role::Progress].map(mean);
    for step in [0, 1, 2, 3, 4] {
        let found = same.of_batch(collate(&scaled(&config, &rows, &group, step), config.reduction));
        let mut loss = executor.0 + progress.0;
        let mut buffer = &executor.1.buffer + &progress.1.buffer;
        if step % 4 == 0 {
            loss += planner.0;
            buffer += &planner.1.buffer;
        }
        let expected = (loss, Params { layout: planner.1.layout.clone(), buffer });
        same.same(&format!("step {step}"), &found, &expected).unwrap();
    }
}
