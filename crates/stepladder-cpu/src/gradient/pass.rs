//! Forward pass over the tokens of a plan: log-probabilities, and the activations for the backward pass.
//!
//! Operations on single positions run for some tokens at a time, so that intermediate results stay in the CPU cache.

use super::attention::{Forward, Layer};
use super::kernels::{Gate, Normalise, NormaliseBack};
use super::local::{Local, Softmax};
use super::matrices::{Block, Packed};
use super::plan::{Piece, Plan};
use crate::kernels::{largest_and_log_sum, rotate};
use crate::model::row_stride;
use crate::product::Aligned;
use crate::weights::Shape;

/// Number of positions that pass through products together.
pub(super) const TOGETHER: usize = 96;

/// Activations of a layer for the backward pass.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Inputs of keys and values, `[tokens, stride]`, and the scales of their normalisation.
    pub(super) normal: Aligned,
    pub(super) scales: Aligned,
    /// Inputs of queries; only in the last layer, where only readers have queries.
    pub(super) chosen: Aligned,
    pub(super) chosen_scales: Aligned,
    pub(super) queries: Aligned,
    pub(super) keys_values: Aligned,
    pub(super) softmax: Vec<Softmax>,
    pub(super) attended: Aligned,
    /// Inputs of gates and ups, `[queries, stride]`.
    pub(super) inner: Aligned,
    pub(super) inner_scales: Aligned,
    pub(super) gates: Aligned,
}

/// Memory of a pass, reused by the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) layers: Vec<Kept>,
    /// Residual stream; in the backward pass its gradient: `[tokens, stride]`.
    pub(super) x: Aligned,
    pub(super) spread: Aligned,
    /// Last-layer vectors of the readers, their scales, logits, and ln Σ e^logit.
    pub(super) normal: Aligned,
    pub(super) scales: Aligned,
    pub(super) logits: Aligned,
    pub(super) log_sums: Vec<f32>,
    /// Σ d of the targets of each reader.
    pub(super) sums: Vec<f32>,
    /// Activations of at most [`TOGETHER`] positions.
    pub(super) gated: Aligned,
    pub(super) dgates: Aligned,
    pub(super) dnormal: Aligned,
    pub(super) dlogits: Aligned,
    pub(super) dattended: Aligned,
    pub(super) dqueries: Aligned,
    pub(super) dkeys_values: Aligned,
    pub(super) local: Local,
}

/// Splits `0..count` into ranges of at most [`TOGETHER`].
pub(super) fn chunks(count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..count).step_by(TOGETHER).map(move |from| from..count.min(from + TOGETHER))
}

impl Packed {
    fn normalise(&self, x: &[f32], out: &mut [f32], scales: &mut [f32]) {
        let (Shape { width, norm_eps: eps, .. }, stride) = (self.shape, self.stride);
        self.arch.dispatch(Normalise { x, width, stride, eps, out, scales });
    }

    pub(super) fn normalise_back(&self, dn: &[f32], n: &[f32], scales: &[f32], dx: &mut [f32]) {
        let (width, stride) = (self.shape.width, self.stride);
        self.arch.dispatch(NormaliseBack { dn, n, scales, width, stride, dx });
    }

    pub(super) fn rotate(
        &self,
        x: &mut [f32],
        stride: usize,
        heads: usize,
        pieces: &[Piece],
        rotations: &[f32],
    ) {
        let head_dim = self.shape.head_dim;
        for &Piece { first, count, position } in pieces {
            let x = &mut x[first * stride..(first + count) * stride];
            rotate(self.arch, x, stride, heads, &rotations[position * head_dim..], head_dim);
        }
    }

    /// Returns the stride of vectors of `ffn` elements.
    pub(super) fn ffn_stride(&self) -> usize {
        row_stride(self.arch, self.shape.ffn)
    }

    /// Computes the log-probabilities of the targets. Unless the activations are `kept`, all layers share one memory.
    pub(crate) fn forward(&self, plan: &Plan, memory: &mut Memory, kept: bool) -> Vec<f32> {
        self.read(plan, memory, kept);
        let normal = memory.normal.resized(plan.read * self.stride);
        let line = self.head.stride();
        let logits = memory.logits.resized(plan.read * line);
        self.head.apply(normal, self.stride, plan.read, logits, false);
        memory.log_sums.clear();
        memory.log_sums.extend(logits.chunks_exact(line).map(|logits| {
            let (largest, log_sum) = largest_and_log_sum(self.arch, &logits[..self.shape.vocab]);
            largest + log_sum
        }));
        let targets = plan.targets.iter();
        targets
            .map(|target| logits[target.reader * line + target.id as usize] - memory.log_sums[target.reader])
            .collect()
    }

    /// Computes the normalised last-layer vectors, and returns that of each target's reader, in order.
    pub(crate) fn hidden(&self, plan: &Plan, memory: &mut Memory, kept: bool) -> Vec<f32> {
        self.read(plan, memory, kept);
        let normal = memory.normal.resized(plan.read * self.stride);
        let of = |reader: usize| &normal[reader * self.stride..][..self.shape.width];
        plan.targets.iter().flat_map(|target| of(target.reader)).copied().collect()
    }

