//! A tokenizer for small models on open vocabularies: byte-pair encoding trained on the text of a run (arXiv:1508.07909).
//!
//! Every word is encoded by itself as its UTF-8 bytes behind a space, so that no text has unknown words; markers of the prompt style
//! are tokens of their own. It is saved as `tokenizer.json` in the format of the `tokenizers` library, which transformers can load.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::tokenizer::Trainer;
use tokenizers::{
    AddedToken, Model, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer,
};

use crate::tokenizer::{END, PAD, TokenizerError};

/// Words whose ids are cached. Data of a run have a few thousand; a policy that generates garbage must not fill the memory.
const CACHED: usize = 1 << 16;

/// Byte-level BPE tokenizer with whole-word markers.
#[derive(Debug, Clone)]
pub struct PieceTokenizer {
    tokenizer: Tokenizer,
    /// Ids of the special words and markers.
    special: FxHashMap<String, u32>,
    /// The same by id.
    names: BTreeMap<u32, String>,
    end: u32,
    pad: u32,
    cache: Arc<RwLock<FxHashMap<String, Arc<[u32]>>>>,
}

/// Bytes of a word behind a space, as characters that the model merges.
fn bytes_of(word: &str) -> tokenizers::Result<String> {
    let mut text = PreTokenizedString::from(word);
    ByteLevel::new(true, false, false).pre_tokenize(&mut text)?;
    let parts = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
    Ok(parts.into_iter().map(|(part, ..)| part).collect())
}

impl PieceTokenizer {
    /// Trains at most `size` tokens on words, each with its frequency. The special words come first, then `markers` and the 256
    /// bytes, then merges from the most frequent. The same data give the same ids.
    ///
    /// # Errors
    /// [`TokenizerError::Train`] if the library fails.
    pub fn train(
        markers: &[String],
        words: &BTreeMap<String, u64>,
        size: usize,
    ) -> Result<Self, TokenizerError> {
        let fail = |error: tokenizers::Error| TokenizerError::Train(error.to_string());
        let special = [PAD.to_owned(), END.to_owned()].into_iter().chain(markers.iter().cloned());
        let special: Vec<AddedToken> =
            special.filter(|word| !word.is_empty()).map(|word| AddedToken::from(word, true)).collect();
        let known: Vec<&str> = special.iter().map(|token| token.content.as_str()).collect();
        let mut trainer = BpeTrainer::builder()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(special.clone())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let counted = words.iter().filter(|(word, _)| !known.contains(&word.as_str()));
        let counted: Vec<(String, u64)> = counted
            .map(|(word, count)| Ok((bytes_of(word)?, *count)))
            .collect::<tokenizers::Result<_>>()
            .map_err(fail)?;
        let places: Vec<String> = (0..counted.len()).map(|place| place.to_string()).collect();
        trainer
            .feed(places.iter(), |place| {
                let (word, count) = &counted[place.parse::<usize>()?];
                Ok(vec![word.clone(); *count as usize])
            })
            .map_err(fail)?;
        let mut model = BPE::default();
        trainer.train(&mut model).map_err(fail)?;
        let mut tokenizer = Tokenizer::new(model);
        let both: Vec<PreTokenizerWrapper> =
            vec![WhitespaceSplit.into(), ByteLevel::new(true, false, false).into()];
        tokenizer.with_pre_tokenizer(Some(Sequence::new(both)));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        tokenizer.add_special_tokens(&special);
        Self::of(tokenizer, "the trained tokenizer")
    }

