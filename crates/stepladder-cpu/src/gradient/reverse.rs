//! Backward pass: from gradients of log-probabilities to those of all matrices.

use super::attention::Backward;
use super::kernels::{GateBack, add};
use super::matrices::{Block, Packed};
use super::pass::{Kept, Memory, TOGETHER, chunks};
use super::plan::Plan;
use crate::kernels::scaled_exp;

impl Packed {
    /// Adds the gradients of all matrices for `d`, the gradients of the log-probabilities of the last pass with kept
    /// activations.
    pub(crate) fn backward(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        self.prepare();
        self.head_back(plan, memory, d);
        self.blocks_back(plan, memory);
    }

    /// Adds the gradients of all matrices for `d`, the gradients of the vectors of [`Packed::hidden`].
    pub(crate) fn backward_hidden(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        self.prepare();
        let stride = self.stride;
        let dnormal = memory.spread.resized(plan.read * stride);
        dnormal.fill(0.0);
        for (target, d) in plan.targets.iter().zip(d.chunks_exact(self.shape.width)) {
            for (sum, d) in dnormal[target.reader * stride..].iter_mut().zip(d) {
                *sum += d;
            }
        }
        let (normal, scales) = (memory.normal.resized(plan.read * stride), memory.scales.resized(plan.read));
        let x = &mut memory.x.resized(plan.tokens() * stride)[..plan.read * stride];
        x.fill(0.0);
        self.normalise_back(dnormal, normal, scales, x);
        self.blocks_back(plan, memory);
    }

    fn blocks_back(&mut self, plan: &Plan, memory: &mut Memory) {
        let (stride, tokens) = (self.stride, plan.tokens());
        let mut blocks = std::mem::take(&mut self.blocks);
        let mut layers = std::mem::take(&mut memory.layers);
        let mut last = true;
        for (block, kept) in blocks.iter_mut().zip(&mut layers).rev() {
            let count = if last { plan.read } else { tokens };
            self.transform_back(block, count, kept, memory);
            self.attend_back(block, plan, last, kept, memory);
            last = false;
        }
        (self.blocks, memory.layers) = (blocks, layers);
        for (x, &id) in memory.x.resized(tokens * stride).chunks_exact(stride).zip(&plan.ids) {
            add(self.arch, x, &mut self.table_gradient[id as usize * stride..][..stride]);
        }
    }

    /// Backward pass from the log-probabilities to the residual stream after the last block.
    fn head_back(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        let (stride, line) = (self.stride, self.head.stride());
        let x = memory.x.resized(plan.tokens() * stride);
        x[..plan.read * stride].fill(0.0);
        let (normal, scales) = (memory.normal.resized(plan.read * stride), memory.scales.resized(plan.read));
        let logits = memory.logits.resized(plan.read * line);
        let dlogits = memory.dlogits.resized(TOGETHER * line);
        let dnormal = memory.dnormal.resized(TOGETHER * stride);
        // Replies to one prompt share the reader of their first tokens, so targets are not in the order of readers.
        let sums = &mut memory.sums;
        sums.clear();
        sums.resize(plan.read, 0.0);
        let mut order: Vec<usize> = (0..plan.targets.len()).collect();
        order.sort_by_key(|&target| plan.targets[target].reader);
        plan.targets.iter().zip(d).for_each(|(target, &d)| sums[target.reader] += d);
        let mut order = order.into_iter().peekable();
        for chunk in chunks(plan.read) {
            for reader in chunk.clone() {
                let dlogits = &mut dlogits[(reader - chunk.start) * line..][..self.shape.vocab];
                let logits = &logits[reader * line..][..self.shape.vocab];
                scaled_exp(self.arch, logits, memory.log_sums[reader], -sums[reader], dlogits);
            }
            while let Some(target) = order.next_if(|&target| plan.targets[target].reader < chunk.end) {
                let place = plan.targets[target];
                dlogits[(place.reader - chunk.start) * line + place.id as usize] += d[target];
            }
            let rows = chunk.start * stride..chunk.end * stride;
            self.head.collect(dlogits, &normal[rows.clone()], stride, chunk.len());
            self.head.pull(dlogits, chunk.len(), dnormal);
            self.normalise_back(dnormal, &normal[rows.clone()], &scales[chunk], &mut x[rows]);
        }
    }

