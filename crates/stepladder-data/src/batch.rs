//! Collation of rows into batches: bucketed by length, right-padded, with one loss weight per token.

use rand::seq::SliceRandom;
use stepladder_core::Role;
use stepladder_core::seed::Rng;

use crate::rows::Row;

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

/// One reply of a batch, for metrics per role.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplyInfo {
    /// Role of the reply.
    pub role: Role,
    /// Number of reply tokens: consecutive entries of [`Batch::targets`].
    pub len: u32,
    /// Number of samples that the reply was merged from.
    pub weight: f32,
}

/// A right-padded batch. The loss is `−Σ weight · log p(id at position t | ids before t)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// Padded length.
    pub len: usize,
    /// Token ids, row-major `[rows, len]`.
    pub ids: Vec<u32>,
    /// Positions (row-major indices into `ids`) of the tokens with a loss, ascending; no target is the first token of its row.
    pub targets: Vec<i64>,
    /// Loss weight of each target.
    pub weights: Vec<f32>,
    /// Replies of the targets, in order.
    pub replies: Vec<ReplyInfo>,
    /// Number of tokens without padding.
    pub tokens: usize,
}

/// Computes the contribution of a row to the denominator of a loss: the number of its replies (row mean) or of their tokens
/// (token mean), times its weight.
pub fn mass(row: &Row, reduction: Reduction) -> f64 {
    let count = match reduction {
        Reduction::RowMean => row.replies.len() as f64,
        Reduction::TokenMean => f64::from(row.reply_tokens()),
    };
    f64::from(row.weight) * count
}

/// Pads rows into a batch. The scale of each row is 1 / (mass of all rows of its mean).
pub fn collate(rows: &[(&Row, f64)], pad: u32, reduction: Reduction) -> Batch {
    let len = rows.iter().map(|(row, _)| row.ids.len()).max().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.len() * len);
    let (mut targets, mut weights, mut replies, mut tokens) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (index, (row, scale)) in rows.iter().enumerate() {
        ids.extend(&row.ids);
        ids.resize((index + 1) * len, pad);
        tokens += row.ids.len();
        for span in &row.replies {
            let weight = match reduction {
                Reduction::RowMean => f64::from(row.weight) / f64::from(span.len),
                Reduction::TokenMean => f64::from(row.weight),
            };
            targets.extend((span.start..span.start + span.len).map(|t| (index * len) as i64 + i64::from(t)));
            weights.extend(std::iter::repeat_n((weight * scale) as f32, span.len as usize));
            replies.push(ReplyInfo { role: row.role, len: span.len, weight: row.weight });
        }
    }
    Batch { rows: rows.len(), len, ids, targets, weights, replies, tokens }
}

/// Pads rows into one batch whose weights sum to 1 (to 0 if no row has a reply).
pub fn collate_all(rows: &[&Row], pad: u32, reduction: Reduction) -> Batch {
    let total: f64 = rows.iter().map(|row| mass(row, reduction)).sum();
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    let scaled: Vec<(&Row, f64)> = rows.iter().map(|&row| (row, scale)).collect();
    collate(&scaled, pad, reduction)
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
    use crate::rows::Span;
    use proptest::prelude::*;
    use stepladder_core::seed::stream;

    fn make(prompt: usize, reply: usize, weight: f32) -> Row {
        Row {
            role: Role::Executor,
            ids: (0..(prompt + reply) as u32).collect(),
            replies: vec![Span { start: prompt as u32, len: reply as u32 }],
            weight,
        }
    }

    #[test]
    fn weights_follow_the_reduction() {
        let (short, long) = (make(2, 1, 1.0), make(1, 3, 1.0));
        let batch = collate_all(&[&short, &long], 9, Reduction::RowMean);
        assert_eq!(batch.ids, [0, 1, 2, 9, 0, 1, 2, 3]);
        assert_eq!(batch.targets, [2, 5, 6, 7]);
        assert_eq!(batch.weights, [0.5, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]);
        let batch = collate_all(&[&short, &long], 9, Reduction::TokenMean);
        assert_eq!(batch.weights, [0.25; 4]);
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
                let whole = collate_all(&rows.iter().collect::<Vec<_>>(), 0, reduction);
                let short = collate_all(&merged.iter().collect::<Vec<_>>(), 0, reduction);
                let copy_weight: f32 = whole.weights[..reply * copies].iter().sum();
                let one_weight: f32 = short.weights[..reply].iter().sum();
                prop_assert!((copy_weight - one_weight).abs() < 1e-5);
            }
        }
    }
}
