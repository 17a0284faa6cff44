//! Forward and backward passes of attention over the units of a plan.
//!
//! For each unit and key head, queries, keys and values are copied into contiguous memory, so that all products are of small
//! matrices in the L1 cache. The forward pass keeps the largest score and the sum of each query; the backward pass computes
//! the softmax weights again from them.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::dense::Dense;
use super::local::{Local, Softmax, back, copy, transpose};
use super::plan::{Plan, Unit};

/// Number of rows of scores that are computed together, up to the last token that one of them attends to.
const TOGETHER: usize = 24;

/// Inputs of both directions.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) plan: &'a Plan,
    /// Whether this is the last layer, where only readers have queries.
    pub(crate) last: bool,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// `[queries, stride]`; each vector begins with `[heads, hd]`.
    pub(crate) queries: &'a [f32],
    pub(crate) stride: usize,
    /// `[tokens, line]`; each vector begins with keys `[kv_heads, hd]`, then values.
    pub(crate) keys_values: &'a [f32],
    pub(crate) line: usize,
}

/// A unit and a key head.
struct UnitHead<'a> {
    layer: Layer<'a>,
    unit: &'a Unit,
    head: usize,
    /// Index of the first key that is also a query.
    first: usize,
    keys: usize,
    group: usize,
    /// Number of rows of scores: each query has one for every query head of the key head.
    rows: usize,
    /// Stride of scores, and stride of a head's vectors (`padded`).
    scores: usize,
    padded: usize,
}

impl<'a> UnitHead<'a> {
    #[inline(always)]
    fn new<S: Simd>(layer: Layer<'a>, unit: &'a Unit, head: usize) -> Self {
        let (keys, first) = (unit.keys(), unit.first_query(layer.last));
        let group = layer.heads / layer.kv_heads;
        let scores = keys.next_multiple_of(S::F32_LANES);
        let padded = layer.head_dim.next_multiple_of(S::F32_LANES);
        Self { layer, unit, head, first, keys, group, rows: (keys - first) * group, scores, padded }
    }

    /// Returns the range of a head's key or value.
    #[inline(always)]
    fn key(&self, key: usize, value: bool) -> Range<usize> {
        let Layer { kv_heads, head_dim, line, .. } = self.layer;
        let head = self.head + if value { kv_heads } else { 0 };
        let start = self.unit.token(key) * line + head * head_dim;
        start..start + head_dim
    }

    /// Returns the range of the query of a row of scores, and the index of its head among those of all queries.
    #[inline(always)]
    fn query(&self, row: usize) -> (Range<usize>, usize) {
        let Layer { heads, head_dim, stride, last, .. } = self.layer;
        let token = self.unit.token(self.first + row / self.group);
        let place = if last { token - self.unit.shift } else { token };
        let head = self.head * self.group + row % self.group;
        let start = place * stride + head * head_dim;
        (start..start + head_dim, place * heads + head)
    }

    /// Returns the keys that a row of scores attends to: those before an end, except the range of other replies' keys.
    #[inline(always)]
    fn seen(&self, row: usize) -> (usize, Range<usize>) {
        let key = self.first + row / self.group;
        let Unit { shared, own, .. } = *self.unit;
        let start = match key < shared {
            true => shared,
            false => shared + self.layer.plan.starts[self.unit.token(key)] - own,
        };
        (key + 1, shared..start)
    }

    /// Iterates over blocks of rows, each with the number of its keys.
    #[inline(always)]
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, usize)> + use<> {
        let (rows, group, first) = (self.rows, self.group, self.first);
        (0..rows).step_by(TOGETHER).map(move |from| {
            let until = rows.min(from + TOGETHER);
            (from..until, first + (until - 1) / group + 1)
        })
    }

    /// out ← left · transposedᵀ for the attended keys, where `left` is `[rows, padded]`.
    #[inline(always)]
    fn score<S: Simd>(&self, simd: S, left: &[f32], transposed: &[f32], out: &mut [f32]) {
        for (rows, seen) in self.blocks() {
            simd.vectorize(Dense {
                left: &left[rows.start * self.padded..],
                left_stride: self.padded,
                transposed: false,
                skip: 0,
                right: transposed,
                right_stride: self.scores,
                out: &mut out[rows.start * self.scores..],
                out_stride: self.scores,
                rows: rows.len(),
                inner: self.layer.head_dim,
                columns: seen.next_multiple_of(S::F32_LANES),
                add: false,
            });
        }
    }

    /// out ← scores · right, where `right` is `[keys, padded]`.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, scores: &[f32], right: &[f32], out: &mut [f32]) {
        for (rows, seen) in self.blocks() {
            simd.vectorize(Dense {
                left: &scores[rows.start * self.scores..],
                left_stride: self.scores,
                transposed: false,
                skip: 0,
                right,
                right_stride: self.padded,
                out: &mut out[rows.start * self.padded..],
                out_stride: self.padded,
                rows: rows.len(),
                inner: seen,
                columns: self.padded,
                add: false,
            });
        }
    }

    /// out ← scoresᵀ · right, where `right` is `[rows, padded]`: the sum of a key begins at its own query.
    #[inline(always)]
    fn scatter<S: Simd>(&self, simd: S, scores: &[f32], right: &[f32], out: &mut [f32]) {
        for from in (0..self.keys).step_by(TOGETHER) {
            let until = self.keys.min(from + TOGETHER);
            let row = from.saturating_sub(self.first) * self.group;
            simd.vectorize(Dense {
                left: &scores[row * self.scores..],
                left_stride: self.scores,
                transposed: true,
                skip: from,
                right: &right[row * self.padded..],
                right_stride: self.padded,
                out: &mut out[from * self.padded..],
                out_stride: self.padded,
                rows: until - from,
                inner: self.rows - row,
                columns: self.padded,
                add: false,
            });
        }
    }

    /// Copies queries, times 1/√hd, and transposed keys into contiguous memory.
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, queries: &mut [f32], keys: &mut [f32]) {
        for (row, to) in queries.chunks_exact_mut(self.padded).enumerate().take(self.rows) {
            copy(simd, &self.layer.queries[self.query(row).0], self.scale(), to);
        }
        for key in 0..self.keys {
            transpose(&self.layer.keys_values[self.key(key, false)], &mut keys[key..], self.scores);
        }
    }

    #[inline(always)]
    fn scale(&self) -> f32 {
        1.0 / (self.layer.head_dim as f32).sqrt()
    }
}

