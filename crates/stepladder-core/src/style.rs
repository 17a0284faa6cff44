//! Rendering of prompt contents as text (design D7).

use crate::query::{Query, Role};

/// Last word of every reply.
pub const END: &str = "<end>";
/// Padding; never a target.
pub const PAD: &str = "<pad>";
/// A word outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// Renders prompts, and translates replies, for word-level models.
pub trait PromptStyle: Send + Sync {
    /// Name recorded in checkpoints; its version goes up when the rendering of a query changes.
    fn id(&self) -> String;

    /// Renders a prompt.
    fn prompt(&self, query: &Query) -> String;

    /// Encodes a reply as a training target.
    fn encode_reply(&self, role: Role, native: &str) -> String;

    /// Decodes a completion to native text.
    fn decode_reply(&self, role: Role, written: &str) -> String;

    /// Factors of a word that share embeddings with other words (design D12); empty for ordinary words.
    fn factors(&self, word: &str) -> Vec<String>;

    /// Words that the vocabulary contains regardless of the training data: markers of the style, and words of the codec.
    fn markers(&self) -> Vec<String>;
}
