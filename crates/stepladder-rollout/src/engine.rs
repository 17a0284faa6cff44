//! Engines: token ids in, token ids out.
//!
//! An engine has one model and no notion of text, roles or episodes; the generator over it has.

use std::error::Error;

use crate::sampling::Sampling;
use crate::stop::Stop;
use crate::trie::Constraint;

/// A prompt to complete.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Token ids; at least one.
    pub ids: Vec<u32>,
    /// Limit on new tokens; at least one.
    pub budget: usize,
    /// Sampling; `None` decodes greedily.
    pub sampling: Option<Sampling>,
    /// Replies that may be given; `None` allows any. It is at the beginning of a reply.
    pub constraint: Option<Constraint>,
    /// Search for stop strings at the beginning of the reply; `None` searches for none. The engine adds each new token that is no
    /// end token ([`Stop::push`]); the one that completes a stop string ends the reply, like an end token.
    pub stop: Option<Stop>,
}

impl Prompt {
    /// Checks that a model with this context window, vocabulary and end tokens can complete the prompt.
    ///
    /// # Errors
    /// Returns the first violation, as the end of a sentence.
    pub fn check(&self, context: usize, vocab: usize, end: &[u32]) -> Result<(), String> {
        if self.ids.is_empty() {
            return Err("it has no token".to_owned());
        }
        if self.budget == 0 {
            return Err("its budget is 0; a reply has at least one token".to_owned());
        }
        let needed = self.ids.len().saturating_add(self.budget);
        if needed > context {
            return Err(format!(
                "with its budget it needs {needed} tokens, the context window has {context}"
            ));
        }
        if let Some(constraint) = &self.constraint {
            constraint.trie().check(self.budget, vocab, end)?;
        }
        if let Some(sampling) = &self.sampling {
            sampling.distribution.check()?;
        }
        check_ids(&self.ids, vocab)
    }
}

/// Checks that a vocabulary holds all of these tokens.
///
/// # Errors
/// Returns the first unknown token, as the end of a sentence.
pub fn check_ids(ids: &[u32], vocab: usize) -> Result<(), String> {
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) => Err(format!("token {id} is not in the vocabulary of {vocab}")),
        None => Ok(()),
    }
}

/// The reply to a prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// New ids, with the end token where one was generated, or the token that completed a stop string.
    pub ids: Vec<u32>,
    /// Log-probability of each new token at its sampling temperature, before `top_k` and `top_p`; at temperature 1 for greedy
    /// replies. Under a constraint, among the tokens that it allows.
    pub logprobs: Vec<f32>,
    /// Whether the budget ran out before an end token or a stop string.
    pub cut: bool,
}

/// Probability gap between the two most likely tokens below which two decodings of a prompt may differ (docs/design.md D3).
pub const NEAR_TIE: f64 = 1e-4;

/// Error of an engine, with the engine's own message.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EngineError(Box<dyn Error + Send + Sync>);

impl EngineError {
    /// Wraps the error of an engine.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Completes prompts with one model.
///
/// A reply depends on its own prompt only, not on the others, up to near-ties of floating-point arithmetic ([`NEAR_TIE`]). All
/// work is done on the calling thread's schedule, inside [`Engine::advance`], so that the same calls give the same replies.
pub trait Engine: Send {
    /// Returns the context window: tokens of the longest sequence, prompt and reply together.
    fn context(&self) -> usize;

    /// Adds a prompt under an identifier that no unfinished prompt has; it may join prompts whose replies are being written. Each
    /// of the ids in `end` ends the reply, and so does a stop string. A reply to a prompt with a constraint is one of its replies.
    ///
    /// # Errors
    /// [`EngineError`] if the prompt is invalid or does not fit into the context window with its budget; it is not added then.
    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError>;

    /// Computes until at least one reply is finished. Returns the finished replies; none only if no prompt is unfinished.
    ///
    /// # Errors
    /// [`EngineError`] if the engine fails; all unfinished prompts are dropped then.
    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError>;

    /// Drops an unfinished prompt; does nothing if there is none under this identifier.
    ///
    /// # Errors
    /// [`EngineError`] if the engine fails.
    fn cancel(&mut self, id: u64) -> Result<(), EngineError>;

    /// Completes every prompt, in order, while no other prompt is unfinished.
    ///
    /// # Errors
    /// [`EngineError`] if a prompt is invalid or does not fit, or if the engine fails; no prompt is completed then.
    fn complete(&mut self, prompts: Vec<Prompt>, end: &[u32]) -> Result<Vec<Reply>, EngineError> {
        let count = prompts.len();
        for (index, prompt) in prompts.into_iter().enumerate() {
            if let Err(error) = self.submit(index as u64, prompt, end) {
                for earlier in 0..index {
                    self.cancel(earlier as u64)?;
                }
                return Err(EngineError::new(format!("prompt {index} of the call: {error}")));
            }
        }
        let mut replies = vec![Reply::default(); count];
        let mut left = count;
        while left > 0 {
            let finished = self.advance()?;
            if finished.is_empty() {
                return Err(EngineError::new(format!(
                    "the engine completed {} of {count} prompts",
                    count - left
                )));
            }
            left = left.saturating_sub(finished.len());
            for (id, reply) in finished {
                replies[id as usize] = reply;
            }
        }
        Ok(replies)
    }
}
