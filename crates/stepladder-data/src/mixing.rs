//! How the three streams are mixed (spec/algorithms 3.6).

/// Row `i` of an epoch takes sample `i mod len` of each level, so shorter levels repeat in fixed pairing.
///
/// Order of levels: planner (high), executor (low), progress. A level without samples gives `None`.
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

/// Rows of an epoch: the longest level.
pub fn epoch_len(lens: [usize; 3]) -> usize {
    lens.into_iter().max().unwrap_or(0)
}
