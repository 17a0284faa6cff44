//! Matrices of a decoder, packed for forward and backward passes, with their gradients.

use pulp::Arch;

use super::dense::Dense;
use crate::model::{halves, padded, row_stride};
use crate::product::{Aligned, Matrix, lanes};
use crate::weights::{BlockMatrices, Matrices, Shape, Weights};

/// A matrix `[out, in]` with its gradient.
#[derive(Debug)]
pub(crate) struct Learned {
    arch: Arch,
    /// `[out, in]`
    weight: Vec<f32>,
    inputs: usize,
    forward: Matrix,
    /// The transposed matrix, packed at the first backward pass.
    backward: Option<Matrix>,
    /// `[out, line]`; empty until the first gradient is added.
    gradient: Aligned,
    /// Number of inputs, rounded up to whole registers.
    line: usize,
}

impl Learned {
    fn new(arch: Arch, weight: Vec<f32>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let forward = Matrix::new(arch, &weight, inputs, 0..outputs);
        let line = inputs.next_multiple_of(lanes(arch));
        Self { arch, weight, inputs, forward, backward: None, gradient: Aligned::default(), line }
    }

    fn outputs(&self) -> usize {
        self.weight.len() / self.inputs
    }

    /// Returns the stride of output vectors.
    pub(crate) fn stride(&self) -> usize {
        self.forward.stride()
    }

    /// y = W x for a vector every `stride` elements of `x`; added to `out` or written.
    pub(crate) fn apply(&self, x: &[f32], stride: usize, rows: usize, out: &mut [f32], add: bool) {
        self.forward.apply(x, stride, rows, out, add);
    }

    /// Prepares [`Learned::pull`] and [`Learned::collect`].
    fn prepare(&mut self) {
        if self.backward.is_none() {
            let (inputs, outputs) = (self.inputs, self.outputs());
            let mut transposed = vec![0.0; self.weight.len()];
            for (output, row) in self.weight.chunks_exact(inputs).enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(input, &value)| transposed[input * outputs + output] = value);
            }
            self.backward = Some(Matrix::new(self.arch, &transposed, outputs, 0..inputs));
            self.gradient = Aligned::zeros(outputs * self.line);
        }
    }

    /// dx = Wᵀ dy, written to `out`.
    pub(crate) fn pull(&self, dy: &[f32], rows: usize, out: &mut [f32]) {
        let backward = self.backward.as_ref().expect("prepared before a backward pass");
        backward.apply(dy, self.stride(), rows, out, false);
    }

    /// dW ← dW + dyᵀ x
    pub(crate) fn collect(&mut self, dy: &[f32], x: &[f32], x_stride: usize, rows: usize) {
        self.arch.dispatch(Dense {
            left: dy,
            left_stride: self.forward.stride(),
            transposed: true,
            skip: 0,
            right: x,
            right_stride: x_stride,
            rows: self.weight.len() / self.inputs,
            out: self.gradient.get_mut(),
            out_stride: self.line,
            inner: rows,
            columns: self.line,
            add: true,
        });
    }

    /// Writes the rows of the gradient to the rows of `out`, `[…, in]`, that `order` lists.
    fn unpack(&self, out: &mut [f32], order: impl Iterator<Item = usize>) {
        if self.backward.is_some() {
            for (gradient, row) in self.gradient.get().chunks_exact(self.line).take(self.outputs()).zip(order)
            {
                out[row * self.inputs..][..self.inputs].copy_from_slice(&gradient[..self.inputs]);
            }
        }
    }

    /// Returns the gradient, `[out, in]`.
    fn unpacked(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.weight.len()];
        self.unpack(&mut out, 0..self.outputs());
        out
    }
}

/// Matrices of a block. Rows of queries and keys are in the order of [`halves`].
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) queries: Learned,
    /// Key rows, then value rows.
    pub(crate) keys_values: Learned,
    pub(crate) out: Learned,
    pub(crate) gate_up: Learned,
    pub(crate) down: Learned,
}

/// Matrices of a decoder.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) arch: Arch,
    pub(crate) shape: Shape,
    /// Stride of the residual stream.
    pub(crate) stride: usize,
    /// Stride of queries.
    pub(crate) query_stride: usize,
    /// `[vocab, stride]`
    pub(crate) table: Vec<f32>,
    pub(crate) table_gradient: Vec<f32>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) head: Learned,
    /// `[max_positions, 2, hd/2]`: cosines, sines; then the same for the backward pass.
    pub(crate) rotations: Vec<f32>,
    pub(crate) unrotations: Vec<f32>,
}

impl Packed {
    pub(crate) fn new(arch: Arch, weights: Weights) -> Self {
        let Weights { shape, matrices, rotations } = weights;
        let Shape { width, heads, kv_heads, head_dim, ffn, .. } = shape;
        let blocks = matrices.blocks.into_iter().map(|block| {
            let rows = |order: &[usize]| {
                let rows = order.iter().flat_map(|row| &block.qkv[row * width..][..width]);
                Learned::new(arch, rows.copied().collect(), width)
            };
            let order: Vec<usize> =
                halves(heads + kv_heads, head_dim, (heads + 2 * kv_heads) * head_dim).collect();
            let (queries, rest) = order.split_at(heads * head_dim);
            Block {
                queries: rows(queries),
                keys_values: rows(rest),
                out: Learned::new(arch, block.out, heads * head_dim),
                gate_up: Learned::new(arch, block.gate_up, width),
                down: Learned::new(arch, block.down, ffn),
            }
        });
        let blocks = blocks.collect();
        let head = Learned::new(arch, matrices.head, width);
        let stride = row_stride(arch, width);
        let table = padded(&matrices.table, width, stride);
        let mut unrotations = rotations.clone();
        for turn in unrotations.chunks_exact_mut(head_dim) {
            turn[head_dim / 2..].iter_mut().for_each(|sine| *sine = -*sine);
        }
        let query_stride = row_stride(arch, heads * head_dim);
        let table_gradient = Vec::new();
        Self {
            arch,
            shape,
            stride,
            query_stride,
            table,
            table_gradient,
            blocks,
            head,
            rotations,
            unrotations,
        }
    }

    /// Prepares all matrices for a backward pass.
    pub(crate) fn prepare(&mut self) {
        self.table_gradient.resize(self.table.len(), 0.0);
        for Block { queries, keys_values, out, gate_up, down } in &mut self.blocks {
            [queries, keys_values, out, gate_up, down].into_iter().for_each(Learned::prepare);
        }
        self.head.prepare();
    }

    /// Returns the gradients, with rows in the order of [`Weights`].
    pub(crate) fn gradients(&self) -> Matrices {
        let Shape { vocab, width, heads, kv_heads, head_dim, .. } = self.shape;
        let rows = (heads + 2 * kv_heads) * head_dim;
        let blocks = self.blocks.iter().map(|block| {
            let mut qkv = vec![0.0; rows * width];
            let order = || halves(heads + kv_heads, head_dim, rows);
            block.queries.unpack(&mut qkv, order());
            block.keys_values.unpack(&mut qkv, order().skip(heads * head_dim));
            BlockMatrices {
                qkv,
                out: block.out.unpacked(),
                gate_up: block.gate_up.unpacked(),
                down: block.down.unpacked(),
            }
        });
        let blocks = blocks.collect();
        let mut table = vec![0.0; vocab * width];
        for (to, from) in table.chunks_exact_mut(width).zip(self.table_gradient.chunks_exact(self.stride)) {
            to.copy_from_slice(&from[..width]);
        }
        Matrices { table, blocks, head: self.head.unpacked() }
    }
}
