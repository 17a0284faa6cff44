//! The encoder of small models: compact prompts, one token per word (docs/design.md D7, D12).

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use stepladder_core::{Codec, Query, Role};

use crate::compact::Compact;
use crate::encoder::{Budgets, EncoderError, Overflow, PromptEncoder, Rendered};
use crate::tokenizer::{END, PAD, UNKNOWN, WordTokenizer};

/// File of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// File of its special tokens and its limit, for transformers.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Encoder of compact prompts with an environment's codec and the vocabulary of a run's data.
#[derive(Clone)]
pub struct CompactWords {
    style: Compact,
    tokenizer: WordTokenizer,
    end: [u32; 1],
    budgets: Budgets,
}

impl CompactWords {
    /// Creates an encoder for prompts of the environment of `codec`, with a vocabulary of the markers and the codec's words.
    pub fn new(codec: Arc<dyn Codec>, budgets: Budgets) -> Self {
        let style = Compact::new(codec);
        let tokenizer = WordTokenizer::train(&style.markers(), []);
        Self::of(style, tokenizer, budgets)
    }

    /// Adds the words of `texts`, which are [`Rendered::text`]s and [`CompactWords::written`] replies.
    pub fn with_words<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let tokenizer = WordTokenizer::train(&self.style.markers(), texts);
        Self::of(self.style, tokenizer, self.budgets)
    }

    fn of(style: Compact, tokenizer: WordTokenizer, budgets: Budgets) -> Self {
        let end = [tokenizer.end()];
        Self { style, tokenizer, end, budgets }
    }

    /// Loads the encoder of a checkpoint directory, for prompts of the environment of `codec` and a model with `vocab` ids.
    ///
    /// # Errors
    /// [`EncoderError::File`] for a missing or invalid tokenizer, or one of another model.
    pub fn load(
        directory: &Path,
        codec: Arc<dyn Codec>,
        vocab: usize,
        budgets: Budgets,
    ) -> Result<Self, EncoderError> {
        let path = directory.join(TOKENIZER);
        let tokenizer = WordTokenizer::load(&path).map_err(|error| EncoderError::new(&path, error))?;
        if tokenizer.len() != vocab {
            let reason = format!("it has {} words, the model beside it {vocab}", tokenizer.len());
            return Err(EncoderError::new(&path, reason));
        }
        Ok(Self::of(Compact::new(codec), tokenizer, budgets))
    }

    /// Renders a query as text and token ids.
    pub fn render(&self, query: &Query) -> Rendered {
        let text = self.style.prompt(query);
        let ids = self.tokenizer.encode(&text);
        Rendered { text, ids }
    }

    /// Returns the token ids of a query's prompt.
    pub fn prompt(&self, query: &Query) -> Vec<u32> {
        self.render(query).ids
    }

    /// Returns the text of a native reply as the policy should write it, without the end token.
    pub fn written(&self, role: Role, native: &str) -> String {
        self.style.encode_reply(role, native)
    }

    /// Returns all words, by id.
    pub fn words(&self) -> &[String] {
        self.tokenizer.words()
    }

    /// Returns the factors of a word that share embeddings with other words (docs/design.md D12); empty for ordinary words.
    pub fn factors(&self, word: &str) -> Vec<String> {
        self.style.factors(word)
    }
}

impl PromptEncoder for CompactWords {
    fn id(&self) -> String {
        self.style.id()
    }

    fn render(&self, query: &Query) -> Result<Rendered, EncoderError> {
        Ok(Self::render(self, query))
    }

    fn reply(&self, role: Role, native: &str, cut: bool) -> Vec<u32> {
        let mut ids = self.tokenizer.encode(&self.written(role, native));
        if !cut || ids.is_empty() {
            ids.extend(self.end);
        }
        ids
    }

    fn covers(&self, ids: &[u32]) -> bool {
        !ids.contains(&self.tokenizer.unknown())
    }

    fn decode(&self, role: Role, ids: &[u32]) -> String {
        let words = ids.strip_suffix(&self.end).unwrap_or(ids);
        self.style.decode_reply(role, &self.tokenizer.decode(words))
    }

