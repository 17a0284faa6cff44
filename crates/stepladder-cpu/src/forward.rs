//! Forward pass over the pending tokens of several rows.

use std::sync::Arc;

use stepladder_rollout::engine::{Prompt, Reply};

use super::attention::{Attention, Run};
use super::kernels::{gate, normalise, rotate};
use super::model::{Block, Model};
use super::segment::{Segment, Source, Span};

/// Number of tokens that pass through the second half of a block together.
const TOGETHER: usize = 96;

/// A prompt with its unfinished reply.
#[derive(Debug)]
pub(crate) struct Row {
    /// Index among the prompts of a call.
    pub(crate) index: usize,
    pub(crate) prompt: Prompt,
    /// Prompt and reply so far.
    pub(crate) ids: Vec<u32>,
    pub(crate) reply: Reply,
    /// Tokens with keys and values in shared segments; `own` holds those of the tokens after them.
    pub(crate) spans: Vec<Span>,
    pub(crate) own: Segment,
}

impl Row {
    /// Returns the number of tokens in `spans`.
    pub(crate) fn known(&self) -> usize {
        self.spans.iter().map(|span| span.count).sum()
    }

    /// Returns the number of tokens without keys and values.
    pub(crate) fn pending(&self) -> usize {
        self.ids.len() - self.known() - self.own.tokens()
    }

    /// Moves the tokens of `own` to a segment that other rows may read; the new `own` has this capacity.
    pub(crate) fn freeze(&mut self, capacity: usize) {
        let count = self.own.tokens();
        if count > 0 {
            let next = Segment::new(self.own.shape(), capacity);
            let own = std::mem::replace(&mut self.own, next);
            self.spans.push(Span { source: Source::Kept(Arc::new(own)), start: 0, count });
        }
    }
}

/// Scratch memory of a pass, reused by the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Residual stream `[tokens, stride]`.
    x: Vec<f32>,
    /// Normalised vectors `[tokens, stride]`.
    normal: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    gates: Vec<f32>,
    scores: Vec<f32>,
    logits: Vec<f32>,
    weights: Vec<f32>,
}

/// Returns `len` elements of the buffer with unspecified values; grows it where needed.
fn resized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Pending tokens of a row: index of the first among those of the pass, their number, and the number of tokens before them.
#[derive(Debug, Clone, Copy)]
struct Pending {
    first: usize,
    count: usize,
    before: usize,
}

impl Model {
    /// Computes the pending tokens of all rows, at least one each, and returns the result of `use_logits` for each row.
    /// `use_logits` gets the logits `[vocab]` after the row's last token, and scratch memory of that size.
    ///
    /// A row may read tokens that a row before it computes in the same pass ([`Source::Row`]).
    pub(crate) fn forward<T>(
        &self,
        rows: &mut [Row],
        scratch: &mut Scratch,
        mut use_logits: impl FnMut(&mut Row, &[f32], &mut [f32]) -> T,
    ) -> Vec<T> {
        let mut pending = Vec::with_capacity(rows.len());
        let mut tokens = 0;
        for row in rows.iter_mut() {
            let count = row.pending();
            pending.push(Pending { first: tokens, count, before: row.ids.len() - count });
            row.own.grow(count);
            tokens += count;
        }
        let stride = self.stride;
        let x = resized(&mut scratch.x, tokens * stride);
        for (row, new) in rows.iter().zip(&pending) {
            let ids = &row.ids[new.before..];
            for (x, &id) in x[new.first * stride..].chunks_exact_mut(stride).zip(ids) {
                x.copy_from_slice(&self.table[id as usize * stride..][..stride]);
            }
        }
        for (layer, block) in self.blocks.iter().enumerate() {
            let last = layer + 1 == self.blocks.len();
            let tokens = if last { rows.len() } else { tokens };
            self.attend(layer, block, rows, &pending, last, scratch);
            self.transform(block, tokens, scratch);
        }
        let x = &scratch.x[..rows.len() * stride];
        let normal = &mut scratch.normal[..rows.len() * stride];
        normalise(self.arch, x, self.shape.width, stride, self.shape.norm_eps, normal);
        let logits = resized(&mut scratch.logits, rows.len() * self.head.stride());
        self.head.apply(normal, stride, rows.len(), logits, false);
        let weights = resized(&mut scratch.weights, self.shape.vocab);
        rows.iter_mut()
            .zip(logits.chunks_exact(self.head.stride()))
            .map(|(row, logits)| use_logits(row, &logits[..self.shape.vocab], weights))
            .collect()
    }

