//! Log-probabilities of given replies and their gradient, on the CPU in f32 and without libtorch.
//!
//! Models are so small that most of libtorch's time goes into padding, elementwise operations and their
//! bookkeeping. Here the tokens of all replies are in one list, a prompt is computed once for all replies
//! to it, and operations on a few positions at a time stay in a cache.
//!
//! * `plan`: the list of tokens, and which see each other
//! * `matrices`: packed both ways, and their gradients
//! * `pass`: forward; `reverse`: backward
//! * `attention`, `local`: attention; `kernels`: operations on single positions; `dense`: products of activations
//!
//! Same input, same bits: every sum runs in an order that the input alone decides.

mod attention;
mod dense;
mod kernels;
mod local;
mod matrices;
mod pass;
mod plan;
mod reverse;
#[cfg(test)]
mod tests;

use pulp::Arch;

use crate::error::CpuError;
use crate::weights::{Matrices, Weights};
use matrices::Packed;
use pass::Memory;
use plan::Plan;

pub use plan::Branch;

/// Scores replies with one set of parameters, and collects gradients of its matrices.
///
/// ```no_run
/// # use stepladder_cpu::{CpuError, Weights, gradient::{Branch, Scorer}};
/// # fn example(weights: Weights) -> Result<(), CpuError> {
/// let mut scorer = Scorer::new(weights);
/// let branches = [Branch { prompt: &[1, 2, 3], replies: vec![&[4, 5], &[6]] }];
/// let logprobs = scorer.logprobs(&branches)?;
/// // Likelier replies: the loss is minus the sum.
/// scorer.backward(&vec![-1.0; logprobs.len()])?;
/// let gradient = scorer.gradient();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scorer {
    packed: Packed,
    memory: Memory,
    /// Of the last call of [`Scorer::logprobs`] or [`Scorer::hidden`].
    plan: Plan,
}

impl Scorer {
    /// Packs the matrices of a decoder.
    pub fn new(weights: Weights) -> Self {
        Self::with_arch(Arch::new(), weights)
    }

    fn with_arch(arch: Arch, weights: Weights) -> Self {
        Self { packed: Packed::new(arch, weights), memory: Memory::default(), plan: Plan::default() }
    }

    /// Takes the parameters of another decoder, of any shape, and forgets all gradients; memory is used
    /// again.
    pub fn update(&mut self, weights: Weights) {
        let packed = Packed::new(self.packed.arch, weights);
        if packed.shape != self.packed.shape {
            self.memory = Memory::default();
        }
        (self.packed, self.plan) = (packed, Plan::default());
    }

    /// Log-probability of every token of every reply, in order, given the tokens before it. Keeps what
    /// [`Scorer::backward`] needs: some 10 kB for each token of a small model.
    ///
    /// # Errors
    /// [`CpuError::Input`] for the first branch with an empty prompt or reply, an unknown token, or a reply that exceeds the
    /// context window with its prompt.
    pub fn logprobs(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        self.plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.forward(&self.plan, &mut self.memory, true))
    }

    /// The results of [`Scorer::logprobs`] where no gradient is asked for: nothing is kept, and what an
    /// earlier call kept is lost.
    ///
    /// # Errors
    /// As [`Scorer::logprobs`].
    pub fn score(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        let plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.forward(&plan, &mut self.memory, false))
    }

    /// Adds to the gradient the part of `d[i]` = dL/dlogprob\[i\] for the last call of [`Scorer::logprobs`].
    ///
    /// # Errors
    /// [`CpuError::Gradient`] unless there is one for each log-probability of that call.
    pub fn backward(&mut self, d: &[f32]) -> Result<(), CpuError> {
        fits(d.len(), self.plan.targets.len())?;
        self.packed.backward(&self.plan, &mut self.memory, d);
        Ok(())
    }

    /// Last-layer vectors before each token of each reply, normalised, without the gain of the last norm: `[tokens, d]`, for
    /// heads of the caller's. Keeps what [`Scorer::backward_hidden`] needs.
    ///
    /// # Errors
    /// As [`Scorer::logprobs`].
    pub fn hidden(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        self.plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.hidden(&self.plan, &mut self.memory, true))
    }

    /// Adds to the gradient the part of `d`, the gradient of each value of the last call of [`Scorer::hidden`].
    ///
    /// # Errors
    /// [`CpuError::Gradient`] unless there is one for each value of that call.
    pub fn backward_hidden(&mut self, d: &[f32]) -> Result<(), CpuError> {
        fits(d.len(), self.plan.targets.len() * self.packed.shape.width)?;
        self.packed.backward_hidden(&self.plan, &mut self.memory, d);
        Ok(())
    }

    /// Gradients of the matrices so far.
    pub fn gradient(&self) -> Matrices {
        self.packed.gradients()
    }
}

fn fits(given: usize, expected: usize) -> Result<(), CpuError> {
    if given == expected { Ok(()) } else { Err(CpuError::Gradient { expected, given }) }
}
