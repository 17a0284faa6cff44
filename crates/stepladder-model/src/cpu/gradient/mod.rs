//! Log-probabilities of given replies and their gradient, on the CPU in f32 and without libtorch.
//!
//! Models are so small that most of libtorch's time goes into padding, elementwise operations and their
//! bookkeeping. Here the tokens of all replies stand in one list, a prompt is computed once for all replies
//! to it, and what happens to a few positions at a time stays in a cache.
//!
//! * `plan`: the list of tokens, and which see each other
//! * `matrices`: packed both ways, and their gradients; [`Decoder::pull_back`] leads these to the parameters
//! * `pass`: forward; `reverse`: back
//! * `attention`, `local`: attention; `kernels`: positions by themselves; `dense`: products of activations
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

use crate::decoder::Decoder;
use matrices::Matrices;
use pass::Memory;
use plan::Plan;

pub use matrices::{BlockGradients, EffectiveGradients};

/// A prompt and the replies that are scored behind it: the prompt is computed once for all of them.
#[derive(Debug, Clone)]
pub struct Branch<'a> {
    /// At least one token.
    pub prompt: &'a [u32],
    /// At least one token each.
    pub replies: Vec<&'a [u32]>,
}

/// Scores replies with one set of parameters, and collects gradients of its matrices.
///
/// ```no_run
/// # use stepladder_model::{Decoder, cpu::gradient::{Branch, Scorer}};
/// # fn example(decoder: &Decoder) {
/// let mut scorer = Scorer::new(decoder);
/// let branches = [Branch { prompt: &[1, 2, 3], replies: vec![&[4, 5], &[6]] }];
/// let logprobs = scorer.logprobs(&branches);
/// // Likelier replies: the loss is minus the sum.
/// scorer.backward(&vec![-1.0; logprobs.len()]);
/// decoder.pull_back(&scorer.gradient());
/// # }
/// ```
#[derive(Debug)]
pub struct Scorer {
    matrices: Matrices,
    memory: Memory,
    /// Of the last call of [`Scorer::logprobs`].
    plan: Plan,
}

impl Scorer {
    /// Copies and packs what `decoder` computes with.
    pub fn new(decoder: &Decoder) -> Self {
        Self::with_arch(Arch::new(), decoder)
    }

    fn with_arch(arch: Arch, decoder: &Decoder) -> Self {
        let matrices = Matrices::new(arch, decoder);
        Self { matrices, memory: Memory::default(), plan: Plan::default() }
    }

    /// Takes the parameters of another decoder, of any shape, and forgets all gradients; memory is used
    /// again.
    pub fn update(&mut self, decoder: &Decoder) {
        let matrices = Matrices::new(self.matrices.arch, decoder);
        if matrices.shape() != self.matrices.shape() {
            self.memory = Memory::default();
        }
        (self.matrices, self.plan) = (matrices, Plan::default());
    }

    /// Log-probability of every token of every reply, in order, given what stands before it. Keeps what
    /// [`Scorer::backward`] needs: some 10 kB for each token of a small model.
    ///
    /// # Panics
    /// If a prompt or a reply is empty, a word is not in the vocabulary, or a prompt and its reply exceed the
    /// window.
    pub fn logprobs(&mut self, branches: &[Branch<'_>]) -> Vec<f32> {
        self.plan = Plan::new(branches);
        self.matrices.forward(&self.plan, &mut self.memory, true)
    }

    /// The same numbers as [`Scorer::logprobs`] where no gradient is asked for: nothing is kept, and what an
    /// earlier call kept is lost.
    ///
    /// # Panics
    /// As [`Scorer::logprobs`].
    pub fn score(&mut self, branches: &[Branch<'_>]) -> Vec<f32> {
        self.plan = Plan::default();
        self.matrices.forward(&Plan::new(branches), &mut self.memory, false)
    }

    /// Adds to the gradient what `d[i]` = dL/dlogprob\[i\] gives for the last call of [`Scorer::logprobs`].
    ///
    /// # Panics
    /// If there are not as many numbers as that call gave.
    pub fn backward(&mut self, d: &[f32]) {
        assert_eq!(d.len(), self.plan.targets.len(), "a gradient for each log-probability of the last call");
        self.matrices.backward(&self.plan, &mut self.memory, d);
    }

    /// Last vectors before each token of each reply, `[tokens, d]` as [`Decoder::hidden_at`] gives them, for heads of the
    /// caller's. Keeps what [`Scorer::backward_hidden`] needs.
    ///
    /// # Panics
    /// As [`Scorer::logprobs`].
    pub fn hidden(&mut self, branches: &[Branch<'_>]) -> Vec<f32> {
        self.plan = Plan::new(branches);
        self.matrices.hidden(&self.plan, &mut self.memory, true)
    }

    /// Adds to the gradient what `d`, the gradient of each number of the last call of [`Scorer::hidden`], gives.
    ///
    /// # Panics
    /// If there are not as many numbers as that call gave.
    pub fn backward_hidden(&mut self, d: &[f32]) {
        let count = self.plan.targets.len() * self.matrices.width;
        assert_eq!(d.len(), count, "a gradient for each number of the last call");
        self.matrices.backward_hidden(&self.plan, &mut self.memory, d);
    }

    /// Gradients of the matrices so far.
    pub fn gradient(&self) -> EffectiveGradients {
        self.matrices.gradients()
    }
}