/// Forward pass: writes softmax(q · kᵀ / √hd) v to the first `heads · hd` elements of each line of `out`.
pub(crate) struct Forward<'a> {
    pub(crate) layer: Layer<'a>,
    /// `[queries, stride]`
    pub(crate) out: &'a mut [f32],
    /// `[queries, heads]`
    pub(crate) softmax: &'a mut [Softmax],
    pub(crate) local: &'a mut Local,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, out, softmax, local } = self;
        for unit in &layer.plan.units {
            for head in 0..layer.kv_heads {
                let pair = UnitHead::new::<S>(layer, unit, head);
                let queries = local.queries.resized(pair.rows * pair.padded);
                let keys = local.keys_transposed.resized(pair.layer.head_dim * pair.scores);
                let values = local.values.resized(pair.keys * pair.padded);
                let scores = local.scores.resized(pair.rows * pair.scores);
                let attended = local.out.resized(pair.rows * pair.padded);
                pair.load(simd, queries, keys);
                for (key, to) in values.chunks_exact_mut(pair.padded).enumerate() {
                    copy(simd, &layer.keys_values[pair.key(key, true)], 1.0, to);
                }
                pair.score(simd, queries, keys, scores);
                for (row, scores) in scores.chunks_exact_mut(pair.scores).enumerate() {
                    let (end, hidden) = pair.seen(row);
                    softmax[pair.query(row).1] = Softmax::of(simd, scores, end, hidden);
                }
                pair.gather(simd, scores, values, attended);
                for (row, from) in attended.chunks_exact(pair.padded).enumerate() {
                    back(simd, from, 1.0, &mut out[pair.query(row).0], false);
                }
            }
        }
    }
}

/// Backward pass: from the gradient of [`Forward`]'s output, writes the gradients of queries and adds those of keys and values.
pub(crate) struct Backward<'a> {
    pub(crate) layer: Layer<'a>,
    pub(crate) softmax: &'a [Softmax],
    /// `[queries, stride]`
    pub(crate) dout: &'a [f32],
    /// `[queries, stride]`
    pub(crate) dqueries: &'a mut [f32],
    /// `[tokens, line]`
    pub(crate) dkeys_values: &'a mut [f32],
    pub(crate) local: &'a mut Local,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, softmax, dout, dqueries, dkeys_values, local } = self;
        for unit in &layer.plan.units {
            for head in 0..layer.kv_heads {
                let pair = UnitHead::new::<S>(layer, unit, head);
                let queries = local.queries.resized(pair.rows * pair.padded);
                let douts = local.douts.resized(pair.rows * pair.padded);
                let keys = local.keys.resized(pair.keys * pair.padded);
                let keys_transposed = local.keys_transposed.resized(pair.layer.head_dim * pair.scores);
                let values_transposed = local.values_transposed.resized(pair.layer.head_dim * pair.scores);
                let weights = local.scores.resized(pair.rows * pair.scores);
                let dscores = local.dscores.resized(pair.rows * pair.scores);
                pair.load(simd, queries, keys_transposed);
                for (row, to) in douts.chunks_exact_mut(pair.padded).enumerate() {
                    copy(simd, &dout[pair.query(row).0], 1.0, to);
                }
                for (key, to) in keys.chunks_exact_mut(pair.padded).enumerate() {
                    copy(simd, &layer.keys_values[pair.key(key, false)], 1.0, to);
                    let value = &layer.keys_values[pair.key(key, true)];
                    transpose(value, &mut values_transposed[key..], pair.scores);
                }
                pair.score(simd, queries, keys_transposed, weights);
                pair.score(simd, douts, values_transposed, dscores);
                let rows = weights.chunks_exact_mut(pair.scores).zip(dscores.chunks_exact_mut(pair.scores));
                for (row, (weights, dscores)) in rows.enumerate() {
                    let (end, hidden) = pair.seen(row);
                    softmax[pair.query(row).1].weigh(simd, weights, dscores, end, hidden);
                }
                let found = local.out.resized(pair.rows.max(pair.keys) * pair.padded);
                pair.gather(simd, dscores, keys, found);
                for (row, from) in found.chunks_exact(pair.padded).enumerate().take(pair.rows) {
                    back(simd, from, pair.scale(), &mut dqueries[pair.query(row).0], false);
                }
                for (value, scores, right) in [(false, &*dscores, &*queries), (true, &*weights, &*douts)] {
                    pair.scatter(simd, scores, right, found);
                    for (key, from) in found.chunks_exact(pair.padded).enumerate().take(pair.keys) {
                        back(simd, from, 1.0, &mut dkeys_values[pair.key(key, value)], true);
                    }
                }
            }
        }
    }
}
