//! Assignment of rows to steps and of a step's rows to workers.

use rand::seq::SliceRandom;
use stepladder_core::Role;
use stepladder_core::seed::stream;
use stepladder_data::Level;
use stepladder_data::batch::bucket_lens;
use stepladder_data::mixing::{epoch_len, level_row};

stepladder_core::choices! {
    /// Composition of a batch.
    pub enum Mixture {
        /// Rows of all levels in their natural proportion, bucketed by length.
        Pooled = "pooled",
        /// The same number of rows of each level (docs/spec/algorithms.md 3.3, 3.6).
        Levels = "levels",
    }
}

/// Partition of the rows into batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchPlan {
    /// Composition of a batch.
    pub mixture: Mixture,
    /// Padded tokens of a batch (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a batch (mixture `levels`).
    pub batch_rows: usize,
    /// Run seed.
    pub seed: u64,
}

impl BatchPlan {
    /// Returns the indices of the rows of each step of an epoch. The result depends only on the rows' roles and lengths, the
    /// plan and the epoch.
    pub fn epoch(&self, rows: &[(Role, usize)], epoch: u64) -> Vec<Vec<usize>> {
        let mut rng = stream(self.seed, "shuffle", &[epoch]);
        match self.mixture {
            Mixture::Pooled => {
                let lens: Vec<usize> = rows.iter().map(|&(_, len)| len).collect();
                bucket_lens(&lens, self.batch_tokens, 32, &mut rng)
            }
            Mixture::Levels => {
                let levels = Level::ALL.map(|level| -> Vec<usize> {
                    (0..rows.len()).filter(|&index| rows[index].0 == level.role()).collect()
                });
                let lens = levels.each_ref().map(Vec::len);
                let mut order: Vec<usize> = (0..epoch_len(lens)).collect();
                order.shuffle(&mut rng);
                order
                    .chunks(self.batch_rows.max(1))
                    .map(|chunk| {
                        let mut group = Vec::with_capacity(3 * chunk.len());
                        for &i in chunk {
                            for (level, index) in levels.iter().zip(level_row(lens, i)) {
                                group.extend(index.map(|index| level[index]));
                            }
                        }
                        group
                    })
                    .collect()
            }
        }
    }
}

/// Splits the rows of a step into at most `count` non-empty shards of similar total length. Rows of similar length are in the
/// same shard, which reduces padding.
///
/// # Panics
/// If `count` is 0 and there are rows.
pub fn shards<T>(mut rows: Vec<T>, count: usize, len: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    rows.sort_by_key(|row| len(row));
    let total: usize = rows.iter().map(&len).sum();
    let mut shards: Vec<Vec<T>> = Vec::with_capacity(count);
    let mut used = 0;
    for row in rows {
        let wanted = (used * count / total.max(1)).min(count - 1);
        while shards.len() <= wanted {
            shards.push(Vec::new());
        }
        used += len(&row);
        if let Some(last) = shards.last_mut() {
            last.push(row);
        }
    }
    shards.retain(|shard| !shard.is_empty());
    shards
}

/// Splits rows in ascending order of length into micro-batches of at most `tokens` padded tokens. A longer row is one by itself.
pub(crate) fn micro_batches<T>(rows: Vec<T>, tokens: usize, len: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    for row in rows {
        match batches.last_mut() {
            // The last row is the longest.
            Some(batch) if (batch.len() + 1).saturating_mul(len(&row)) <= tokens => batch.push(row),
            _ => batches.push(vec![row]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_hold_at_most_the_limit() {
        let split = |tokens| micro_batches(vec![2, 3, 3, 5, 9, 9], tokens, |&len| len);
        assert_eq!(split(9), [vec![2, 3, 3], vec![5], vec![9], vec![9]]);
        assert_eq!(split(8), [vec![2, 3], vec![3], vec![5], vec![9], vec![9]]);
        assert_eq!(split(usize::MAX), [[2, 3, 3, 5, 9, 9]]);
    }
}