    fn end(&self) -> &[u32] {
        &self.end
    }

    fn pad(&self) -> u32 {
        self.tokenizer.pad()
    }

    fn budget(&self, role: Role) -> u32 {
        self.budgets.of(role)
    }

    fn overflow(&self) -> Overflow {
        self.budgets.overflow
    }

    fn vocab(&self) -> usize {
        self.tokenizer.len()
    }

    // Each word is preceded by its length, so that different lists never give the same bytes.
    fn contents(&self) -> Vec<u8> {
        let mut bytes = (self.words().len() as u64).to_le_bytes().to_vec();
        for word in self.words() {
            bytes.extend((word.len() as u64).to_le_bytes());
            bytes.extend(word.as_bytes());
        }
        bytes
    }

    fn contents_v1(&self) -> Option<String> {
        Some(self.words().join(" "))
    }

    fn is_in(&self, directory: &Path) -> Result<bool, EncoderError> {
        let path = directory.join(TOKENIZER);
        let found = WordTokenizer::load(&path).map_err(|error| EncoderError::new(&path, error))?;
        Ok(found.words() == self.words())
    }

    fn save(&self, directory: &Path, context: usize) -> Result<(), EncoderError> {
        save_config(directory, context, Some(UNKNOWN))?;
        let path = directory.join(TOKENIZER);
        self.tokenizer.save(&path).map_err(|error| EncoderError::new(&path, error))
    }
}

