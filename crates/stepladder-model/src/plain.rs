//! Conversion of a decoder to the plain matrices of `stepladder-cpu`, and of their gradients back.

use stepladder_cpu::{BlockMatrices, Matrices, Shape, Weights};
use tch::{Device, Kind, TchError, Tensor};

use crate::ModelError;
use crate::decoder::{Block, Decoder};

/// Copies the values of a tensor in row-major order, as f32.
fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let contiguous = tensor.detach().f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    Vec::try_from(contiguous.f_view([-1])?)
}

impl Decoder {
    /// Copies the matrices of this decoder, gains multiplied in and factors summed in.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub fn plain(&self) -> Result<Weights, ModelError> {
        let (shape, head_dim) = (&self.config().shape, self.config().head_dim());
        let size = |value: i64| value as usize;
        let table = values(self.table())?;
        let dimensions = Shape {
            vocab: table.len() / size(shape.width),
            width: size(shape.width),
            layers: size(shape.layers),
            heads: size(shape.heads),
            kv_heads: size(shape.kv_heads),
            head_dim: size(head_dim),
            ffn: size(shape.ffn),
            max_positions: size(shape.max_positions),
            norm_eps: shape.norm_eps as f32,
        };
        let block = |block: &Block| -> Result<BlockMatrices, TchError> {
            Ok(BlockMatrices {
                qkv: values(&block.qkv.effective()?)?,
                out: values(&block.out.effective()?)?,
                gate_up: values(&block.gate_up.effective()?)?,
                down: values(&block.down.effective()?)?,
            })
        };
        let blocks = self.blocks.iter().map(block).collect::<Result<_, _>>()?;
        let matrices = Matrices { table, blocks, head: values(&self.head().effective()?)? };
        let rotations = values(&self.rotations().f_view_as_real()?)?;
        Ok(Weights::new(dimensions, matrices, &rotations)?)
    }

    /// Backpropagates gradients of the matrices to the leaf that this decoder was built from, through gains, tied embeddings
    /// and factors, and adds them to its gradient. Can be called once per decoder.
    ///
    /// # Errors
    /// From libtorch: gradients of another shape, out of memory.
    pub fn pull_back(&self, gradients: &Matrices) -> Result<(), ModelError> {
        let part = |matrix: &Tensor, gradient: &[f32]| {
            let gradient = Tensor::from_slice(gradient).f_view(matrix.size().as_slice())?;
            matrix.f_mul(&gradient)?.f_sum(Kind::Float)
        };
        let table = part(self.table(), &gradients.table)?;
        let mut sum = table.f_add(&part(&self.head().effective()?, &gradients.head)?)?;
        for (block, gradient) in self.blocks.iter().zip(&gradients.blocks) {
            for (matrix, gradient) in [
                (&block.qkv, &gradient.qkv),
                (&block.out, &gradient.out),
                (&block.gate_up, &gradient.gate_up),
                (&block.down, &gradient.down),
            ] {
                sum = sum.f_add(&part(&matrix.effective()?, gradient)?)?;
            }
        }
        Ok(sum.f_backward()?)
    }
}