    fn of(tokenizer: Tokenizer, path: &str) -> Result<Self, TokenizerError> {
        let names: BTreeMap<u32, String> =
            tokenizer.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.content)).collect();
        let special: FxHashMap<String, u32> = names.iter().map(|(id, name)| (name.clone(), *id)).collect();
        let id = |word: &'static str| {
            let missing = || TokenizerError::Missing { path: path.to_owned(), word };
            special.get(word).copied().ok_or_else(missing)
        };
        let (end, pad) = (id(END)?, id(PAD)?);
        Ok(Self { tokenizer, special, names, end, pad, cache: Arc::default() })
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Always false, since the vocabulary has the special words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the id of the padding token.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// Returns the id of the end token.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Encodes the words of a text.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use stepladder_data::pieces::PieceTokenizer;
    /// let words = BTreeMap::from(["go_to", "mug_1", "mug_2"].map(|word| (word.to_owned(), 5)));
    /// let tokenizer = PieceTokenizer::train(&["<ex>".to_owned()], &words, 400).unwrap();
    /// let ids = tokenizer.encode("<ex> go_to mug_7 <end>");
    /// assert_eq!(tokenizer.decode(&ids), "<ex> go_to mug_7 <end>");
    /// // A frequent word is one token.
    /// assert_eq!(tokenizer.encode("mug_1").len(), 1);
    /// ```
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for word in text.split_whitespace() {
            match self.special.get(word) {
                Some(id) => ids.push(*id),
                None => ids.extend_from_slice(&self.pieces(word)),
            }
        }
        ids
    }

    fn pieces(&self, word: &str) -> Arc<[u32]> {
        if let Some(ids) = self.cache.read().unwrap_or_else(PoisonError::into_inner).get(word) {
            return ids.clone();
        }
        // Byte-level BPE has a token for every byte, so that it refuses no text.
        let pieces = bytes_of(word).and_then(|bytes| self.tokenizer.get_model().tokenize(&bytes));
        let ids: Arc<[u32]> = pieces.unwrap_or_default().iter().map(|piece| piece.id).collect();
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() < CACHED {
            cache.insert(word.to_owned(), ids.clone());
        }
        ids
    }

    /// Decodes ids to words with single spaces. Bytes that are not UTF-8 become replacement characters; ids out of range are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut rest = ids;
        while let Some(first) = rest.first() {
            if let Some(name) = self.names.get(first) {
                parts.push(name.clone());
                rest = &rest[1..];
                continue;
            }
            let run = rest.iter().position(|id| self.names.contains_key(id)).unwrap_or(rest.len());
            parts.push(self.tokenizer.decode(&rest[..run], false).unwrap_or_default());
            rest = &rest[run..];
        }
        let words: Vec<&str> = parts.iter().flat_map(|part| part.split_whitespace()).collect();
        words.join(" ")
    }

    /// Returns bytes that differ whenever some text would get other ids.
    ///
    /// # Errors
    /// [`TokenizerError::Train`] if the library cannot write the tokenizer.
    pub fn contents(&self) -> Result<Vec<u8>, TokenizerError> {
        let text =
            self.tokenizer.to_string(false).map_err(|error| TokenizerError::Train(error.to_string()))?;
        Ok(text.into_bytes())
    }

    /// Writes `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::File`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        let fail = |reason: String| TokenizerError::File { path: path.display().to_string(), reason };
        let text = self.tokenizer.to_string(true).map_err(|error| fail(error.to_string()))?;
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
        Self::of(tokenizer, &name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trained(size: usize) -> PieceTokenizer {
        let words = ["take", "taken", "taking", "mug_1", "mug_2", "desk", "d\u{e9}j\u{e0}"];
        let words = words.iter().zip(2..).map(|(word, count)| ((*word).to_owned(), count)).collect();
        PieceTokenizer::train(&["<ex>".to_owned(), "<sub>".to_owned()], &words, size).unwrap()
    }

    #[test]
    fn training_is_deterministic_and_bounded() {
        let first = trained(300);
        assert!(first.contents().unwrap() == trained(300).contents().unwrap());
        assert!(first.contents().unwrap() != trained(270).contents().unwrap());
        assert!(first.len() <= 300 && trained(270).len() == 270);
        // 256 bytes, two special words, two markers, then merges.
        assert_eq!((first.pad(), first.end()), (0, 1));
        assert!(first.encode("take").len() < "take".len());
    }

    #[test]
    fn a_saved_tokenizer_gives_the_same_ids() {
        let (folder, tokenizer) = (tempfile::tempdir().unwrap(), trained(300));
        let path = folder.path().join("tokenizer.json");
        tokenizer.save(&path).unwrap();
        let loaded = PieceTokenizer::load(&path).unwrap();
        let text = "<ex> taking mug_3 \u{4e2d}\u{1f600} <end>";
        assert_eq!(loaded.encode(text), tokenizer.encode(text));
        assert_eq!(loaded.contents().unwrap(), tokenizer.contents().unwrap());
        // The file describes the same tokenizer to other programs.
        let whole = Tokenizer::from_file(&path).unwrap().encode(text, false).unwrap();
        assert_eq!(whole.get_ids(), tokenizer.encode(text));
        std::fs::write(&path, "{}").unwrap();
        assert!(PieceTokenizer::load(&path).is_err());
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "[\\PC \\t\\n]{0,40}", ids in proptest::collection::vec(0u32..400, 0..20)) {
            let tokenizer = trained(300);
            let words: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), words.join(" "));
            // Any ids can be decoded.
            tokenizer.decode(&ids);
        }
    }
}
