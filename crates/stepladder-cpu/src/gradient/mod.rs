//! Log-probabilities of given replies and their gradient, on the CPU in f32 and without libtorch.
//!
//! For small models libtorch spends most of its time on padding, elementwise operations and their overhead. Here the tokens
//! of all replies are in one list, a prompt is computed once for all its replies, and operations work on a few positions at a
//! time, which stay in the CPU cache.
//!
//! * `plan`: the list of tokens, and which of them attend to each other
//! * `matrices`: matrices packed for both directions, and their gradients
//! * `pass`: forward pass; `reverse`: backward pass
//! * `attention`, `local`: attention; `kernels`: operations on single positions; `dense`: products of activations
//!
//! Equal inputs give equal results, to the last bit: the order of every sum depends on the input only.

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

/// Computes log-probabilities of replies with one set of parameters, and accumulates gradients of its matrices.
///
/// ```no_run
/// # use stepladder_cpu::{CpuError, Weights, gradient::{Branch, Scorer}};
/// # fn example(weights: Weights) -> Result<(), CpuError> {
/// let mut scorer = Scorer::new(weights);
/// let branches = [Branch { prompt: &[1, 2, 3], replies: vec![&[4, 5], &[6]] }];
/// let logprobs = scorer.logprobs(&branches)?;
/// // The loss is minus the sum of the log-probabilities.
/// scorer.backward(&vec![-1.0; logprobs.len()])?;
/// let gradient = scorer.gradient();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scorer {
    packed: Packed,
    memory: Memory,
    /// Plan of the last call of [`Scorer::logprobs`] or [`Scorer::hidden`].
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

    /// Replaces the parameters by those of another decoder, of any shape, and clears all gradients; reuses the memory for
    /// an equal shape.
    pub fn update(&mut self, weights: Weights) {
        let packed = Packed::new(self.packed.arch, weights);
        if packed.shape != self.packed.shape {
            self.memory = Memory::default();
        }
        (self.packed, self.plan) = (packed, Plan::default());
    }

    /// Returns the log-probability of every token of every reply, in order, given the tokens before it. Keeps the activations
    /// for [`Scorer::backward`]: about 10 kB per token of a small model.
    ///
    /// # Errors
    /// [`CpuError::Input`] for the first branch with an empty prompt or reply, an unknown token, or a reply that exceeds the
    /// context window with its prompt.
    pub fn logprobs(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        self.plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.forward(&self.plan, &mut self.memory, true))
    }

    /// Returns the results of [`Scorer::logprobs`] without keeping activations; those of an earlier call are lost.
    ///
    /// # Errors
    /// See [`Scorer::logprobs`].
    pub fn score(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        let plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.forward(&plan, &mut self.memory, false))
    }

    /// Adds the gradient of the loss L for `d[i]` = dL/dlogprob\[i\] of the last call of [`Scorer::logprobs`].
    ///
    /// # Errors
    /// [`CpuError::Gradient`] unless there is one for each log-probability of that call.
    pub fn backward(&mut self, d: &[f32]) -> Result<(), CpuError> {
        fits(d.len(), self.plan.targets.len())?;
        self.packed.backward(&self.plan, &mut self.memory, d);
        Ok(())
    }

    /// Returns the last-layer vectors before each token of each reply, normalised, without the gain of the last norm:
    /// `[tokens, d]`, as inputs of the caller's heads. Keeps the activations for [`Scorer::backward_hidden`].
    ///
    /// # Errors
    /// See [`Scorer::logprobs`].
    pub fn hidden(&mut self, branches: &[Branch<'_>]) -> Result<Vec<f32>, CpuError> {
        self.plan = Plan::default();
        self.plan = Plan::new(branches, &self.packed.shape)?;
        Ok(self.packed.hidden(&self.plan, &mut self.memory, true))
    }

    /// Adds the gradient of the loss for `d`, its gradients with respect to the values of the last call of [`Scorer::hidden`].
    ///
    /// # Errors
    /// [`CpuError::Gradient`] unless there is one for each value of that call.
    pub fn backward_hidden(&mut self, d: &[f32]) -> Result<(), CpuError> {
        fits(d.len(), self.plan.targets.len() * self.packed.shape.width)?;
        self.packed.backward_hidden(&self.plan, &mut self.memory, d);
        Ok(())
    }

    /// Returns the accumulated gradients of the matrices.
    pub fn gradient(&self) -> Matrices {
        self.packed.gradients()
    }
}

fn fits(given: usize, expected: usize) -> Result<(), CpuError> {
    if given == expected { Ok(()) } else { Err(CpuError::Gradient { expected, given }) }
}
