//! The way back through a pass: from gradients of log-probabilities to those of all matrices.

use super::attention::Backward;
use super::kernels::{GateBack, add};
use super::matrices::{Block, Packed};
use super::pass::{Kept, Memory, TOGETHER, parts};
use super::plan::Plan;
use crate::kernels::soften;

impl Packed {
    /// Adds the gradients of all matrices for `d`, the gradients of the log-probabilities of the last kept
    /// pass.
    pub(crate) fn backward(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        self.prepare();
        self.head_back(plan, memory, d);
        self.blocks_back(plan, memory);
    }

    /// The same for `d`, the gradients of the vectors that [`Packed::hidden`] gave.
    pub(crate) fn backward_hidden(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        self.prepare();
        let stride = self.stride;
        let dnormal = memory.spread.room(plan.read * stride);
        dnormal.fill(0.0);
        for (target, d) in plan.targets.iter().zip(d.chunks_exact(self.shape.width)) {
            for (sum, d) in dnormal[target.reader * stride..].iter_mut().zip(d) {
                *sum += d;
            }
        }
        let (normal, scales) = (memory.normal.room(plan.read * stride), memory.scales.room(plan.read));
        let x = &mut memory.x.room(plan.tokens() * stride)[..plan.read * stride];
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
        for (x, &id) in memory.x.room(tokens * stride).chunks_exact(stride).zip(&plan.ids) {
            add(self.arch, x, &mut self.table_gradient[id as usize * stride..][..stride]);
        }
    }

    /// From log-probabilities to the residual stream behind the last block.
    fn head_back(&mut self, plan: &Plan, memory: &mut Memory, d: &[f32]) {
        let (stride, line) = (self.stride, self.head.stride());
        let x = memory.x.room(plan.tokens() * stride);
        x[..plan.read * stride].fill(0.0);
        let (normal, scales) = (memory.normal.room(plan.read * stride), memory.scales.room(plan.read));
        let logits = memory.logits.room(plan.read * line);
        let dlogits = memory.dlogits.room(TOGETHER * line);
        let dnormal = memory.dnormal.room(TOGETHER * stride);
        // Replies to one prompt share the reader of their first tokens: targets are no longer in its order.
        let sums = &mut memory.sums;
        sums.clear();
        sums.resize(plan.read, 0.0);
        let mut order: Vec<usize> = (0..plan.targets.len()).collect();
        order.sort_by_key(|&target| plan.targets[target].reader);
        plan.targets.iter().zip(d).for_each(|(target, &d)| sums[target.reader] += d);
        let mut order = order.into_iter().peekable();
        for part in parts(plan.read) {
            for reader in part.clone() {
                let dlogits = &mut dlogits[(reader - part.start) * line..][..self.shape.vocab];
                let logits = &logits[reader * line..][..self.shape.vocab];
                soften(self.arch, logits, memory.log_sums[reader], -sums[reader], dlogits);
            }
            while let Some(target) = order.next_if(|&target| plan.targets[target].reader < part.end) {
                let place = plan.targets[target];
                dlogits[(place.reader - part.start) * line + place.word as usize] += d[target];
            }
            let rows = part.start * stride..part.end * stride;
            self.head.collect(dlogits, &normal[rows.clone()], stride, part.len());
            self.head.pull(dlogits, part.len(), dnormal);
            self.normalise_back(dnormal, &normal[rows.clone()], &scales[part], &mut x[rows]);
        }
    }

