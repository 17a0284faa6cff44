//! Attention of one row's new tokens to all its tokens, whose keys and values may be in several segments.
//!
//! Every query sums over its tokens in order, so its result does not depend on the segments or on the other queries of a
//! call.

use pulp::{Arch, Simd, WithSimd};

use super::kernels::exp;
use super::segment::{KvShape, Segment};

/// Consecutive tokens of a segment: first, count.
pub(crate) type Run<'a> = (&'a Segment, usize, usize);

/// Maximum number of queries that are computed together.
const TOGETHER: usize = 8;

/// Attention of one row in one layer.
pub(crate) struct Attention<'a> {
    pub(crate) shape: KvShape,
    /// Query heads.
    pub(crate) heads: usize,
    pub(crate) layer: usize,
    /// All tokens of the row.
    pub(crate) runs: &'a [Run<'a>],
    /// Queries of the last tokens: a vector that begins with `[heads, head]` every `stride` elements.
    pub(crate) queries: &'a [f32],
    pub(crate) stride: usize,
    /// Number of tokens that the first query attends to; one more for each further query.
    pub(crate) seen: usize,
    /// Number of queries.
    pub(crate) count: usize,
    /// `[count, out_stride]`; the first `heads · head` elements of each vector are written.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    /// Scratch memory, reused by the next call.
    pub(crate) scores: &'a mut Vec<f32>,
}

impl Attention<'_> {
    /// Writes softmax(q · kᵀ / √head) v to `out`.
    pub(crate) fn compute(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let queries = self.count * self.heads / self.shape.heads;
        // Keys and values need registers too.
        let most = if S::REGISTER_COUNT >= 32 { TOGETHER } else { TOGETHER / 2 };
        let needed = TOGETHER * line::<S>(self.seen + self.count - 1);
        if self.scores.len() < needed {
            self.scores.resize(needed, 0.0);
        }
        for head in 0..self.shape.heads {
            let mut from = 0;
            while from < queries {
                let together = match queries - from {
                    left if left >= most => most,
                    4.. => 4,
                    2.. => 2,
                    _ => 1,
                };
                match together {
                    8 => self.block::<S, 8>(simd, head, from),
                    4 => self.block::<S, 4>(simd, head, from),
                    2 => self.block::<S, 2>(simd, head, from),
                    _ => self.block::<S, 1>(simd, head, from),
                }
                from += together;
            }
        }
    }
}

/// Computes the stride of the scores: whole registers, and one more that may be overwritten.
fn line<S: Simd>(tokens: usize) -> usize {
    tokens.next_multiple_of(S::F32_LANES) + S::F32_LANES
}

/// Queries that share a key head and are computed together.
struct Block<'a, const ROWS: usize> {
    shape: KvShape,
    layer: usize,
    head: usize,
    runs: &'a [Run<'a>],
    queries: [&'a [f32]; ROWS],
    /// Number of tokens that each query attends to.
    seen: [usize; ROWS],
    /// Number of tokens that the last query attends to.
    most: usize,
    /// `[ROWS, line]`
    scores: &'a mut [f32],
    line: usize,
}

impl Attention<'_> {
    /// Computes the queries `from..from + ROWS` of a key head, ordered by token.
    #[inline(always)]
    fn block<S: Simd, const ROWS: usize>(&mut self, simd: S, head: usize, from: usize) {
        let (width, padded) = (self.shape.head, self.shape.padded());
        let group = self.heads / self.shape.heads;
        let tokens: [usize; ROWS] = std::array::from_fn(|row| (from + row) / group);
        let columns: [usize; ROWS] = std::array::from_fn(|row| (head * group + (from + row) % group) * width);
        let most = self.seen + tokens[ROWS - 1];
        let line = line::<S>(most);
        let mut block = Block::<ROWS> {
            shape: self.shape,
            layer: self.layer,
            head,
            runs: self.runs,
            queries: std::array::from_fn(|row| {
                &self.queries[tokens[row] * self.stride + columns[row]..][..width]
            }),
            seen: tokens.map(|token| self.seen + token),
            most,
            scores: &mut self.scores[..ROWS * line],
            line,
        };
        block.score::<S>(simd);
        let inverse_sums = block.softmax::<S>(simd, 1.0 / (width as f32).sqrt());
        let mut column = 0;
        while column < padded {
            let two = column + 2 * S::F32_LANES <= padded;
            let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
            if two {
                sums = block.gather::<S, 2>(simd, column);
            } else {
                let one = block.gather::<S, 1>(simd, column);
                for row in 0..ROWS {
                    sums[row][0] = one[row][0];
                }
            }
            for row in 0..ROWS {
                let until = width.min(column + S::F32_LANES * (1 + usize::from(two)));
                let first = tokens[row] * self.out_stride + columns[row];
                let out = &mut self.out[first + column..first + until];
                let (whole, rest) = S::as_mut_simd_f32s(out);
                let inverse_sum = simd.splat_f32s(inverse_sums[row]);
                for (out, &sum) in whole.iter_mut().zip(&sums[row]) {
                    *out = simd.mul_f32s(sum, inverse_sum);
                }
                if !rest.is_empty() {
                    simd.partial_store_f32s(rest, simd.mul_f32s(sums[row][whole.len()], inverse_sum));
                }
            }
            column += S::F32_LANES * (1 + usize::from(two));
        }
    }
}