    /// Backward pass of the second half of a block and of its output matrix, to the gradient of the attention's result.
    fn transform_back(&self, block: &mut Block, count: usize, kept: &mut Kept, memory: &mut Memory) {
        let (stride, line, ffn_stride) = (self.stride, block.gate_up.stride(), self.ffn_stride());
        let x = memory.x.resized(count * stride);
        let query_stride = self.query_stride;
        let attended = kept.attended.resized(count * query_stride);
        let (inner, scales) = (kept.inner.resized(count * stride), kept.inner_scales.resized(count));
        let gates = kept.gates.resized(count * line);
        let (gated, dgates) =
            (memory.gated.resized(TOGETHER * ffn_stride), memory.dgates.resized(TOGETHER * line));
        let dnormal = memory.dnormal.resized(TOGETHER * stride);
        let dattended = memory.dattended.resized(count * query_stride);
        for chunk in chunks(count) {
            let rows = chunk.start * stride..chunk.end * stride;
            let (x, inner) = (&mut x[rows.clone()], &inner[rows]);
            block.down.pull(x, chunk.len(), gated);
            self.arch.dispatch(GateBack {
                x: &gates[chunk.start * line..chunk.end * line],
                stride: line,
                ffn: self.shape.ffn,
                d: gated,
                d_stride: ffn_stride,
                dx: dgates,
            });
            block.down.collect(x, gated, ffn_stride, chunk.len());
            block.gate_up.collect(dgates, inner, stride, chunk.len());
            block.gate_up.pull(dgates, chunk.len(), dnormal);
            self.normalise_back(dnormal, inner, &scales[chunk.clone()], x);
            let of_queries = chunk.start * query_stride..chunk.end * query_stride;
            block.out.collect(x, &attended[of_queries.clone()], query_stride, chunk.len());
            block.out.pull(x, chunk.len(), &mut dattended[of_queries]);
        }
    }

    /// Backward pass of the attention of a block. Below the last block all tokens have a gradient, not only readers.
    fn attend_back(&self, block: &mut Block, plan: &Plan, last: bool, kept: &mut Kept, memory: &mut Memory) {
        let (stride, tokens, line) = (self.stride, plan.tokens(), block.keys_values.stride());
        let count = if last { plan.read } else { tokens };
        let query_stride = self.query_stride;
        let queries = kept.queries.resized(count * query_stride);
        let keys_values = kept.keys_values.resized(tokens * line);
        let dqueries = memory.dqueries.resized(count * query_stride);
        let dkeys_values = memory.dkeys_values.resized(tokens * line);
        dkeys_values.fill(0.0);
        self.arch.dispatch(Backward {
            layer: self.layer(plan, last, queries, keys_values, line),
            softmax: &kept.softmax,
            dout: memory.dattended.resized(count * query_stride),
            dqueries,
            dkeys_values,
            local: &mut memory.local,
        });
        let pieces = if last { &plan.reader_pieces } else { &plan.pieces };
        self.rotate(dqueries, query_stride, self.shape.heads, pieces, &self.unrotations);
        self.rotate(dkeys_values, line, self.shape.kv_heads, &plan.pieces, &self.unrotations);
        let dnormal = memory.dnormal.resized(TOGETHER * stride);
        let (normal, scales) = (kept.normal.resized(tokens * stride), kept.scales.resized(tokens));
        let (of_queries, query_scales) = match last {
            true => (&*kept.chosen.resized(count * stride), &*kept.chosen_scales.resized(count)),
            false => (&*normal, &*scales),
        };
        let x = memory.x.resized(tokens * stride);
        for chunk in chunks(count) {
            let rows = chunk.start * stride..chunk.end * stride;
            let d = &dqueries[chunk.start * query_stride..chunk.end * query_stride];
            let n = &of_queries[rows.clone()];
            block.queries.collect(d, n, stride, chunk.len());
            block.queries.pull(d, chunk.len(), dnormal);
            self.normalise_back(dnormal, n, &query_scales[chunk], &mut x[rows]);
        }
        if last {
            let spread = memory.spread.resized(tokens * stride);
            spread.fill(0.0);
            let mut at = 0;
            for range in &plan.readers {
                let rows = range.start * stride..range.end * stride;
                let from = &x[at * stride..][..rows.len()];
                spread[rows].copy_from_slice(from);
                at += range.len();
            }
            std::mem::swap(&mut memory.x, &mut memory.spread);
        }
        let x = memory.x.resized(tokens * stride);
        for chunk in chunks(tokens) {
            let rows = chunk.start * stride..chunk.end * stride;
            let (d, n) = (&dkeys_values[chunk.start * line..chunk.end * line], &normal[rows.clone()]);
            block.keys_values.collect(d, n, stride, chunk.len());
            block.keys_values.pull(d, chunk.len(), dnormal);
            self.normalise_back(dnormal, n, &scales[chunk], &mut x[rows]);
        }
    }
}
