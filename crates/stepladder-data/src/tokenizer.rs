//! The tokenizer of small models: one token per word of the prompt style (docs/design.md D7, D12).
//!
//! It is a plain word-level tokenizer, saved as `tokenizer.json` in the format of the `tokenizers` library, which
//! transformers can load.

use std::collections::BTreeSet;
use std::path::Path;

use rustc_hash::FxHashMap;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{AddedToken, Tokenizer};

/// End token of replies.
pub const END: &str = "<end>";
/// Padding token; never a target.
pub const PAD: &str = "<pad>";
/// Token of all words that are not in the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// Error in reading or writing a tokenizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file cannot be read or written, or is not a tokenizer.
    #[error("{path}: {reason}")]
    File {
        /// Path of the file.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The library cannot train or write a tokenizer.
    #[error("the tokenizer cannot be trained: {0}")]
    Train(String),
    /// The vocabulary lacks a special word.
    #[error("{path}: the vocabulary has no `{word}`; was it written by Stepladder?")]
    Missing {
        /// Path of the file.
        path: String,
        /// The missing word.
        word: &'static str,
    },
}

/// Word-level tokenizer.
#[derive(Debug, Clone)]
pub struct WordTokenizer {
    words: Vec<String>,
    ids: FxHashMap<String, u32>,
}

impl WordTokenizer {
    /// Builds a vocabulary of the special words, then `markers`, then every word of `texts` in alphabetical order. The same
    /// data give the same ids.
    pub fn train<'a>(markers: &[String], texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        for text in texts {
            found.extend(text.split_whitespace());
        }
        let mut words: Vec<String> = [PAD, UNKNOWN, END].map(str::to_owned).to_vec();
        let mut known: BTreeSet<String> = words.iter().cloned().collect();
        words
            .extend(markers.iter().filter(|word| !word.is_empty() && known.insert((*word).clone())).cloned());
        words.extend(found.into_iter().filter(|word| !known.contains(*word)).map(str::to_owned));
        Self::from_words(words)
    }

    fn from_words(words: Vec<String>) -> Self {
        let ids = words.iter().enumerate().map(|(id, word)| (word.clone(), id as u32)).collect();
        Self { words, ids }
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Always false, since the vocabulary has the special words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns all words, by id.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the id of the padding token.
    pub fn pad(&self) -> u32 {
        self.ids[PAD]
    }

    /// Returns the id of the end token.
    pub fn end(&self) -> u32 {
        self.ids[END]
    }

    /// Returns the id of unknown words.
    pub fn unknown(&self) -> u32 {
        self.ids[UNKNOWN]
    }

    /// Returns the id of a word, or that of [`UNKNOWN`] if the vocabulary lacks it.
    pub fn id(&self, word: &str) -> u32 {
        self.ids.get(word).copied().unwrap_or(self.ids[UNKNOWN])
    }

    /// Encodes the words of a text.
    ///
    /// ```
    /// use stepladder_data::tokenizer::WordTokenizer;
    /// let tokenizer = WordTokenizer::train(&["<ex>".to_owned()], ["go_to mug_1", "take mug_1"]);
    /// let ids = tokenizer.encode("<ex> take mug_1 <end>");
    /// assert_eq!(tokenizer.decode(&ids), "<ex> take mug_1 <end>");
    /// assert_eq!(tokenizer.decode(&tokenizer.encode("fly")), "<unk>");
    /// ```
    pub fn encode(&self, text: &str) -> Vec<u32> {
        text.split_whitespace().map(|word| self.id(word)).collect()
    }

    /// Decodes ids to words with single spaces; ids out of range are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let words: Vec<&str> =
            ids.iter().filter_map(|&id| self.words.get(id as usize).map(String::as_str)).collect();
        words.join(" ")
    }

    /// Writes `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::File`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        let fail = |reason: String| TokenizerError::File { path: path.display().to_string(), reason };
        let vocabulary = self.ids.iter().map(|(word, &id)| (word.clone(), id)).collect();
        let model = WordLevel::builder()
            .vocab(vocabulary)
            .unk_token(UNKNOWN.to_owned())
            .build()
            .map_err(|error| fail(error.to_string()))?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_pre_tokenizer(Some(WhitespaceSplit));
        tokenizer.add_special_tokens(&[PAD, UNKNOWN, END].map(|word| AddedToken::from(word, true)));
        let text = tokenizer.to_string(true).map_err(|error| fail(error.to_string()))?;
        std::fs::write(path, text).map_err(|error| fail(error.to_string()))
    }

    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError`] if the file is missing, is not a tokenizer or lacks a special word.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let name = path.display().to_string();
        let tokenizer = Tokenizer::from_file(path)
            .map_err(|error| TokenizerError::File { path: name.clone(), reason: error.to_string() })?;
        let vocabulary = tokenizer.get_vocab(true);
        let mut words = vec![String::new(); vocabulary.len()];
        for (word, id) in vocabulary {
            let slot = words.get_mut(id as usize).ok_or_else(|| TokenizerError::File {
                path: name.clone(),
                reason: format!("the id {id} of `{word}` is beyond the vocabulary"),
            })?;
            *slot = word;
        }
        let tokenizer = Self::from_words(words);
        for word in [PAD, UNKNOWN, END] {
            if !tokenizer.ids.contains_key(word) {
                return Err(TokenizerError::Missing { path: name, word });
            }
        }
        Ok(tokenizer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_agrees_with_the_tokenizers_library() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let ours = WordTokenizer::train(&["<ex>".into()], ["go_to cabinet*10 mug_2 ; <o>", "a a b"]);
        ours.save(&path).unwrap();
        let theirs = Tokenizer::from_file(&path).unwrap();
        for text in
            ["<ex> go_to mug_2 ; <end>", "never seen mug_2", "say <\\end> <\\unk> ;\\ <\\pad> mug_2", ""]
        {
            assert_eq!(theirs.encode(text, false).unwrap().get_ids(), ours.encode(text), "{text}");
        }
        let again = WordTokenizer::load(&path).unwrap();
        assert_eq!(again.words(), ours.words());
    }

    #[test]
    fn a_word_that_is_named_twice_has_one_id() {
        let markers = ["<ex>", "mug", "<ex>", UNKNOWN, "mug", ""].map(str::to_owned);
        let tokenizer = WordTokenizer::train(&markers, ["mug table <ex>"]);
        assert_eq!(tokenizer.words(), [PAD, UNKNOWN, END, "<ex>", "mug", "table"]);
    }

    #[test]
    fn a_broken_file_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, "{").unwrap();
        let message = WordTokenizer::load(&path).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}