/// Writes [`TOKENIZER_CONFIG`] for a model with this context window.
pub(crate) fn save_config(
    directory: &Path,
    context: usize,
    unknown: Option<&str>,
) -> Result<(), EncoderError> {
    let path = directory.join(TOKENIZER_CONFIG);
    // A decoder generates from the right end, so the prompts of a batch are padded on the left.
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "bos_token": null,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": unknown,
        "padding_side": "left",
        "clean_up_tokenization_spaces": false,
    });
    let text = serde_json::to_string_pretty(&config).map_err(|error| EncoderError::new(&path, error))?;
    std::fs::write(&path, text + "\n").map_err(|error| EncoderError::new(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stepladder_core::Observation;
    use stepladder_core::codec::Plain;

    const STEP_ROLES: [Role; 4] = [Role::Planner, Role::Executor, Role::Progress, Role::Flat];

    fn knowing(texts: &[&str]) -> CompactWords {
        let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
        let written: Vec<String> = texts.iter().map(|text| bare.written(Role::Flat, text)).collect();
        bare.with_words(written.iter().map(String::as_str))
    }

    fn flat(history: &[(String, String)]) -> Query {
        Query::Flat { task: "the task".into(), context: "the room".into(), history: history.to_vec() }
    }

    /// Generates words and words that resemble markers, with single spaces.
    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof!["[a-z]{1,4}", "<[a-z\\\\]{1,4}>", "[;<>\\\\]{1,3}", Just("<end>".to_owned())];
        proptest::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn a_reply_is_read_back(text in text()) {
            let encoder = knowing(&[&text]);
            for role in STEP_ROLES {
                let whole = encoder.reply(role, &text, false);
                prop_assert_eq!(encoder.decode(role, &whole), text.clone());
                prop_assert!(encoder.covers(&whole));
                // The only end token is the last token, and there is no padding.
                prop_assert_eq!(whole.iter().position(|id| encoder.end().contains(id)), Some(whole.len() - 1));
                prop_assert!(!whole.contains(&encoder.pad()));
                let cut = encoder.reply(role, &text, true);
                let kept = if text.is_empty() { &whole[..] } else { &whole[..whole.len() - 1] };
                prop_assert_eq!(&cut[..], kept);
                prop_assert_eq!(encoder.decode(role, &cut), text.clone());
            }
        }

        #[test]
        fn subgoals_and_declared_actions_are_read_back(
            goals in proptest::collection::vec("[a-z]{1,5}( [a-z;]{1,5})?", 1..5),
            action in "[a-z]{1,5}( [a-z]{1,5})?",
            done in any::<bool>(),
        ) {
            let texts: Vec<&str> = goals.iter().map(String::as_str).chain([action.as_str()]).collect();
            let encoder = knowing(&texts);
            for (role, native) in [
                (Role::Macro, stepladder_core::blueprint::write(&goals)),
                (Role::Micro, stepladder_core::blueprint::write_micro(Some(&action), done)),
            ] {
                prop_assert_eq!(encoder.decode(role, &encoder.reply(role, &native, false)), native);
            }
        }

        #[test]
        fn a_flat_prompt_begins_with_the_one_before_and_its_reply(
            history in proptest::collection::vec(("[a-z]{1,5}", "[a-z;<>]{1,5}( [a-z]{1,5})?"), 1..6)
        ) {
            let encoder = knowing(&[]);
            for end in 1..=history.len() {
                let mut before = encoder.prompt(&flat(&history[..end - 1]));
                before.extend(encoder.reply(Role::Flat, &history[end - 1].0, false));
                prop_assert!(encoder.prompt(&flat(&history[..end])).starts_with(&before));
            }
        }
    }

    #[test]
    fn a_prompt_is_the_ids_of_its_text() {
        let query = Query::Executor {
            subtask: "open the <end> box".into(),
            observation: Observation { feedback: "a ; b".into(), context: "hall".into() },
            progress: "None".into(),
        };
        let bare = knowing(&[]);
        let text = bare.render(&query).text;
        assert_eq!(text, "hall <ex> open the <\\end> box <o> a ;\\ b <p> <r>");
        let encoder = bare.clone().with_words([text.as_str()]);
        let ids = encoder.prompt(&query);
        let words: Vec<&str> = ids.iter().map(|&id| encoder.words()[id as usize].as_str()).collect();
        assert_eq!(words.join(" "), text);
        assert!(!ids.contains(&encoder.pad()) && !ids.contains(&encoder.end()[0]));
        // The text in a trace is complete with any vocabulary.
        assert_eq!(bare.render(&query).text, text);
        assert_eq!((ids.len(), bare.prompt(&query).len()), (words.len(), words.len()));
        assert!(encoder.covers(&ids) && !bare.covers(&bare.prompt(&query)));
    }

    #[test]
    fn budgets_are_those_of_the_role() {
        let of = |budgets| {
            let encoder = CompactWords::new(Arc::new(Plain), budgets);
            Role::ALL.map(|role| encoder.budget(role)).to_vec()
        };
        let expected = |short, long| {
            let is_long = |role| matches!(role, Role::Progress | Role::Macro);
            Role::ALL.map(|role| if is_long(role) { long } else { short }).to_vec()
        };
        assert_eq!(of(Budgets::default()), expected(32, 150));
        assert_eq!(of(Budgets { short: 7, long: 9, ..Budgets::default() }), expected(7, 9));
    }

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let encoder = knowing(&["go to mug"]);
        encoder.save(folder.path(), 64).unwrap();
        let load = |vocab| CompactWords::load(folder.path(), Arc::new(Plain), vocab, Budgets::default());
        let again = load(encoder.vocab()).unwrap();
        assert_eq!((again.words(), again.id()), (encoder.words(), encoder.id()));
        assert_eq!(again.reply(Role::Flat, "go mug", false), encoder.reply(Role::Flat, "go mug", false));
        assert!(
            encoder.is_in(folder.path()).unwrap() && !knowing(&["go to cup"]).is_in(folder.path()).unwrap()
        );
        assert_eq!(encoder.contents(), again.contents());
        assert_ne!(knowing(&["go tom ug"]).contents(), encoder.contents());
        let message = load(encoder.vocab() + 1).err().unwrap().to_string();
        assert!(message.contains("tokenizer.json: it has "), "{message}");
        std::fs::remove_file(folder.path().join(TOKENIZER)).unwrap();
        assert!(encoder.is_in(folder.path()).is_err() && load(encoder.vocab()).is_err());
    }
}
