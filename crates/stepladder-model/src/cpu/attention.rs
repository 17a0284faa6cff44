//! Attention of one row's new tokens to all its tokens, wherever their keys and values lie.
//!
//! Every query sums over its tokens in their order, so neither the segments nor the other queries of a call change its
//! result.

use pulp::{Arch, Simd, WithSimd};

use super::kernels::exp;
use super::segment::{KvShape, Segment};

/// Consecutive tokens of a segment: first, count.
pub(crate) type Run<'a> = (&'a Segment, usize, usize);

/// Queries that are computed together at most.
const TOGETHER: usize = 8;
/// Numbers of the widest register there is.
const WIDEST: usize = 16;

/// One row of one layer.
pub(crate) struct Attention<'a> {
    pub(crate) shape: KvShape,
    /// Query heads.
    pub(crate) heads: usize,
    pub(crate) layer: usize,
    /// All tokens of the row.
    pub(crate) runs: &'a [Run<'a>],
    /// Queries of the last tokens, a row of `[heads, head]` (and more) every `stride` numbers.
    pub(crate) queries: &'a [f32],
    pub(crate) stride: usize,
    /// Tokens that the first query sees; each further one sees one more.
    pub(crate) seen: usize,
    /// How many queries.
    pub(crate) count: usize,
    /// `[count, out_stride]`; the first `heads · head` numbers of each are written.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    /// Kept between calls for its memory.
    pub(crate) scores: &'a mut Vec<f32>,
}

impl Attention<'_> {
    /// softmax(q · kᵀ / √head) v, written to `out`.
    pub(crate) fn compute(self, arch: Arch) {
        arch.dispatch(self);
    }
}

/// Queries of one block: they share a key head.
struct Queries<'a, const ROWS: usize> {
    q: [&'a [f32]; ROWS],
    /// Tokens that each sees.
    seen: [usize; ROWS],
    /// Tokens that the last sees.
    most: usize,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let group = self.heads / self.shape.heads;
        // As many queries as leave registers for what they read.
        let together = if S::REGISTER_COUNT >= 32 { TOGETHER } else { TOGETHER / 2 };
        let longest = (self.seen + self.count - 1).next_multiple_of(self.shape.lanes);
        if self.scores.len() < TOGETHER * longest {
            self.scores.resize(TOGETHER * longest, 0.0);
        }
        for head in 0..self.shape.heads {
            let all = self.count * group;
            let mut from = 0;
            while from < all {
                let left = all - from;
                let rows = if left >= together {
                    together
                } else if left >= 4 {
                    4
                } else if left >= 2 {
                    2
                } else {
                    1
                };
                match rows {
                    8 => self.block::<S, 8>(simd, head, group, from),
                    4 => self.block::<S, 4>(simd, head, group, from),
                    2 => self.block::<S, 2>(simd, head, group, from),
                    _ => self.block::<S, 1>(simd, head, group, from),
                }
                from += rows;
            }
        }
    }
}

impl Attention<'_> {
    /// Queries `from..from + ROWS` of a key head, counted token by token.
    #[inline(always)]
    fn block<S: Simd, const ROWS: usize>(&mut self, simd: S, head: usize, group: usize, from: usize) {
        let width = self.shape.head;
        let place = |row: usize| {
            let query = from + row;
            (query / group, (head * group + query % group) * width)
        };
        let queries = Queries::<ROWS> {
            q: std::array::from_fn(|row| {
                let (token, column) = place(row);
                &self.queries[token * self.stride + column..][..width]
            }),
            seen: std::array::from_fn(|row| self.seen + place(row).0),
            most: self.seen + place(ROWS - 1).0,
        };
        let line = queries.most.next_multiple_of(self.shape.lanes);
        let scores = &mut self.scores[..ROWS * line];
        score::<S, ROWS>(simd, &self.shape, self.layer, head, self.runs, &queries, scores, line);
        let mut sums = [0f32; ROWS];
        for ((scores, &seen), sum) in scores.chunks_exact_mut(line).zip(&queries.seen).zip(&mut sums) {
            *sum = soften(simd, scores, seen, 1.0 / (width as f32).sqrt());
        }
        let padded = self.shape.padded();
        let mut column = 0;
        while column < padded {
            let two = column + 2 * S::F32_LANES <= padded;
            let mut gathered = [[0f32; 2 * WIDEST]; ROWS];
            if two {
                gather::<S, ROWS, 2>(
                    simd,
                    &self.shape,
                    self.layer,
                    head,
                    self.runs,
                    scores,
                    queries.most,
                    column,
                    &mut gathered,
                );
            } else {
                gather::<S, ROWS, 1>(
                    simd,
                    &self.shape,
                    self.layer,
                    head,
                    self.runs,
                    scores,
                    queries.most,
                    column,
                    &mut gathered,
                );
            }
            let step = S::F32_LANES * (1 + usize::from(two));
            let count = step.min(width - column);
            for row in 0..ROWS {
                let (token, first) = place(row);
                let out = &mut self.out[token * self.out_stride + first + column..][..count];
                for (out, value) in out.iter_mut().zip(&gathered[row]) {
                    *out = value / sums[row];
                }
            }
            column += step;
        }
    }
}

