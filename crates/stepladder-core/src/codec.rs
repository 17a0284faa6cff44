//! Lossless compact re-encoding of an environment's texts (docs/design.md D12).

/// Turns an environment's texts into a short sequence of words and back.
///
/// A compact form consists of words separated by single spaces; every word becomes one token. It never looks at
/// hidden state: it is a function of the text alone. For every text that can occur in a prompt or reply,
/// `decode(encode(text)) == text`.
pub trait Codec: Send + Sync {
    /// Name recorded in checkpoints, with a version that goes up when the encoding changes.
    fn id(&self) -> &'static str;

    /// Encodes a text.
    fn encode(&self, text: &str) -> String;

    /// Decodes a compact form. Total: a model may write any sequence of words.
    fn decode(&self, compact: &str) -> String;

    /// Factors of a word that share embeddings with other words (docs/design.md D12), for example `mug_2` → kind `mug`,
    /// number `2`. Empty for a word that is only itself.
    fn factors(&self, word: &str) -> Vec<String>;

    /// Whether the outcome of an action is visible in the context rather than in the answer, so that progress prompts
    /// need the context.
    fn progress_needs_context(&self) -> bool {
        false
    }

    /// Sentences about the environment for prompts in natural language.
    fn briefing(&self) -> Briefing {
        Briefing::default()
    }

    /// Shorter wording of a context for prompts in natural language; [`Briefing::legend`] explains it. It loses nothing that
    /// an action may name.
    fn outline(&self, context: &str) -> String {
        context.to_owned()
    }

    /// Whether an answer refuses the action: it was not understood, or the environment gives the same answer to an action without
    /// effect. Evaluations count refusals beside [`crate::Step::unknown_action`], which rewards depend on.
    fn refuses(&self, answer: &str) -> bool {
        let _ = answer;
        false
    }

    /// Words that texts may contain although no demonstration does; their embeddings come from their factors.
    fn words(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Description of an environment for a language model. A change needs another [`Codec::id`] or another version of the style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Briefing {
    /// A sentence that says where the model acts.
    pub scene: &'static str,
    /// A sentence that lists the actions, or nothing.
    pub actions: &'static str,
    /// Name of the context in prompts.
    pub context: &'static str,
    /// A sentence that explains the notation of contexts, or nothing.
    pub legend: &'static str,
}

impl Default for Briefing {
    fn default() -> Self {
        Self { scene: "You act in a text environment.", actions: "", context: "Scene", legend: "" }
    }
}

/// Identity codec: words are separated by spaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Codec for Plain {
    fn id(&self) -> &'static str {
        "plain/1"
    }

    fn encode(&self, text: &str) -> String {
        text.to_owned()
    }

    fn decode(&self, compact: &str) -> String {
        compact.to_owned()
    }

    fn factors(&self, _word: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Decodes a word that a codec spelled out: after a first backslash, `\\` is a backslash and `\x{1f}` for a
/// character by its number. Any other word is itself.
///
/// ```
/// use stepladder_core::codec::unescape;
/// assert_eq!(unescape("\\a\\x{20}b"), "a b");
/// assert_eq!(unescape("plain"), "plain");
/// ```
pub fn unescape(word: &str) -> String {
    const ESCAPE: char = '\\';
    let Some(mut rest) = word.strip_prefix(ESCAPE) else { return word.to_owned() };
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix(ESCAPE) {
            text.push(ESCAPE);
            rest = after;
        } else if let Some((hex, after)) = rest.strip_prefix("x{").and_then(|rest| rest.split_once('}'))
            && let Some(c) = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)
        {
            text.push(c);
            rest = after;
        }
    }
    text + rest
}
