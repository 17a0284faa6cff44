//! Conversion between text and token ids: only an encoder determines how a policy reads prompts and writes replies
//! (docs/design.md D14).

use std::path::Path;

use crate::token_bytes::Writing;
use crate::tokenizer::TokenizerError;
use stepladder_core::reply;
use stepladder_core::{Query, Role};

/// Error in reading or writing the files of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// A file is missing or invalid, or does not match the model of its directory.
    #[error("{path}: {reason}")]
    File {
        /// Path of the file.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The tokenizer of a run cannot be trained.
    #[error("{0}")]
    Tokenizer(String),
}

impl From<TokenizerError> for EncoderError {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error.to_string())
    }
}

impl EncoderError {
    pub(crate) fn new(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}

/// A rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Text, for traces.
    pub text: String,
    /// Token ids of the text.
    pub ids: Vec<u32>,
}

stepladder_core::choices! {
    /// Treatment of a prompt that exceeds the context window, together with the budget of its reply.
    pub enum Overflow {
        /// Removes parts (`fit::shrink`) and counts the prompt as shortened.
        Shorten = "shorten",
        /// Aborts the episode.
        Stop = "stop",
    }
}

/// Token limits of replies (docs/spec/algorithms.md 2.2), and treatment of prompts that leave no tokens for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// New tokens of a reply of one sentence or action: planner, executor, flat and micro.
    pub short: u32,
    /// New tokens of a reply of several sentences: progress and macro.
    pub long: u32,
    /// Treatment of a prompt that exceeds the context window, together with the budget of its reply.
    pub overflow: Overflow,
}

impl Default for Budgets {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Budgets {
    /// The published limits; prompts are shortened.
    pub const DEFAULT: Self = Self { short: 32, long: 150, overflow: Overflow::Shorten };

    /// Returns the maximum number of new tokens of this role's replies.
    pub fn of(self, role: Role) -> u32 {
        match role {
            Role::Planner | Role::Executor | Role::Flat | Role::Micro => self.short,
            Role::Progress | Role::Macro => self.long,
        }
    }
}

/// Turns the contents of prompts into token ids, and token ids of replies into native text.
pub trait PromptEncoder: Send + Sync {
    /// Returns the name recorded in checkpoints, with a version that increases when the same query would give other ids.
    fn id(&self) -> String;

    /// Renders a query as text and token ids.
    ///
    /// # Errors
    /// [`EncoderError::File`] if the chat template of a model refuses the dialogue.
    fn render(&self, query: &Query) -> Result<Rendered, EncoderError>;

    /// Returns the token ids of a query's prompt.
    ///
    /// # Errors
    /// Those of [`PromptEncoder::render`].
    fn prompt(&self, query: &Query) -> Result<Vec<u32>, EncoderError> {
        Ok(self.render(query)?.ids)
    }

    /// Returns ids with which all prompts of a role begin, for a generator to compute them once; none where prompts share little.
    fn shared(&self, _role: Role) -> Vec<u32> {
        Vec::new()
    }

    /// Encodes a native reply as the policy should write it, followed by the first id of [`PromptEncoder::end`]. A reply
    /// that was `cut` has no end token, unless it is empty (docs/spec/algorithms.md 1.3).
    fn reply(&self, role: Role, native: &str, cut: bool) -> Vec<u32>;

    /// Whether the ids represent their text completely, without an unknown word.
    fn covers(&self, ids: &[u32]) -> bool;

    /// Decodes a reply of the policy to native text, without an end token.
    fn decode(&self, role: Role, ids: &[u32]) -> String;

    /// Returns the text of tokens, for stop strings; `None` for a style whose replies have no text of their own.
    fn writing(&self) -> Option<Writing> {
        None
    }

    /// Returns the native text of a reply that the policy wrote as this text.
    fn native(&self, role: Role, written: &str) -> String {
        let _ = role;
        written.to_owned()
    }

    /// Whether a reply of the policy can be parsed as an answer of its role.
    fn parses(&self, role: Role, ids: &[u32]) -> bool {
        reply::parses(role, &self.decode(role, ids))
    }

    /// Returns the ids of the end tokens, at least one: each of them ends a reply, and the first one follows the replies of
    /// training rows.
    fn end(&self) -> &[u32];

    /// Returns the id of padding, which is never a target.
    fn pad(&self) -> u32;

    /// Returns the generation budget of this role: the maximum number of new tokens of its replies.
    fn budget(&self, role: Role) -> u32;

    /// Returns the treatment of prompts that exceed the context window.
    fn overflow(&self) -> Overflow {
        Overflow::Shorten
    }

    /// Returns the size of the vocabulary: all ids are below it.
    fn vocab(&self) -> usize;

    /// Returns bytes that differ whenever some text would get other ids; they are hashed into the identity of a run's data.
    fn contents(&self) -> Vec<u8>;

    /// Returns the contents as release 0.1.0 hashed them, or `None` for encoders that it did not have.
    fn contents_v1(&self) -> Option<String> {
        None
    }

    /// Whether the encoder of a checkpoint directory gives the same ids as this one.
    ///
    /// # Errors
    /// [`EncoderError::File`] if a file of that encoder is missing or invalid.
    fn is_in(&self, directory: &Path) -> Result<bool, EncoderError>;

    /// Writes `tokenizer.json` and `tokenizer_config.json` for a model with this context window.
    ///
    /// # Errors
    /// [`EncoderError::File`] if a file cannot be written.
    fn save(&self, directory: &Path, context: usize) -> Result<(), EncoderError>;
}
