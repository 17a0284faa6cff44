//! Mixing of the three streams (docs/spec/algorithms.md 3.6).

/// Returns the samples of row `i` of an epoch: sample `i mod len` of each level, so that shorter levels repeat in a fixed
/// pairing.
///
/// Order of levels: planner (high), executor (low), progress. `None` for a level without samples.
///
/// ```
/// use stepladder_data::mixing::{epoch_len, level_row};
/// let lens = [3, 7, 5];
/// assert_eq!(epoch_len(lens), 7);
/// assert_eq!(level_row(lens, 5), [Some(2), Some(5), Some(0)]);
/// ```
pub fn level_row(lens: [usize; 3], i: usize) -> [Option<usize>; 3] {
    lens.map(|len| (len > 0).then(|| i % len))
}

/// Returns the number of rows of an epoch: the length of the longest level.
pub fn epoch_len(lens: [usize; 3]) -> usize {
    lens.into_iter().max().unwrap_or(0)
}
