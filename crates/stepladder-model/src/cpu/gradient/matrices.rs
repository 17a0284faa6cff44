//! The matrices of a decoder as forward and backward passes need them, and their gradients.

use pulp::Arch;
use tch::Tensor;

use super::dense::Dense;
use crate::cpu::product::{Aligned, Matrix, lanes};
use crate::cpu::{halves, numbers, turns};
use crate::decoder::Decoder;

/// A matrix `[out, in]`, and the gradient of what it is used for.
#[derive(Debug)]
pub(crate) struct Learned {
    arch: Arch,
    /// `[out, in]`
    weight: Vec<f32>,
    inputs: usize,
    forward: Matrix,
    /// The transposed matrix; packed when it is first needed.
    backward: Option<Matrix>,
    /// `[out, line]`, as long as nothing was added none at all.
    gradient: Aligned,
    /// Inputs in whole registers.
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

    /// Numbers from one output vector to the next.
    pub(crate) fn stride(&self) -> usize {
        self.forward.stride()
    }

    /// y = W x for vectors every `stride` numbers of `x`; added to `out` or written.
    pub(crate) fn apply(&self, x: &[f32], stride: usize, rows: usize, out: &mut [f32], add: bool) {
        self.forward.apply(x, stride, rows, out, add);
    }

    /// Gets [`Learned::pull`] and [`Learned::collect`] ready.
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

    /// Writes the rows of the gradient to those of `out`, `[…, in]`, that `order` names.
    fn unpack(&self, out: &mut [f32], order: impl Iterator<Item = usize>) {
        if self.backward.is_some() {
            for (gradient, row) in self.gradient.get().chunks_exact(self.line).take(self.outputs()).zip(order)
            {
                out[row * self.inputs..][..self.inputs].copy_from_slice(&gradient[..self.inputs]);
            }
        }
    }

    /// `[out, in]`
    fn tensor(&self) -> Tensor {
        let mut out = vec![0.0; self.weight.len()];
        self.unpack(&mut out, 0..self.outputs());
        tensor(&out, self.inputs)
    }
}

fn tensor(numbers: &[f32], width: usize) -> Tensor {
    Tensor::from_slice(numbers).view([-1, width as i64])
}

/// The matrices of a block. Rows of queries and keys stand in the order of [`halves`].
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) queries: Learned,
    /// Keys, then values.
    pub(crate) keys_values: Learned,
    pub(crate) out: Learned,
    pub(crate) gate_up: Learned,
    pub(crate) down: Learned,
}

/// Everything that [`Decoder`] multiplies with.
#[derive(Debug)]
pub(crate) struct Matrices {
    pub(crate) arch: Arch,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) ffn: usize,
    pub(crate) vocab: usize,
    pub(crate) eps: f32,
    /// Numbers of a row of the residual stream.
    pub(crate) stride: usize,
    /// `[vocab, stride]`
    pub(crate) table: Vec<f32>,
    pub(crate) table_gradient: Vec<f32>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) head: Learned,
    /// `[max_positions, 2, hd/2]`: cosines, sines; and the same backwards.
    pub(crate) rotations: Vec<f32>,
    pub(crate) unrotations: Vec<f32>,
}

impl Matrices {
    pub(crate) fn new(arch: Arch, decoder: &Decoder) -> Self {
        let shape = decoder.shape();
        let [width, heads, kv_heads, ffn, head_dim] =
            [shape.width, shape.heads, shape.kv_heads, shape.ffn, shape.head_dim()].map(|size| size as usize);
        let learned = |weight: &Tensor, inputs: usize| Learned::new(arch, numbers(weight), inputs);
        let blocks = decoder.blocks.iter().map(|block| {
            let weight = numbers(block.qkv.weight());
            let rows = |order: Vec<usize>| {
                let rows = order.into_iter().flat_map(|row| &weight[row * width..][..width]);
                Learned::new(arch, rows.copied().collect(), width)
            };
            let order: Vec<usize> =
                halves(heads + kv_heads, head_dim, (heads + 2 * kv_heads) * head_dim).collect();
            let (queries, rest) = order.split_at(heads * head_dim);
            Block {
                queries: rows(queries.to_vec()),
                keys_values: rows(rest.to_vec()),
                out: learned(block.out.weight(), heads * head_dim),
                gate_up: learned(block.gate_up.weight(), width),
                down: learned(block.down.weight(), ffn),
            }
        });
        let head = learned(decoder.head().weight(), width);
        let own = numbers(decoder.table());
        let stride = width.next_multiple_of(2 * lanes(arch));
        let vocab = own.len() / width;
        let mut table = vec![0.0; vocab * stride];
        for (to, from) in table.chunks_exact_mut(stride).zip(own.chunks_exact(width)) {
            to[..width].copy_from_slice(from);
        }
        let rotations = turns(decoder);
        let mut unrotations = rotations.clone();
        for turn in unrotations.chunks_exact_mut(head_dim) {
            turn[head_dim / 2..].iter_mut().for_each(|sine| *sine = -*sine);
        }
        Self {
            arch,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn,
            vocab,
            eps: shape.norm_eps as f32,
            stride,
            table,
            table_gradient: Vec::new(),
            blocks: blocks.collect(),
            head,
            rotations,
            unrotations,
        }
    }

