//! Generation on the CPU in f32, many rows at once and without libtorch; and what is learnt from it.
//!
//! * `product`: packed matrices; `kernels`: what happens to a position by itself; `attention`: the rest
//! * `choose`: the next token
//! * `segment`: keys and values, written once and read wherever a row begins alike
//! * `forward`: the pending tokens of any rows in one pass, prompts and replies mixed
//! * [`gradient`]: log-probabilities of given replies, and their gradient
//! * `writer`: rows shared among threads, and what is kept between calls
//!
//! A token's numbers depend on the tokens before it alone, to the last bit: not on the other rows of a pass, nor on what
//! was known, nor on the number of threads. So replies are the same however they are batched.

mod attention;
mod choose;
mod forward;
pub mod gradient;
mod kernels;
mod product;
mod segment;
mod writer;

use pulp::Arch;
use tch::{Device, Kind, Tensor};

use crate::config::Shape;
use crate::decoder::Decoder;
use product::{Matrix, lanes};
use segment::KvShape;

pub use writer::Writer;

/// The matrices of a decoder, packed for this CPU.
#[derive(Debug)]
pub struct Model {
    arch: Arch,
    shape: Shape,
    kv: KvShape,
    /// Numbers of a row of the residual stream: whole panels.
    stride: usize,
    /// `[vocab, stride]`
    table: Vec<f32>,
    vocab: usize,
    blocks: Vec<Block>,
    head: Matrix,
    /// `[max_positions, 2, hd/2]`: cosines, sines.
    rotations: Vec<f32>,
}

/// The matrices of one block.
#[derive(Debug)]
struct Block {
    /// Queries, keys, values. Of each head of queries and keys first the first numbers of all pairs, then the second:
    /// rotations of whole registers.
    qkv: Matrix,
    out: Matrix,
    gate_up: Matrix,
    down: Matrix,
}

/// Which of a matrix's rows stands where: of each of the first `heads` heads first the first numbers of all pairs, then the
/// second; the rest as it is.
fn halves(heads: usize, head: usize, rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).map(move |row| {
        let (first, place) = (row / head * head, row % head);
        match row < heads * head {
            true => first + 2 * (place % (head / 2)) + place / (head / 2),
            false => row,
        }
    })
}

/// `[max_positions, 2, hd/2]`: cosines, sines.
fn turns(decoder: &Decoder) -> Vec<f32> {
    let head = decoder.shape().head_dim() as usize;
    let pairs = numbers(&decoder.rotations().view_as_real());
    let mut rotations = vec![0.0; pairs.len()];
    for (to, from) in rotations.chunks_exact_mut(head).zip(pairs.chunks_exact(head)) {
        for (pair, from) in from.chunks_exact(2).enumerate() {
            (to[pair], to[head / 2 + pair]) = (from[0], from[1]);
        }
    }
    rotations
}

/// Numbers of a tensor in order.
fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    Vec::try_from(flat).expect("a vector of f32")
}

impl Model {
    /// Copies and packs what `decoder` computes with.
    pub fn new(decoder: &Decoder) -> Self {
        let arch = Arch::new();
        let shape = decoder.shape().clone();
        let [width, layers, heads, kv_heads, ffn, head] =
            [shape.width, shape.layers, shape.heads, shape.kv_heads, shape.ffn, shape.head_dim()]
                .map(|value| value as usize);
        let pack = |weight: &Tensor, inputs: usize, outputs: usize| {
            Matrix::new(arch, &numbers(weight), inputs, 0..outputs)
        };
        let blocks = decoder
            .blocks
            .iter()
            .map(|block| {
                let order = halves(heads + kv_heads, head, (heads + 2 * kv_heads) * head);
                Block {
                    qkv: Matrix::new(arch, &numbers(block.qkv.weight()), width, order),
                    out: pack(block.out.weight(), heads * head, width),
                    gate_up: pack(block.gate_up.weight(), width, 2 * ffn),
                    down: pack(block.down.weight(), ffn, width),
                }
            })
            .collect::<Vec<_>>();
        let own = numbers(decoder.table());
        let vocab = own.len() / width;
        let head_matrix = pack(decoder.head().weight(), width, vocab);
        let stride = blocks.first().map_or(width, |block: &Block| block.down.stride());
        let mut table = vec![0.0; vocab * stride];
        for (to, from) in table.chunks_exact_mut(stride).zip(own.chunks_exact(width)) {
            to[..width].copy_from_slice(from);
        }
        let kv = KvShape { layers, heads: kv_heads, head, lanes: lanes(arch) };
        Self { arch, shape, kv, stride, table, vocab, blocks, head: head_matrix, rotations: turns(decoder) }
    }

    /// Shape of the model.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// Every set of instructions that kernels are compiled for and this CPU has: the best, and those of older CPUs.
#[cfg(test)]
fn archs() -> Vec<Arch> {
    let mut found = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    found.extend(pulp::x86::V3::try_new().map(Arch::V3));
    found
}
