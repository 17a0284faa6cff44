//! Recomputation: passes that keep the inputs of the blocks instead of their graphs, and compute each block again for its
//! gradient. Memory is that of one block's graph and one vector per token and block; time is that of one more forward pass.
//!
//! With hidden vectors h and loss L, dL/dh comes from the graph after the blocks. From the last block to the first,
//! gradients of a block's parameters and of its input come from the graph of that block alone. At the end one backward pass brings
//! the gradients of all blocks to the leaf.

use tch::{Kind, TchError, Tensor};

use crate::decoder::{Arrangement, Block, Decoder, Pass, normalise};

/// Whether a block has parameters with a gradient.
fn is_trained(block: &Block) -> bool {
    let mut found = false;
    block.map(&mut |tensor| {
        found |= tensor.requires_grad();
        tensor.shallow_clone()
    });
    found
}

/// Returns a block whose trained parameters are leaves, and each of these after the tensor that it stands for.
fn detached(block: &Block) -> (Block, Vec<(Tensor, Tensor)>) {
    let mut leaves = Vec::new();
    let block = block.map(&mut |tensor| {
        if !tensor.requires_grad() {
            return tensor.shallow_clone();
        }
        let leaf = tensor.detach().set_requires_grad(true);
        leaves.push((tensor.shallow_clone(), leaf.shallow_clone()));
        leaf
    });
    (block, leaves)
}

/// Computes Σ a ⊙ b of tensors of the same size.
fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor, TchError> {
    a.f_reshape([-1])?.f_dot(&b.f_reshape([-1])?)?.f_to_kind(Kind::Float)
}

impl Decoder {
    /// Computes the blocks and the last norm without a graph, and keeps what their gradient needs. The result is a leaf.
    pub(crate) fn without_graph(
        &self,
        embedded: Tensor,
        arrangement: Arrangement,
    ) -> Result<Tensor, TchError> {
        let mut inputs = Vec::with_capacity(self.blocks.len());
        let hidden = tch::no_grad(|| {
            let mut x = embedded.detach();
            for index in 0..self.blocks.len() {
                let next = self.block(index, &self.blocks[index], &x, &arrangement)?;
                inputs.push(std::mem::replace(&mut x, next));
            }
            normalise(&x, self.config().shape.norm_eps)
        })?;
        let hidden = hidden.set_requires_grad(true);
        self.passes().push(Pass { embedded, inputs, arrangement, hidden: hidden.shallow_clone() });
        Ok(hidden)
    }

    /// Adds the gradient of `loss` to that of the leaf that this decoder was built from. Can be called once for each forward
    /// pass, or once for several.
    ///
    /// # Errors
    /// From libtorch: a loss without gradient, out of memory.
    pub fn backward(&self, loss: &Tensor) -> Result<(), TchError> {
        let passes = std::mem::take(&mut *self.passes());
        if passes.is_empty() {
            return loss.f_backward();
        }
        let hidden: Vec<&Tensor> = passes.iter().map(|pass| &pass.hidden).collect();
        let slopes = Tensor::f_run_backward(&[loss], &hidden, true, false)?;
        let mut total = loss.shallow_clone();
        for (pass, slope) in passes.into_iter().zip(slopes) {
            for (tensor, gradient) in self.gradients(pass, slope)? {
                total = total.f_add(&dot(&tensor, &gradient)?)?;
            }
        }
        total.f_backward()
    }

    /// Computes gradients of the parameters of the blocks and of the embedded tokens, each after its tensor. `slope` is the
    /// gradient of the pass's output.
    fn gradients(&self, pass: Pass, mut slope: Tensor) -> Result<Vec<(Tensor, Tensor)>, TchError> {
        let Pass { embedded, mut inputs, arrangement, .. } = pass;
        let trained: Vec<bool> = self.blocks.iter().map(is_trained).collect();
        let mut found = Vec::new();
        for (index, input) in (0..self.blocks.len()).rev().map_while(|index| Some((index, inputs.pop()?))) {
            // Whether the gradient goes on below this block.
            let below = embedded.requires_grad() || trained[..index].contains(&true);
            if !below && !trained[index] {
                break;
            }
            let (block, leaves) = detached(&self.blocks[index]);
            let input = input.set_requires_grad(below);
            let mut output = self.block(index, &block, &input, &arrangement)?;
            if index + 1 == self.blocks.len() {
                output = normalise(&output, self.config().shape.norm_eps)?;
            }
            output.f_mul(&slope)?.f_sum(Kind::Float)?.f_backward()?;
            found.extend(leaves.into_iter().map(|(tensor, leaf)| (tensor, leaf.grad())));
            if !below {
                break;
            }
            slope = input.grad();
            if index == 0 && embedded.requires_grad() {
                found.push((embedded.shallow_clone(), slope.shallow_clone()));
            }
        }
        Ok(found)
    }
}
