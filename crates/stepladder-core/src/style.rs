//! How the contents of a prompt become the text a model reads (design D7).

use crate::query::{Query, Role};

/// The word that ends every reply.
pub const END: &str = "<end>";
/// Padding; never a target.
pub const PAD: &str = "<pad>";
/// A word that the training data did not have.
pub const UNKNOWN: &str = "<unk>";

/// Renders prompts and translates replies for one kind of model.
pub trait PromptStyle: Send + Sync {
    /// Name recorded in checkpoints, with a version that goes up when the same query would look different.
    fn id(&self) -> String;

    /// The text the model reads.
    fn prompt(&self, query: &Query) -> String;

    /// A native reply as the model should write it.
    fn encode_reply(&self, role: Role, native: &str) -> String;

    /// What the model wrote, as native text.
    fn decode_reply(&self, role: Role, written: &str) -> String;

    /// Parts of a word that share embeddings with other words (design D12); empty for ordinary words.
    fn factors(&self, word: &str) -> Vec<String>;

    /// Markers the style uses, and other words, which the tokenizer must know whatever the training data hold.
    fn markers(&self) -> Vec<String>;
}
