//! The mathematics: pure functions over tensors, named as in the literature, tested with literal numbers.

pub mod actor;
pub mod critic;
pub mod logprob;

pub use logprob::{behaviour_cloning, row_logprobs, token_logprobs};
