//! The mathematics: pure functions over tensors, named as in the literature, tested with literal numbers.

pub mod actor;
pub mod critic;
pub mod group;
pub mod logprob;
pub mod returns;
pub mod surrogate;

pub use logprob::{behaviour_cloning, row_logprobs, token_logprobs};