    /// What decides how memory is laid out.
    pub(crate) fn shape(&self) -> [usize; 6] {
        [self.width, self.heads, self.kv_heads, self.ffn, self.vocab, self.blocks.len()]
    }

    /// Gets everything ready for a backward pass.
    pub(crate) fn prepare(&mut self) {
        self.table_gradient.resize(self.table.len(), 0.0);
        for Block { queries, keys_values, out, gate_up, down } in &mut self.blocks {
            [queries, keys_values, out, gate_up, down].into_iter().for_each(Learned::prepare);
        }
        self.head.prepare();
    }

    pub(crate) fn gradients(&self) -> EffectiveGradients {
        let (width, rows) = (self.width, (self.heads + 2 * self.kv_heads) * self.head_dim);
        let blocks = self.blocks.iter().map(|block| {
            let mut qkv = vec![0.0; rows * width];
            let order = || halves(self.heads + self.kv_heads, self.head_dim, rows);
            block.queries.unpack(&mut qkv, order());
            block.keys_values.unpack(&mut qkv, order().skip(self.heads * self.head_dim));
            BlockGradients {
                qkv: tensor(&qkv, width),
                out: block.out.tensor(),
                gate_up: block.gate_up.tensor(),
                down: block.down.tensor(),
            }
        });
        let mut table = vec![0.0; self.vocab * width];
        for (to, from) in table.chunks_exact_mut(width).zip(self.table_gradient.chunks_exact(self.stride)) {
            to.copy_from_slice(&from[..width]);
        }
        EffectiveGradients {
            table: tensor(&table, width),
            blocks: blocks.collect(),
            head: self.head.tensor(),
        }
    }
}

/// Gradients of the matrices of one block, in the order of rows that [`Decoder`] has.
#[derive(Debug)]
pub struct BlockGradients {
    /// `[(H + 2 Hkv) hd, d]`
    pub qkv: Tensor,
    /// `[d, H hd]`
    pub out: Tensor,
    /// `[2 ffn, d]`
    pub gate_up: Tensor,
    /// `[d, ffn]`
    pub down: Tensor,
}

/// Gradients of what a [`Decoder`] multiplies with: gains are multiplied in, factors summed in.
#[derive(Debug)]
pub struct EffectiveGradients {
    /// Of the embedding table, `[vocab, d]`.
    pub table: Tensor,
    /// Of each block.
    pub blocks: Vec<BlockGradients>,
    /// Of the output matrix, `[vocab, d]`. Tied or not, this is apart from the table's.
    pub head: Tensor,
}

impl Decoder {
    /// Adds to the gradient of the leaf that this decoder was made from what `gradients` of its matrices say:
    /// through gains, tied embeddings and factors. A decoder does this once.
    pub fn pull_back(&self, gradients: &EffectiveGradients) {
        let mut sum = (self.table() * &gradients.table).sum(tch::Kind::Float)
            + (self.head().weight() * &gradients.head).sum(tch::Kind::Float);
        for (block, gradient) in self.blocks.iter().zip(&gradients.blocks) {
            for (matrix, gradient) in [
                (&block.qkv, &gradient.qkv),
                (&block.out, &gradient.out),
                (&block.gate_up, &gradient.gate_up),
                (&block.down, &gradient.down),
            ] {
                sum = sum + (matrix.weight() * gradient).sum(tch::Kind::Float);
            }
        }
        sum.backward();
    }
}