/// q · k of every query and token, `[ROWS, line]`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn score<S: Simd, const ROWS: usize>(
    simd: S,
    shape: &KvShape,
    layer: usize,
    head: usize,
    runs: &[Run<'_>],
    queries: &Queries<'_, ROWS>,
    scores: &mut [f32],
    line: usize,
) {
    let lanes = S::F32_LANES;
    let mut at = 0;
    for &(segment, start, count) in runs {
        let end = start + count.min(queries.most - at);
        let mut token = start;
        while token < end {
            let (keys, _) = segment.block(layer, head, token / lanes);
            let (keys, _) = S::as_simd_f32s(keys);
            let keys = &keys[..shape.head];
            let q: [&[f32]; ROWS] = std::array::from_fn(|row| &queries.q[row][..shape.head]);
            let mut sums = [simd.splat_f32s(0.0); ROWS];
            for (place, &key) in keys.iter().enumerate() {
                for row in 0..ROWS {
                    sums[row] = simd.mul_add_e_f32s(simd.splat_f32s(q[row][place]), key, sums[row]);
                }
            }
            let first = token % lanes;
            let found = (lanes - first).min(end - token);
            for (row, &sum) in sums.iter().enumerate() {
                let out = &mut scores[row * line + at..][..found];
                if found == lanes {
                    simd.partial_store_f32s(out, sum);
                } else {
                    let mut all = [0f32; WIDEST];
                    simd.partial_store_f32s(&mut all[..lanes], sum);
                    out.copy_from_slice(&all[first..first + found]);
                }
            }
            token += found;
            at += found;
        }
        if at == queries.most {
            break;
        }
    }
}

/// scores ← e^{scale (score - max)} for the tokens seen, 0 behind them; returns their sum.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32], seen: usize, scale: f32) -> f32 {
    scores[seen..].fill(f32::NEG_INFINITY);
    let used = seen.next_multiple_of(S::F32_LANES);
    let (whole, _) = S::as_mut_simd_f32s(&mut scores[..used]);
    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
    for &score in whole.iter() {
        most = simd.max_f32s(most, score);
    }
    let (most, scale) = (simd.splat_f32s(simd.reduce_max_f32s(most)), simd.splat_f32s(scale));
    for score in whole.iter_mut() {
        *score = exp(simd, simd.mul_f32s(simd.sub_f32s(*score, most), scale));
    }
    scores[seen..].fill(0.0);
    let (whole, _) = S::as_simd_f32s(&scores[..used]);
    let mut sum = simd.splat_f32s(0.0);
    for &score in whole {
        sum = simd.add_f32s(sum, score);
    }
    simd.reduce_sum_f32s(sum)
}

/// Σ weight · v over the tokens, for `ACROSS` registers of a head's values from `column` on.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn gather<S: Simd, const ROWS: usize, const ACROSS: usize>(
    simd: S,
    shape: &KvShape,
    layer: usize,
    head: usize,
    runs: &[Run<'_>],
    scores: &[f32],
    most: usize,
    column: usize,
    out: &mut [[f32; 2 * WIDEST]; ROWS],
) {
    let lanes = S::F32_LANES;
    let (line, padded) = (scores.len() / ROWS, shape.padded());
    let mut sums = [[simd.splat_f32s(0.0); ACROSS]; ROWS];
    let mut at = 0;
    for &(segment, start, count) in runs {
        let end = start + count.min(most - at);
        let mut token = start;
        while token < end {
            let (_, values) = segment.block(layer, head, token / lanes);
            let first = token % lanes;
            let found = (lanes - first).min(end - token);
            let weights: [&[f32]; ROWS] = std::array::from_fn(|row| &scores[row * line + at..][..found]);
            for (place, values) in values.chunks_exact(padded).skip(first).take(found).enumerate() {
                let (values, _) = S::as_simd_f32s(&values[column..column + ACROSS * lanes]);
                for across in 0..ACROSS {
                    for row in 0..ROWS {
                        let sum = &mut sums[row][across];
                        *sum =
                            simd.mul_add_e_f32s(simd.splat_f32s(weights[row][place]), values[across], *sum);
                    }
                }
            }
            token += found;
            at += found;
        }
        if at == most {
            break;
        }
    }
    for (out, sums) in out.iter_mut().zip(&sums) {
        let (out, _) = S::as_mut_simd_f32s(out);
        out[..ACROSS].copy_from_slice(sums);
    }
}
