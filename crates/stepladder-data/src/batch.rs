//! Collation of rows into batches: packed without padding, with one loss weight per target.

use rand::seq::SliceRandom;
use stepladder_core::Role;
use stepladder_core::seed::Rng;

use crate::rows::{Row, Span};
use crate::sharing::Shared;

stepladder_core::choices! {
    /// Reduction of token log-probabilities to a loss.
    pub enum Reduction {
        /// −mean over rows of the mean over a reply's tokens (docs/spec/algorithms.md 3.3): a short action has the weight of
        /// a long progress text.
        RowMean = "row_mean",
        /// −mean over all reply tokens of the batch.
        TokenMean = "token_mean",
    }
}

/// One reply of a batch, or one part of a prompt that is learnt too; for metrics per role.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplyInfo {
    /// Role of the reply.
    pub role: Role,
    /// Number of reply tokens: consecutive entries of [`Batch::targets`].
    pub len: u32,
    /// Number of samples that the reply was merged from; 0 for a part of a prompt, which the metrics leave out.
    pub weight: f32,
}

/// One row of a [`Group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRow {
    /// Number of tokens after the group's prefix.
    pub rest: usize,
    /// Number of targets: consecutive entries of [`Batch::targets`].
    pub targets: usize,
}

/// Rows that begin with the same tokens: the prefix once, then the rest of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Number of tokens that the rows share; 0 if they share none.
    pub prefix: usize,
    /// Rows, in order.
    pub rows: Vec<PackedRow>,
}

impl Group {
    /// Returns the number of tokens of the group.
    pub fn len(&self) -> usize {
        self.prefix + self.rows.iter().map(|row| row.rest).sum::<usize>()
    }

    /// Whether the group has no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A batch without padding. The loss is `−Σ weight · log p(target | tokens up to before)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Token ids of the groups.
    pub ids: Vec<u32>,
    /// Division of `ids` into groups.
    pub groups: Vec<Group>,
    /// Index in `ids` of the token before each target.
    pub before: Vec<i64>,
    /// Ids of the tokens with a loss, in the order of the rows and, in a row, of their positions.
    pub targets: Vec<u32>,
    /// Loss weight of each target.
    pub weights: Vec<f32>,
    /// Replies of the targets, in order.
    pub replies: Vec<ReplyInfo>,
    /// Number of tokens of the rows; a shared token counts once per row.
    pub tokens: usize,
}

/// Computes the contribution of a row to the denominator of a loss: the number of its replies, and one for
/// what it learns of its prompts (row mean), or of the tokens of both (token mean), times its weight.
pub fn mass(row: &Row, reduction: Reduction) -> f64 {
    let count = match reduction {
        Reduction::RowMean => (row.replies.len() + usize::from(!row.prompts.is_empty())) as f64,
        Reduction::TokenMean => f64::from(row.learnt_tokens()),
    };
    f64::from(row.weight) * count
}

/// Packs rows into a batch, without sharing. The scale of each row is 1 / (mass of all rows of its mean).
///
/// # Panics
/// If a reply starts at the first token of its row.
pub fn collate(rows: &[(&Row, f64)], reduction: Reduction) -> Batch {
    let all = (0..rows.len()).collect();
    collate_shared(rows, &[Shared { prefix: 0, rows: all }], reduction)
}

/// Packs these groups of rows into a batch.
///
/// # Panics
/// If a reply starts at the first token of its row, or a row has fewer tokens than its group shares.
pub fn collate_shared(rows: &[(&Row, f64)], groups: &[Shared], reduction: Reduction) -> Batch {
    let mut batch = Batch {
        ids: Vec::new(),
        groups: Vec::with_capacity(groups.len()),
        before: Vec::new(),
        targets: Vec::new(),
        weights: Vec::new(),
        replies: Vec::new(),
        tokens: 0,
    };
    for Shared { prefix, rows: members } in groups {
        let start = batch.ids.len();
        if let Some(&first) = members.first() {
            batch.ids.extend(&rows[first].0.ids[..*prefix]);
        }
        let packed = members.iter().map(|&member| batch.push(start, *prefix, rows[member], reduction));
        let rows = packed.collect();
        batch.groups.push(Group { prefix: *prefix, rows });
    }
    batch
}

impl Batch {
    /// Adds a row of the group at `start`.
    fn push(
        &mut self,
        start: usize,
        prefix: usize,
        (row, scale): (&Row, f64),
        reduction: Reduction,
    ) -> PackedRow {
        let own = self.ids.len();
        let begun = self.targets.len();
        self.ids.extend(&row.ids[prefix..]);
        self.tokens += row.ids.len();
        let repeated: u32 = row.prompts.iter().map(|span| span.len).sum();
        let mut learnt: Vec<(&Span, u32, f32)> =
            row.replies.iter().map(|span| (span, span.len, row.weight)).collect();
        learnt.extend(row.prompts.iter().map(|span| (span, repeated, 0.0)));
        learnt.sort_by_key(|(span, ..)| span.start);
        for (span, mean, samples) in learnt {
            let weight = match reduction {
                Reduction::RowMean => f64::from(row.weight) / f64::from(mean),
                Reduction::TokenMean => f64::from(row.weight),
            };
            for target in span.start as usize..(span.start + span.len) as usize {
                let before = target - 1;
                self.before
                    .push((if before < prefix { start + before } else { own + before - prefix }) as i64);
                self.targets.push(row.ids[target]);
            }
            self.weights.extend(std::iter::repeat_n((weight * scale) as f32, span.len as usize));
            self.replies.push(ReplyInfo { role: row.role, len: span.len, weight: samples });
        }
        PackedRow { rest: row.ids.len() - prefix, targets: self.targets.len() - begun }
    }
}

