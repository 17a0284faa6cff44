//! Text and token ids: the only place that knows how a policy reads prompts and writes replies (docs/design.md D14).

use std::path::Path;

use stepladder_core::section;
use stepladder_core::section::Bound;
use stepladder_core::{Query, Role};

/// Reason why the files of an encoder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// A file is missing or broken, or does not fit the model beside it.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl EncoderError {
    pub(crate) fn new(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}

/// A prompt as a policy reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text, for traces.
    pub text: String,
    /// The token ids of the text.
    pub ids: Vec<u32>,
}

section! {
    /// Token limits of replies (docs/spec/algorithms.md 2.2).
    pub struct Budgets {
        /// New tokens of a reply of one sentence or action: planner, executor, flat and micro.
        pub short: u32 = 32 => [Bound::AtLeast(1)],
        /// New tokens of a reply of several sentences: progress and macro.
        pub long: u32 = 150 => [Bound::AtLeast(1)],
    }
}

impl Copy for Budgets {}

impl Budgets {
    /// New tokens that a reply of this role may have.
    pub fn of(self, role: Role) -> u32 {
        match role {
            Role::Planner | Role::Executor | Role::Flat | Role::Micro => self.short,
            Role::Progress | Role::Macro => self.long,
        }
    }
}

/// Turns the contents of prompts into token ids, and token ids of replies into native text.
pub trait PromptEncoder: Send + Sync {
    /// Name recorded in checkpoints, with a version that goes up when the same query would give other ids.
    fn id(&self) -> String;

    /// The prompt as the policy reads it.
    fn render(&self, query: &Query) -> Rendered;

    /// Token ids of the prompt.
    fn prompt(&self, query: &Query) -> Vec<u32> {
        self.render(query).ids
    }

    /// Token ids of a native reply as the policy should write it, with the first id of [`PromptEncoder::end`] behind it. A
    /// reply that was `cut` has no end, unless it is empty (docs/spec/algorithms.md 1.3).
    fn reply(&self, role: Role, native: &str, cut: bool) -> Vec<u32>;

    /// Whether these ids stand for all of the text that they were made from; not if a word of it has no id of its own.
    fn covers(&self, ids: &[u32]) -> bool;

    /// Native text of a reply that the policy wrote; an end at its end is no part of it.
    fn decode(&self, role: Role, ids: &[u32]) -> String;

    /// Ids each of which ends a reply; the first one is written behind replies to learn. Never empty.
    fn end(&self) -> &[u32];

    /// Id of padding, never a target.
    fn pad(&self) -> u32;

    /// New tokens that a reply of this role may have.
    fn budget(&self, role: Role) -> u32;

    /// Number of ids: those of a model that reads this encoder's prompts are below it.
    fn vocab(&self) -> usize;

    /// Bytes that differ whenever some text would get other ids; hashed into the identity of a run's data.
    fn contents(&self) -> Vec<u8>;

    /// The same as release 0.1.0 hashed it; none for encoders that it did not have.
    fn contents_v1(&self) -> Option<String> {
        None
    }

    /// Whether the encoder of a checkpoint directory gives the same ids as this one.
    ///
    /// # Errors
    /// [`EncoderError::File`] if a file of that encoder is missing or broken.
    fn is_in(&self, directory: &Path) -> Result<bool, EncoderError>;

    /// Writes `tokenizer.json` and `tokenizer_config.json` for a model with this context.
    ///
    /// # Errors
    /// [`EncoderError::File`].
    fn save(&self, directory: &Path, context: usize) -> Result<(), EncoderError>;
}
