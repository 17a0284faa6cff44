//! Collation of rows of offline RL into a batch: a padded block of prompts with replies, and one of next prompts.

use crate::level::{Level, PerLevel};
use crate::offline::OfflineRow;

stepladder_core::choices! {
    /// Token of the reply whose vector Q reads.
    pub enum CriticReads {
        /// The last one: END, unless the reply was cut.
        End = "end",
        /// The last one before END. A model trained from scratch predicts END there, and nothing from END.
        Last = "last",
    }
}

/// The rows of one level inside a batch; all vectors have one entry per row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LevelRows {
    /// Index of the row in the batch.
    pub rows: Vec<i64>,
    /// Number of samples that the row was merged from.
    pub weights: Vec<f32>,
    /// Rewards of the decision's steps.
    pub rewards: Vec<Vec<f64>>,
    /// Whether the target is not bootstrapped.
    pub dones: Vec<bool>,
    /// Index among the next prompts; 0 if done.
    pub next: Vec<i64>,
    /// Whether the policy learns from the row.
    pub imitated: Vec<bool>,
    /// Advantage of an oracle.
    pub oracle: Vec<f32>,
}

/// Right-padded token ids `[rows, len]`, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// Number of rows.
    pub rows: usize,
    /// Padded length.
    pub len: usize,
    /// Token ids, row-major `[rows, len]`.
    pub ids: Vec<u32>,
}

/// A batch of B rows with N reply tokens and M next prompts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OfflineBatch {
    /// Prompts with replies: `[B, T]`.
    pub block: Block,
    /// Row-major positions in `block` of the vectors that the losses read, ascending: from the last prompt token to the last reply
    /// token of every row; `[N + B]`.
    pub positions: Vec<i64>,
    /// Row-major positions of the reply tokens: `[N]`.
    pub targets: Vec<i64>,
    /// Index into `positions` of the token that predicts each target: `[N]`.
    pub before: Vec<i64>,
    /// Row of each target: `[N]`.
    pub owners: Vec<i64>,
    /// Reply tokens of each row: `[B]`.
    pub lens: Vec<f32>,
    /// Index into `positions` of the last prompt token, which V reads: `[B]`.
    pub states: Vec<i64>,
    /// Index into `positions` of the reply token that Q reads ([`CriticReads`]): `[B]`.
    pub actions: Vec<i64>,
    /// Next prompts: `[M, T']`.
    pub next: Block,
    /// Row-major positions of their last tokens: `[M]`.
    pub next_ends: Vec<i64>,
    /// Rows by level.
    pub levels: PerLevel<LevelRows>,
    /// Number of tokens of both blocks without padding.
    pub tokens: usize,
}

/// Pads rows into a batch. Rows without a reply and rows of a flat agent are left out.
///
/// A reply that is nothing but END has no token before it: Q then reads the last token of the prompt with [`CriticReads::Last`].
pub fn collate(rows: &[&OfflineRow], pad: u32, reads: CriticReads) -> OfflineBatch {
    let rows: Vec<(&OfflineRow, Level)> = rows
        .iter()
        .filter(|row| row.counts())
        .filter_map(|&row| Some((row, Level::of(row.row.role)?)))
        .collect();
    let bootstraps = |row: &OfflineRow| !row.done && !row.next.is_empty();
    let mut batch = OfflineBatch {
        block: Block::pad(rows.iter().map(|(row, _)| row.row.ids.as_slice()), pad),
        next: Block::pad(
            rows.iter().filter(|(row, _)| bootstraps(row)).map(|(row, _)| row.next.as_slice()),
            pad,
        ),
        ..OfflineBatch::default()
    };
    for (index, (row, level)) in rows.into_iter().enumerate() {
        let span = row.row.replies[0];
        let first = (index * batch.block.len) as i64 + i64::from(span.start);
        let (entry, len) = (batch.positions.len() as i64, i64::from(span.len));
        batch.positions.extend(first - 1..first + len);
        batch.targets.extend(first..first + len);
        batch.before.extend(entry..entry + len);
        batch.owners.extend(std::iter::repeat_n(index as i64, span.len as usize));
        batch.lens.push(span.len as f32);
        batch.states.push(entry);
        let behind = if reads == CriticReads::Last { i64::from(row.end).min(len) } else { 0 };
        batch.actions.push(entry + len - behind);
        batch.tokens += row.row.ids.len();
        let level = &mut batch.levels[level];
        level.rows.push(index as i64);
        level.weights.push(row.row.weight);
        level.rewards.push(row.rewards.clone());
        level.dones.push(!bootstraps(row));
        level.imitated.push(row.imitated);
        level.oracle.push(row.oracle);
        level.next.push(if bootstraps(row) { batch.next_ends.len() as i64 } else { 0 });
        if bootstraps(row) {
            batch.next_ends.push((batch.next_ends.len() * batch.next.len + row.next.len()) as i64 - 1);
            batch.tokens += row.next.len();
        }
    }
    batch
}

impl Block {
    fn pad<'a>(rows: impl Iterator<Item = &'a [u32]> + Clone, pad: u32) -> Self {
        let len = rows.clone().map(<[u32]>::len).max().unwrap_or(0);
        let mut block = Self { rows: 0, len, ids: Vec::new() };
        for row in rows {
            block.rows += 1;
            block.ids.extend(row);
            block.ids.resize(block.rows * len, pad);
        }
        block
    }
}