    /// Back through the second half of a block and its output matrix: to the gradient of what attention gave.
    fn transform_back(&self, block: &mut Block, count: usize, kept: &mut Kept, memory: &mut Memory) {
        let (stride, line, ffn_stride) = (self.stride, block.gate_up.stride(), self.ffn_stride());
        let x = memory.x.room(count * stride);
        let query_stride = self.query_stride;
        let attended = kept.attended.room(count * query_stride);
        let (inner, scales) = (kept.inner.room(count * stride), kept.inner_scales.room(count));
        let gates = kept.gates.room(count * line);
        let (gated, dgates) = (memory.gated.room(TOGETHER * ffn_stride), memory.dgates.room(TOGETHER * line));
        let dnormal = memory.dnormal.room(TOGETHER * stride);
        let dattended = memory.dattended.room(count * query_stride);
        for part in parts(count) {
            let rows = part.start * stride..part.end * stride;
            let (x, inner) = (&mut x[rows.clone()], &inner[rows]);
            block.down.pull(x, part.len(), gated);
            self.arch.dispatch(GateBack {
                x: &gates[part.start * line..part.end * line],
                stride: line,
                ffn: self.shape.ffn,
                d: gated,
                d_stride: ffn_stride,
                dx: dgates,
            });
            block.down.collect(x, gated, ffn_stride, part.len());
            block.gate_up.collect(dgates, inner, stride, part.len());
            block.gate_up.pull(dgates, part.len(), dnormal);
            self.normalise_back(dnormal, inner, &scales[part.clone()], x);
            let of_queries = part.start * query_stride..part.end * query_stride;
            block.out.collect(x, &attended[of_queries.clone()], query_stride, part.len());
            block.out.pull(x, part.len(), &mut dattended[of_queries]);
        }
    }

    /// Back through the attention of a block. Before the last one all tokens have a gradient, not only
    /// readers.
    fn attend_back(&self, block: &mut Block, plan: &Plan, last: bool, kept: &mut Kept, memory: &mut Memory) {
        let (stride, tokens, line) = (self.stride, plan.tokens(), block.keys_values.stride());
        let count = if last { plan.read } else { tokens };
        let query_stride = self.query_stride;
        let queries = kept.queries.room(count * query_stride);
        let keys_values = kept.keys_values.room(tokens * line);
        let dqueries = memory.dqueries.room(count * query_stride);
        let dkeys_values = memory.dkeys_values.room(tokens * line);
        dkeys_values.fill(0.0);
        self.arch.dispatch(Backward {
            layer: self.layer(plan, last, queries, keys_values, line),
            softmax: &kept.softmax,
            dout: memory.dattended.room(count * query_stride),
            dqueries,
            dkeys_values,
            local: &mut memory.local,
        });
        let pieces = if last { &plan.reader_pieces } else { &plan.pieces };
        self.rotate(dqueries, query_stride, self.shape.heads, pieces, &self.unrotations);
        self.rotate(dkeys_values, line, self.shape.kv_heads, &plan.pieces, &self.unrotations);
        let dnormal = memory.dnormal.room(TOGETHER * stride);
        let (normal, scales) = (kept.normal.room(tokens * stride), kept.scales.room(tokens));
        let (of_queries, query_scales) = match last {
            true => (&*kept.chosen.room(count * stride), &*kept.chosen_scales.room(count)),
            false => (&*normal, &*scales),
        };
        let x = memory.x.room(tokens * stride);
        for part in parts(count) {
            let rows = part.start * stride..part.end * stride;
            let d = &dqueries[part.start * query_stride..part.end * query_stride];
            let n = &of_queries[rows.clone()];
            block.queries.collect(d, n, stride, part.len());
            block.queries.pull(d, part.len(), dnormal);
            self.normalise_back(dnormal, n, &query_scales[part], &mut x[rows]);
        }
        if last {
            let spread = memory.spread.room(tokens * stride);
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
        let x = memory.x.room(tokens * stride);
        for part in parts(tokens) {
            let rows = part.start * stride..part.end * stride;
            let (d, n) = (&dkeys_values[part.start * line..part.end * line], &normal[rows.clone()]);
            block.keys_values.collect(d, n, stride, part.len());
            block.keys_values.pull(d, part.len(), dnormal);
            self.normalise_back(dnormal, n, &scales[part], &mut x[rows]);
        }
    }
}
