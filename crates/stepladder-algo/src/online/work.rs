//! Shards of samples for workers.

use super::branches::{Node, passes};
use super::rows::{Chunk, chunks};
use super::samples::Sample;
use crate::ops::surrogate::Aggregate;

/// Samples of one shard.
pub(crate) enum Work {
    /// Padded rows for libtorch.
    Rows(Vec<Chunk>),
    /// Passes for the CPU engine.
    Branches(Vec<Vec<Node>>),
}

/// Splits samples into shards for at most `count` workers, in passes of about `tokens` tokens; `pad` fills rows.
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
