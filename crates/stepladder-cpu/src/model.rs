//! A decoder packed for inference.

use pulp::Arch;

use crate::product::{Matrix, lanes};
use crate::segment::KvShape;
use crate::weights::{Matrices, Shape, Weights};

/// The matrices of a decoder, packed for this CPU.
#[derive(Debug)]
pub struct Model {
    pub(crate) arch: Arch,
    pub(crate) shape: Shape,
    pub(crate) kv: KvShape,
    /// Stride of the residual stream: whole panels.
    pub(crate) stride: usize,
    /// `[vocab, stride]`
    pub(crate) table: Vec<f32>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) head: Matrix,
    /// `[max_positions, 2, hd/2]`: cosines, sines.
    pub(crate) rotations: Vec<f32>,
}

/// The matrices of one block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Queries, keys, values. Each head of queries and keys has the first elements of all pairs, then the second, so that
    /// rotations work on whole registers.
    pub(crate) qkv: Matrix,
    pub(crate) out: Matrix,
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
}

/// Returns the order of a matrix's rows: for each of the first `heads` heads the first elements of all pairs, then the second;
/// all other rows unchanged.
pub(crate) fn halves(heads: usize, head: usize, rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).map(move |row| {
        let (first, place) = (row / head * head, row % head);
        match row < heads * head {
            true => first + 2 * (place % (head / 2)) + place / (head / 2),
            false => row,
        }
    })
}

impl Model {
    /// Packs the matrices of a decoder.
    pub fn new(weights: Weights) -> Self {
        Self::with_arch(Arch::new(), weights)
    }

    fn with_arch(arch: Arch, weights: Weights) -> Self {
        let Weights { shape, matrices: Matrices { table, blocks, head }, rotations } = weights;
        let Shape { vocab, width, layers, heads, kv_heads, head_dim, ffn, .. } = shape;
        // Packed matrices take the place of those that they are copies of, one block after the other.
        let blocks = blocks.into_iter().map(|block| {
            let order = halves(heads + kv_heads, head_dim, (heads + 2 * kv_heads) * head_dim);
            Block {
                qkv: Matrix::new(arch, &block.qkv, width, order),
                out: Matrix::new(arch, &block.out, heads * head_dim, 0..width),
                gate_up: Matrix::new(arch, &block.gate_up, width, 0..2 * ffn),
                down: Matrix::new(arch, &block.down, ffn, 0..width),
            }
        });
        let blocks = blocks.collect();
        let packed = Matrix::new(arch, &head, width, 0..vocab);
        drop(head);
        let stride = row_stride(arch, width);
        let table = padded(&table, width, stride);
        let kv = KvShape { layers, heads: kv_heads, head: head_dim, lanes: lanes(arch) };
        Self { arch, shape, kv, stride, table, blocks, head: packed, rotations }
    }

    /// Returns the dimensions of the decoder.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// Computes the stride of activations: whole panels.
pub(crate) fn row_stride(arch: Arch, width: usize) -> usize {
    width.next_multiple_of(2 * lanes(arch))
}

/// Pads rows of `width` values with zeros: `[rows, width]` → `[rows, stride]`
pub(crate) fn padded(values: &[f32], width: usize, stride: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len() / width * stride];
    for (to, from) in out.chunks_exact_mut(stride).zip(values.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    out
}