    /// Computes the pass up to the normalised last-layer vectors of the readers.
    fn read(&self, plan: &Plan, memory: &mut Memory, kept: bool) {
        let (stride, tokens) = (self.stride, plan.tokens());
        let layers = self.blocks.len();
        memory.layers.resize_with(memory.layers.len().max(if kept { layers } else { 1 }), Kept::default);
        let x = memory.x.resized(tokens * stride);
        for (x, &id) in x.chunks_exact_mut(stride).zip(&plan.ids) {
            x.copy_from_slice(&self.table[id as usize * stride..][..stride]);
        }
        for (at, block) in self.blocks.iter().enumerate() {
            let layer = &mut memory.layers[if kept { at } else { 0 }];
            self.attend(block, plan, at + 1 == layers, x, layer, &mut memory.local);
            let count = if at + 1 == layers { plan.read } else { tokens };
            self.transform(block, count, x, layer, &mut memory.gated);
        }
        let (normal, scales) = (memory.normal.resized(plan.read * stride), memory.scales.resized(plan.read));
        self.normalise(&x[..plan.read * stride], normal, scales);
    }

    /// Computes the attention of a block, without its output matrix. After the last block's attention `x` holds the readers
    /// only.
    fn attend(
        &self,
        block: &Block,
        plan: &Plan,
        last: bool,
        x: &mut [f32],
        kept: &mut Kept,
        local: &mut Local,
    ) {
        let (stride, tokens, line) = (self.stride, plan.tokens(), block.keys_values.stride());
        let count = if last { plan.read } else { tokens };
        let (normal, scales) = (kept.normal.resized(tokens * stride), kept.scales.resized(tokens));
        let keys_values = kept.keys_values.resized(tokens * line);
        let query_stride = self.query_stride;
        let queries = kept.queries.resized(count * query_stride);
        for chunk in chunks(tokens) {
            let rows = chunk.start * stride..chunk.end * stride;
            let normal = &mut normal[rows.clone()];
            self.normalise(&x[rows.clone()], normal, &mut scales[chunk.clone()]);
            let keys_values = &mut keys_values[chunk.start * line..];
            block.keys_values.apply(normal, stride, chunk.len(), keys_values, false);
            if !last {
                let queries = &mut queries[chunk.start * query_stride..];
                block.queries.apply(normal, stride, chunk.len(), queries, false);
            }
        }
        if last {
            let chosen = kept.chosen.resized(count * stride);
            let chosen_scales = kept.chosen_scales.resized(count);
            let mut at = 0;
            for range in &plan.readers {
                let (rows, to) = (range.start * stride..range.end * stride, at * stride);
                chosen[to..to + rows.len()].copy_from_slice(&normal[rows.clone()]);
                chosen_scales[at..at + range.len()].copy_from_slice(&scales[range.clone()]);
                x.copy_within(rows, to);
                at += range.len();
            }
            block.queries.apply(chosen, stride, count, queries, false);
        }
        let pieces = if last { &plan.reader_pieces } else { &plan.pieces };
        self.rotate(queries, query_stride, self.shape.heads, pieces, &self.rotations);
        self.rotate(keys_values, line, self.shape.kv_heads, &plan.pieces, &self.rotations);
        kept.softmax.resize(count * self.shape.heads, Softmax::default());
        let out = kept.attended.resized(count * query_stride);
        let layer = self.layer(plan, last, queries, keys_values, line);
        self.arch.dispatch(Forward { layer, out, softmax: &mut kept.softmax, local });
    }

    pub(super) fn layer<'a>(
        &self,
        plan: &'a Plan,
        last: bool,
        queries: &'a [f32],
        keys_values: &'a [f32],
        line: usize,
    ) -> Layer<'a> {
        let (Shape { heads, kv_heads, head_dim, .. }, stride) = (self.shape, self.query_stride);
        Layer { plan, last, heads, kv_heads, head_dim, queries, stride, keys_values, line }
    }

    /// x ← x + W_out a, then x ← x + W_down (silu(gate) ⊙ up)
    fn transform(&self, block: &Block, count: usize, x: &mut [f32], kept: &mut Kept, gated: &mut Aligned) {
        let (stride, line, ffn_stride) = (self.stride, block.gate_up.stride(), self.ffn_stride());
        let query_stride = self.query_stride;
        let attended = kept.attended.resized(count * query_stride);
        let (inner, scales) = (kept.inner.resized(count * stride), kept.inner_scales.resized(count));
        let gates = kept.gates.resized(count * line);
        let gated = gated.resized(TOGETHER * ffn_stride);
        for chunk in chunks(count) {
            let rows = chunk.start * stride..chunk.end * stride;
            let (x, inner) = (&mut x[rows.clone()], &mut inner[rows]);
            let gates = &mut gates[chunk.start * line..chunk.end * line];
            block.out.apply(&attended[chunk.start * query_stride..], query_stride, chunk.len(), x, true);
            self.normalise(x, inner, &mut scales[chunk.clone()]);
            block.gate_up.apply(inner, stride, chunk.len(), gates, false);
            let out = &mut gated[..chunk.len() * ffn_stride];
            let (ffn, out_stride) = (self.shape.ffn, ffn_stride);
            self.arch.dispatch(Gate { x: gates, stride: line, ffn, out, out_stride });
            block.down.apply(gated, ffn_stride, chunk.len(), x, true);
        }
    }
}
