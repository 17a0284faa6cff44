//! A prompt to complete, and its reply.

use stepladder_core::seed::Rng;

/// A prompt to complete.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Token ids; at least one.
    pub ids: Vec<u32>,
    /// Limit on new tokens; at least one.
    pub budget: usize,
    /// Temperature and random stream; greedy without.
    pub sampling: Option<(f64, Rng)>,
}

/// The reply to a prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// New ids, with the end token where one was generated.
    pub ids: Vec<u32>,
    /// Log-probability of each at the temperature it was sampled at; at temperature 1 for greedy replies.
    pub logprobs: Vec<f32>,
    /// Whether the budget ran out before the end token.
    pub cut: bool,
}
