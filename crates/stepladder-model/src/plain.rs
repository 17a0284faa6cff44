//! The way from a decoder's tensors to the plain matrices of `stepladder-cpu`, and of their gradients back.

use stepladder_cpu::{BlockMatrices, Matrices, Shape, Weights};
use tch::{Device, Kind, TchError, Tensor};

use crate::ModelError;
use crate::decoder::{Block, Decoder};

/// Values of a tensor in order.
fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tensor.detach().f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    Vec::try_from(flat.f_view([-1])?)
}

impl Decoder {
    /// Copies the matrices that this decoder computes with: gains are multiplied in, factors summed in.
    ///
    /// # Errors
    /// From libtorch: no memory.
    pub fn plain(&self) -> Result<Weights, ModelError> {
        let shape = self.shape();
        let size = |value: i64| value as usize;
        let table = values(self.table())?;
        let dimensions = Shape {
            vocab: table.len() / size(shape.width),
            width: size(shape.width),
            layers: size(shape.layers),
            heads: size(shape.heads),
            kv_heads: size(shape.kv_heads),
            head_dim: size(shape.head_dim()),
            ffn: size(shape.ffn),
            max_positions: size(shape.max_positions),
            norm_eps: shape.norm_eps as f32,
        };
        let block = |block: &Block| -> Result<BlockMatrices, TchError> {
            Ok(BlockMatrices {
                qkv: values(block.qkv.weight())?,
                out: values(block.out.weight())?,
                gate_up: values(block.gate_up.weight())?,
                down: values(block.down.weight())?,
            })
        };
        let blocks = self.blocks.iter().map(block).collect::<Result<_, _>>()?;
        let matrices = Matrices { table, blocks, head: values(self.head().weight())? };
        let rotations = values(&self.rotations().f_view_as_real()?)?;
        Ok(Weights::new(dimensions, matrices, &rotations)?)
    }

    /// Adds to the gradient of the leaf that this decoder was made from the parts of the gradients of its matrices: through
    /// gains, tied embeddings and factors. A decoder does this once.
    ///
    /// # Errors
    /// From libtorch: gradients of a decoder of another shape, no memory.
    pub fn pull_back(&self, gradients: &Matrices) -> Result<(), ModelError> {
        let part = |matrix: &Tensor, gradient: &[f32]| {
            let gradient = Tensor::from_slice(gradient).f_view(matrix.size().as_slice())?;
            matrix.f_mul(&gradient)?.f_sum(Kind::Float)
        };
        let table = part(self.table(), &gradients.table)?;
        let mut sum = table.f_add(&part(self.head().weight(), &gradients.head)?)?;
        for (block, gradient) in self.blocks.iter().zip(&gradients.blocks) {
            for (matrix, gradient) in [
                (&block.qkv, &gradient.qkv),
                (&block.out, &gradient.out),
                (&block.gate_up, &gradient.gate_up),
                (&block.down, &gradient.down),
            ] {
                sum = sum.f_add(&part(matrix.weight(), gradient)?)?;
            }
        }
        Ok(sum.f_backward()?)
    }
}
