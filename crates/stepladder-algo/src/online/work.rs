//! Samples, cut into the shares of workers.

use tch::{Device, Kind, Tensor};

use super::branches::{Node, passes};
use super::rows::{Chunk, chunks};
use super::samples::Sample;
use crate::ops::surrogate::Aggregate;

/// What a worker gets.
pub(crate) enum Work {
    /// Padded rows for libtorch.
    Rows(Vec<Chunk>),
    /// Passes for the CPU's own gradient.
    Branches(Vec<Vec<Node>>),
}

/// Whether the CPU's own gradient is there for a model: f32 on the CPU.
pub(crate) fn is_native(flat: &Tensor, kind: Kind) -> bool {
    flat.device() == Device::Cpu && kind == Kind::Float
}

/// Shares for at most `parts` workers, in pieces of about `tokens` tokens, padded with `pad` where they are rows.
pub(crate) fn shares(
    native: bool,
    samples: &[&Sample],
    aggregate: Aggregate,
    (tokens, pad): (usize, u32),
    parts: usize,
) -> Vec<Work> {
    if native {
        return passes(samples, aggregate, tokens, parts).into_iter().map(Work::Branches).collect();
    }
    chunks(samples, aggregate, tokens, pad, parts).into_iter().map(Work::Rows).collect()
}