/// Packs rows into one batch whose weights sum to 1 (to 0 if no row has a reply).
///
/// # Panics
/// As [`collate`].
pub fn collate_all(rows: &[&Row], reduction: Reduction) -> Batch {
    let total: f64 = rows.iter().map(|row| mass(row, reduction)).sum();
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    let scaled: Vec<(&Row, f64)> = rows.iter().map(|&row| (row, scale)).collect();
    collate(&scaled, reduction)
}

/// Splits rows of these lengths into groups of similar length, each of at most `budget` padded tokens (a longer row forms a
/// group by itself). Returns the groups as row indices, in random order.
///
/// Shuffling first, and sorting only among the rows of about `window` groups, keeps batches random across epochs.
pub fn bucket_lens(lens: &[usize], budget: usize, window: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lens.len()).collect();
    order.shuffle(rng);
    let mean = lens.iter().sum::<usize>() / lens.len().max(1);
    let chunk = (budget / mean.max(1)).max(1) * window.max(1);
    let mut groups = Vec::new();
    for run in order.chunks_mut(chunk) {
        run.sort_by_key(|&index| lens[index]);
        let mut group: Vec<usize> = Vec::new();
        for &index in run.iter() {
            let len = lens[index];
            if !group.is_empty() && (group.len() + 1) * len > budget {
                groups.push(std::mem::take(&mut group));
            }
            group.push(index);
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups.shuffle(rng);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stepladder_core::seed::stream;

    fn make(prompt: usize, reply: usize, weight: f32) -> Row {
        Row {
            role: Role::Executor,
            ids: (0..(prompt + reply) as u32).collect(),
            replies: vec![Span { start: prompt as u32, len: reply as u32 }],
            prompts: Vec::new(),
            weight,
        }
    }

    #[test]
    fn weights_follow_the_reduction() {
        let (short, long) = (make(2, 1, 1.0), make(1, 3, 1.0));
        let batch = collate_all(&[&short, &long], Reduction::RowMean);
        assert_eq!(batch.ids, [0, 1, 2, 0, 1, 2, 3]);
        assert_eq!((batch.before, batch.targets), (vec![1, 3, 4, 5], vec![2, 1, 2, 3]));
        assert_eq!(batch.weights, [0.5, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]);
        let batch = collate_all(&[&short, &long], Reduction::TokenMean);
        assert_eq!(batch.weights, [0.25; 4]);
    }

    #[test]
    fn a_shared_prefix_is_there_once_and_predicts_for_every_row() {
        let row = |ids: &[u32], start: u32| Row {
            role: Role::Executor,
            ids: ids.to_vec(),
            replies: vec![Span { start, len: ids.len() as u32 - start }],
            prompts: Vec::new(),
            weight: 1.0,
        };
        // The first reply begins inside the prefix, the last row ends with it.
        let rows = [row(&[5, 6, 7, 8], 2), row(&[5, 6, 7, 9, 4], 4), row(&[5, 6, 7], 2), row(&[1, 2], 1)];
        let scaled: Vec<(&Row, f64)> = rows.iter().map(|row| (row, 1.0)).collect();
        let groups = [Shared { prefix: 3, rows: vec![0, 1, 2] }, Shared { prefix: 0, rows: vec![3] }];
        let batch = collate_shared(&scaled, &groups, Reduction::TokenMean);
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 4, 1, 2]);
        assert_eq!(batch.before, [1, 2, 4, 1, 6]);
        assert_eq!(batch.targets, [7, 8, 4, 7, 2]);
        let sizes: Vec<_> = batch.groups[0].rows.iter().map(|row| (row.rest, row.targets)).collect();
        assert_eq!((sizes, batch.tokens), (vec![(1, 2), (2, 1), (0, 1)], 14));
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_group_within_the_budget(
            lens in proptest::collection::vec(2usize..50, 1..200), budget in 30usize..300, seed in 0u64..9,
        ) {
            let groups = bucket_lens(&lens, budget, 4, &mut stream(seed, "shuffle", &[]));
            let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lens.len()).collect::<Vec<_>>());
            for group in groups {
                let longest = group.iter().map(|&index| lens[index]).max().unwrap();
                prop_assert!(group.len() == 1 || group.len() * longest <= budget);
            }
        }

        #[test]
        fn merged_rows_weigh_what_their_copies_did(copies in 1usize..5, reply in 1usize..4) {
            let rows: Vec<Row> = std::iter::repeat_n(make(3, reply, 1.0), copies)
                .chain([make(2, 2, 1.0)]).collect();
            let merged = crate::rows::merge(rows.clone());
            prop_assert_eq!(merged.len(), 2);
            for reduction in [Reduction::RowMean, Reduction::TokenMean] {
                let whole = collate_all(&rows.iter().collect::<Vec<_>>(), reduction);
                let short = collate_all(&merged.iter().collect::<Vec<_>>(), reduction);
                let copy_weight: f32 = whole.weights[..reply * copies].iter().sum();
                let one_weight: f32 = short.weights[..reply].iter().sum();
                prop_assert!((copy_weight - one_weight).abs() < 1e-5);
            }
        }
    }
}