impl<const ROWS: usize> Block<'_, ROWS> {
    /// scores ← q · k for every query and token.
    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S) {
        let lanes = S::F32_LANES;
        let queries: [&[f32]; ROWS] = std::array::from_fn(|row| &self.queries[row][..self.shape.head]);
        let mut at = 0;
        for &(segment, start, count) in self.runs {
            let end = start + count.min(self.most - at);
            let mut token = start;
            while token < end {
                let (keys, _) = segment.block(self.layer, self.head, token / lanes);
                let (keys, _) = S::as_simd_f32s(keys);
                let mut sums = [simd.splat_f32s(0.0); ROWS];
                for (place, &key) in keys[..self.shape.head].iter().enumerate() {
                    for row in 0..ROWS {
                        sums[row] = simd.mul_add_e_f32s(simd.splat_f32s(queries[row][place]), key, sums[row]);
                    }
                }
                let first = token % lanes;
                for (row, &sum) in sums.iter().enumerate() {
                    let sum = if first == 0 { sum } else { simd.rotate_left_f32s(sum, first) };
                    // The next block overwrites the elements after the tokens of this one.
                    let (out, _) = S::as_mut_simd_f32s(&mut self.scores[row * self.line + at..][..lanes]);
                    out[0] = sum;
                }
                let found = (lanes - first).min(end - token);
                token += found;
                at += found;
            }
            if at == self.most {
                break;
            }
        }
    }

    /// scores ← e^{scale (score - max)} for the tokens of each query, 0 after them; returns 1 / Σ of each query.
    #[inline(always)]
    fn softmax<S: Simd>(&mut self, simd: S, scale: f32) -> [f32; ROWS] {
        let (scale, lowest) = (simd.splat_f32s(scale), simd.splat_f32s(f32::NEG_INFINITY));
        let mut inverse_sums = [0f32; ROWS];
        for (row, inverse_sum) in inverse_sums.iter_mut().enumerate() {
            let (scores, _) = S::as_mut_simd_f32s(&mut self.scores[row * self.line..][..self.line]);
            let (whole, rest) = (self.seen[row] / S::F32_LANES, self.seen[row] % S::F32_LANES);
            let visible = simd.mask_between_m32s(0, rest as u32).mask();
            let (scores, hidden) = scores.split_at_mut(whole + usize::from(rest > 0));
            if rest > 0 {
                scores[whole] = simd.select_f32s(visible, scores[whole], lowest);
            }
            let mut most = lowest;
            for &score in scores.iter() {
                most = simd.max_f32s(most, score);
            }
            let most = simd.splat_f32s(simd.reduce_max_f32s(most));
            for score in scores.iter_mut() {
                *score = exp(simd, simd.mul_f32s(simd.sub_f32s(*score, most), scale));
            }
            if rest > 0 {
                scores[whole] = simd.select_f32s(visible, scores[whole], simd.splat_f32s(0.0));
            }
            let mut sum = simd.splat_f32s(0.0);
            for &score in scores.iter() {
                sum = simd.add_f32s(sum, score);
            }
            *inverse_sum = 1.0 / simd.reduce_sum_f32s(sum);
            for score in hidden {
                *score = simd.splat_f32s(0.0);
            }
        }
        inverse_sums
    }

    /// Computes Σ score · v over the tokens, for `ACROSS` registers of a head's values from `column` on.
    #[inline(always)]
    fn gather<S: Simd, const ACROSS: usize>(&self, simd: S, column: usize) -> [[S::f32s; ACROSS]; ROWS] {
        let (lanes, padded) = (S::F32_LANES, self.shape.padded());
        let mut sums = [[simd.splat_f32s(0.0); ACROSS]; ROWS];
        let mut at = 0;
        for &(segment, start, count) in self.runs {
            let end = start + count.min(self.most - at);
            let mut token = start;
            while token < end {
                let (_, values) = segment.block(self.layer, self.head, token / lanes);
                let first = token % lanes;
                let found = (lanes - first).min(end - token);
                let scores: [&[f32]; ROWS] =
                    std::array::from_fn(|row| &self.scores[row * self.line + at..][..found]);
                for place in 0..found {
                    let values = &values[(first + place) * padded + column..][..ACROSS * lanes];
                    let (values, _) = S::as_simd_f32s(values);
                    for row in 0..ROWS {
                        let score = simd.splat_f32s(scores[row][place]);
                        for across in 0..ACROSS {
                            sums[row][across] = simd.mul_add_e_f32s(score, values[across], sums[row][across]);
                        }
                    }
                }
                token += found;
                at += found;
            }
            if at == self.most {
                break;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::lanes;
    use crate::testing::archs;
    use proptest::prelude::*;

    /// A row of tokens in pieces and `new` tokens, with its heads.
    #[derive(Debug, Clone)]
    struct Case {
        pieces: Vec<(usize, usize, usize)>,
        new: usize,
        kv_heads: usize,
        group: usize,
        head: usize,
    }

    fn case() -> impl Strategy<Value = Case> {
        let piece = (0usize..20, 1usize..40, 0usize..20);
        let pieces = prop::collection::vec(piece, 0..4);
        (pieces, 1usize..24, 1usize..4, 1usize..4, 1usize..25).prop_map(
            |(pieces, new, kv_heads, group, half)| Case { pieces, new, kv_heads, group, head: 2 * half },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Agrees with a naive loop for any segments; equals, to the last bit, the result of one segment and one query at a
        /// time.
        #[test]
        fn attention_is_right_for_every_query(case in case()) {
            for arch in archs() {
                check(arch, &case)?;
            }
        }
    }

    fn check(arch: Arch, case: &Case) -> Result<(), TestCaseError> {
        let Case { pieces, new, kv_heads, group, head } = case.clone();
        let shape = KvShape { layers: 2, heads: kv_heads, head, lanes: lanes(arch) };
        let (layer, heads, width) = (1, kv_heads * group, kv_heads * head);
        let known: usize = pieces.iter().map(|(_, count, _)| count).sum();
        let all = known + new;
        let number = |at: usize, salt: usize| (((at + 7) * (salt + 13) * 7919 % 1009) as f32 - 504.0) / 300.0;
        let keys: Vec<f32> = (0..all * width).map(|at| number(at, 1)).collect();
        let values: Vec<f32> = (0..all * width).map(|at| number(at, 2)).collect();
        let stride = heads * head + 3;
        let queries: Vec<f32> = (0..new * stride).map(|at| number(at, 3)).collect();
        let write = |segment: &mut Segment, at: usize, token: usize| {
            segment.write(layer, at, &keys[token * width..][..width], &values[token * width..][..width]);
        };
        // Each piece is surrounded by tokens of other rows.
        let mut segments = Vec::new();
        let mut token = 0;
        for &(before, count, after) in &pieces {
            let mut segment = Segment::new(shape, before + count + after);
            segment.grow(before + count + after);
            for at in 0..count {
                write(&mut segment, before + at, token + at);
            }
            for other in (0..before).chain(before + count..before + count + after) {
                segment.write(layer, other, &vec![1e9; width], &vec![-1e9; width]);
            }
            token += count;
            segments.push((segment, before, count));
        }
        let (mut own, mut whole) = (Segment::new(shape, 1), Segment::new(shape, all));
        for at in 0..new {
            own.grow(1);
            write(&mut own, at, known + at);
        }
        whole.grow(all);
        (0..all).for_each(|token| write(&mut whole, token, token));
        let mut runs: Vec<Run<'_>> = segments.iter().map(|(s, start, count)| (s, *start, *count)).collect();
        runs.push((&own, 0, new));
        let compute = |runs: &[Run<'_>], first: usize, count: usize| {
            let mut out = vec![f32::NAN; count * heads * head];
            Attention {
                shape,
                heads,
                layer,
                runs,
                queries: &queries[first * stride..],
                stride,
                seen: known + first + 1,
                count,
                out: &mut out,
                out_stride: heads * head,
                scores: &mut vec![f32::NAN; 7],
            }
            .compute(arch);
            out
        };
        let together = compute(&runs, 0, new);
        for query in 0..new {
            let found = &together[query * heads * head..][..heads * head];
            let alone = compute(&[(&whole, 0, known + query + 1)], query, 1);
            prop_assert_eq!(&alone[..], found);
            for (at, found) in found.chunks_exact(head).enumerate() {
                let q = &queries[query * stride + at * head..][..head];
                let of_head = |all: &'_ [f32], token: usize| -> Vec<f64> {
                    all[token * width + at / group * head..][..head].iter().map(|&x| f64::from(x)).collect()
                };
                let scores = (0..=known + query).map(|token| {
                    let k = of_head(&keys, token);
                    (q.iter().zip(k).map(|(q, k)| f64::from(*q) * k).sum::<f64>() / (head as f64).sqrt())
                        .exp()
                });
                let scores: Vec<f64> = scores.collect();
                let total: f64 = scores.iter().sum();
                for (column, &found) in found.iter().enumerate() {
                    let expected: f64 =
                        scores.iter().enumerate().map(|(token, s)| s * of_head(&values, token)[column]).sum();
                    prop_assert!((f64::from(found) - expected / total).abs() < 1e-4);
                }
            }
        }
        Ok(())
    }
}
