//! Samples, cut into the shards of workers.

use super::branches::{Node, passes};
use super::rows::{Chunk, chunks};
use super::samples::Sample;
use crate::ops::surrogate::Aggregate;

/// One shard.
pub(crate) enum Work {
    /// Padded rows for libtorch.
    Rows(Vec<Chunk>),
    /// Passes for the CPU's own gradient.
    Branches(Vec<Vec<Node>>),
}

/// Shards for at most `count` workers, in pieces of about `tokens` tokens, padded with `pad` where they are rows.
pub(crate) fn shards(
    native: bool,
    samples: &[&Sample],
    aggregate: Aggregate,
    (tokens, pad): (usize, u32),
    count: usize,
) -> Vec<Work> {
    if native {
        return passes(samples, aggregate, tokens, count).into_iter().map(Work::Branches).collect();
    }
    chunks(samples, aggregate, tokens, pad, count).into_iter().map(Work::Rows).collect()
}
