//! Samples in padded rows, for libtorch.

use stepladder_model::decoder::index;
use tch::{Device, Tensor};

use crate::online::samples::Sample;
use crate::ops::surrogate::Aggregate;
use crate::runtime::plan::shards;

/// Rows of a forward pass: token ids and reply tokens with a loss.
pub(crate) struct Chunk {
    rows: i64,
    len: i64,
    ids: Vec<u32>,
    /// Row-major indices into `ids`.
    targets: Vec<i64>,
    pub(crate) weights: Vec<f32>,
    pub(crate) old: Vec<f32>,
    pub(crate) advantage: Vec<f32>,
}

impl Chunk {
    fn collate(samples: &[(&Sample, f64)], pad: u32) -> Self {
        let len = samples.iter().map(|(sample, _)| sample.ids.len()).max().unwrap_or(0);
        let mut chunk = Self {
            rows: samples.len() as i64,
            len: len as i64,
            ids: Vec::with_capacity(samples.len() * len),
            targets: Vec::new(),
            weights: Vec::new(),
            old: Vec::new(),
            advantage: Vec::new(),
        };
        for (row, (sample, weight)) in samples.iter().enumerate() {
            let base = row * len;
            chunk.ids.extend(&sample.ids);
            chunk.ids.resize(base + len, pad);
            chunk.targets.extend((0..sample.len()).map(|token| (base + sample.start + token) as i64));
            chunk.weights.extend(std::iter::repeat_n(*weight as f32, sample.len()));
            chunk.old.extend(&sample.old);
            chunk.advantage.extend(&sample.advantage);
        }
        chunk
    }

    pub(crate) fn ids(&self, device: Device) -> Tensor {
        index(&self.ids).view([self.rows, self.len]).to_device(device)
    }

    pub(crate) fn targets(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.targets).to_device(device)
    }
}

/// Splits samples into chunks of about `tokens` padded tokens, with the weight of each token in the mean over all samples.
/// Returns one list of chunks per worker, at most `count`.
pub(crate) fn chunks(
    samples: &[&Sample],
    aggregate: Aggregate,
    tokens: usize,
    pad: u32,
    count: usize,
) -> Vec<Vec<Chunk>> {
    let replies: Vec<(usize, f64)> = samples.iter().map(|sample| (sample.len(), sample.count)).collect();
    let weighted: Vec<(&Sample, f64)> = samples.iter().copied().zip(aggregate.weights(&replies)).collect();
    let shards = shards(weighted, count, |(sample, _)| sample.ids.len());
    shards
        .into_iter()
        .map(|shard| {
            let mut chunks = Vec::new();
            let mut from = 0;
            // Rows are sorted by length, so the last row of a chunk is the longest.
            for place in 0..shard.len() {
                let rows = place + 1 - from;
                let next = shard.get(place + 1).map_or(usize::MAX, |(sample, _)| sample.ids.len());
                if next == usize::MAX || (rows + 1) * next > tokens {
                    chunks.push(Chunk::collate(&shard[from..=place], pad));
                    from = place + 1;
                }
            }
            chunks
        })
        .collect()
}