    /// `attended` ← attention of a block. Nothing after the last attention mixes positions, and only the last token of each
    /// row needs logits, so from then on `x` holds these tokens only.
    fn attend(
        &self,
        layer: usize,
        block: &Block,
        rows: &mut [Row],
        pending: &[Pending],
        last: bool,
        scratch: &mut Scratch,
    ) {
        let (stride, head) = (self.stride, self.kv.head);
        let tokens = pending.last().map_or(0, |new| new.first + new.count);
        let x = &mut scratch.x[..tokens * stride];
        let normal = resized(&mut scratch.normal, tokens * stride);
        normalise(self.arch, x, self.shape.width, stride, self.shape.norm_eps, normal);
        let line = block.qkv.stride();
        let qkv = resized(&mut scratch.qkv, tokens * line);
        block.qkv.apply(normal, stride, tokens, qkv, false);
        let queries = self.shape.heads * head;
        let keys = queries + self.kv.heads * head;
        for (row, new) in rows.iter_mut().zip(pending) {
            let qkv = &mut qkv[new.first * line..][..new.count * line];
            let heads = self.shape.heads + self.kv.heads;
            rotate(self.arch, qkv, line, heads, &self.rotations[new.before * head..], head);
            let first = row.own.tokens() - new.count;
            for (at, qkv) in qkv.chunks_exact(line).enumerate() {
                row.own.write(layer, first + at, &qkv[queries..keys], &qkv[keys..][..keys - queries]);
            }
        }
        let out = resized(&mut scratch.attended, tokens * queries);
        let mut runs: Vec<Run<'_>> = Vec::new();
        for (at, (row, new)) in rows.iter().zip(pending).enumerate() {
            runs.clear();
            runs.extend(row.spans.iter().map(|span| match &span.source {
                Source::Kept(segment) => (&**segment, span.start, span.count),
                Source::Row(other) => (&rows[*other].own, span.start, span.count),
            }));
            runs.push((&row.own, 0, row.own.tokens()));
            let skipped = if last { new.count - 1 } else { 0 };
            let to = if last { at } else { new.first };
            Attention {
                shape: self.kv,
                heads: self.shape.heads,
                layer,
                runs: &runs,
                queries: &qkv[(new.first + skipped) * line..],
                stride: line,
                seen: new.before + skipped + 1,
                count: new.count - skipped,
                out: &mut out[to * queries..],
                out_stride: queries,
                scores: &mut scratch.scores,
            }
            .compute(self.arch);
            if last {
                let from = (new.first + skipped) * stride;
                x.copy_within(from..from + stride, at * stride);
            }
        }
    }

    /// x ← x + W_out a, then x ← x + W_down (silu(gate) ⊙ up), some tokens at a time so that intermediate results stay in the
    /// CPU cache.
    fn transform(&self, block: &Block, tokens: usize, scratch: &mut Scratch) {
        let (stride, width, line) = (self.stride, self.shape.width, block.gate_up.stride());
        let queries = self.shape.heads * self.shape.head_dim;
        let eps = self.shape.norm_eps;
        let gates = resized(&mut scratch.gates, TOGETHER * line);
        let normal = &mut scratch.normal[..TOGETHER.min(tokens) * stride];
        let x = scratch.x[..tokens * stride].chunks_mut(TOGETHER * stride);
        for (x, attended) in x.zip(scratch.attended.chunks(TOGETHER * queries)) {
            let tokens = x.len() / stride;
            block.out.apply(attended, queries, tokens, x, true);
            normalise(self.arch, x, width, stride, eps, normal);
            block.gate_up.apply(normal, stride, tokens, gates, false);
            gate(self.arch, &mut gates[..tokens * line], self.shape.ffn, line);
            block.down.apply(gates, line, tokens, x, true);
        }
    }
}
