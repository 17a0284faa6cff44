//! The encoder of small models on open vocabularies: compact prompts (docs/design.md D12), byte-pair encoding trained on the text of
//! the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stepladder_core::{Codec, Query, Role};

use crate::compact::Compact;
use crate::encoder::{Budgets, EncoderError, PromptEncoder, Rendered};
use crate::pieces::PieceTokenizer;
use crate::words::{TOKENIZER, save_config};

/// Beginning of the ids of this style, with its version; the id of the compact style follows.
pub(crate) const STYLE: &str = "bpe/1+";

/// Encoder of compact prompts with an environment's codec and a byte-pair encoding of a run's data.
#[derive(Clone)]
pub struct CompactPieces {
    style: Compact,
    tokenizer: PieceTokenizer,
    end: [u32; 1],
    budgets: Budgets,
    contents: Vec<u8>,
}

impl CompactPieces {
    /// Trains at most `size` tokens on the words of rendered prompts and written replies, each with its frequency.
    ///
    /// # Errors
    /// [`EncoderError::Tokenizer`] if the library fails.
    pub fn train(
        codec: Arc<dyn Codec>,
        budgets: Budgets,
        words: &BTreeMap<String, u64>,
        size: usize,
    ) -> Result<Self, EncoderError> {
        let style = Compact::new(codec);
        let tokenizer = PieceTokenizer::train(&style.markers(), words, size)?;
        Self::of(style, tokenizer, budgets)
    }

    fn of(style: Compact, tokenizer: PieceTokenizer, budgets: Budgets) -> Result<Self, EncoderError> {
        let (end, contents) = ([tokenizer.end()], tokenizer.contents()?);
        Ok(Self { style, tokenizer, end, budgets, contents })
    }

    /// Loads the encoder of a checkpoint directory, for prompts of the environment of `codec` and a model with `vocab` ids.
    ///
    /// # Errors
    /// [`EncoderError`] for a missing or invalid tokenizer, or one of another model.
    pub fn load(
        directory: &Path,
        codec: Arc<dyn Codec>,
        vocab: usize,
        budgets: Budgets,
    ) -> Result<Self, EncoderError> {
        let path = directory.join(TOKENIZER);
        let tokenizer = PieceTokenizer::load(&path).map_err(|error| EncoderError::new(&path, error))?;
        if tokenizer.len() != vocab {
            let reason = format!("it has {} tokens, the model beside it {vocab}", tokenizer.len());
            return Err(EncoderError::new(&path, reason));
        }
        Self::of(Compact::new(codec), tokenizer, budgets)
    }
}

impl PromptEncoder for CompactPieces {
    fn id(&self) -> String {
        format!("{STYLE}{}", self.style.id())
    }

    fn render(&self, query: &Query) -> Result<Rendered, EncoderError> {
        let text = self.style.prompt(query);
        let ids = self.tokenizer.encode(&text);
        Ok(Rendered { text, ids })
    }

    fn reply(&self, role: Role, native: &str, cut: bool) -> Vec<u32> {
        let mut ids = self.tokenizer.encode(&self.style.encode_reply(role, native));
        if !cut || ids.is_empty() {
            ids.extend(self.end);
        }
        ids
    }

    fn covers(&self, _ids: &[u32]) -> bool {
        true
    }

    fn decode(&self, role: Role, ids: &[u32]) -> String {
        let pieces = ids.strip_suffix(&self.end).unwrap_or(ids);
        self.style.decode_reply(role, &self.tokenizer.decode(pieces))
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

    fn vocab(&self) -> usize {
        self.tokenizer.len()
    }

    fn contents(&self) -> Vec<u8> {
        self.contents.clone()
    }

    fn is_in(&self, directory: &Path) -> Result<bool, EncoderError> {
        let path = directory.join(TOKENIZER);
        let found = PieceTokenizer::load(&path).map_err(|error| EncoderError::new(&path, error))?;
        Ok(found.contents()? == self.contents)
    }

    fn save(&self, directory: &Path, context: usize) -> Result<(), EncoderError> {
        save_config(directory, context, None)?;
        let path = directory.join(TOKENIZER);
        self.tokenizer.save(&path).map_err(|error| EncoderError::new(&path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders;
    use stepladder_core::codec::Plain;

    #[test]
    fn unseen_words_are_read_back_and_the_encoder_is_opened_by_its_style() {
        let words: BTreeMap<String, u64> =
            ["take", "mug", "from", "desk", "<sub>"].map(|word| (word.to_owned(), 9)).into();
        let budgets = Budgets { short: 7, long: 9, ..Budgets::default() };
        let encoder = CompactPieces::train(Arc::new(Plain), budgets, &words, 320).unwrap();
        let query = Query::Flat {
            task: "take the \u{e9}clair".into(),
            context: "room".into(),
            history: vec![("take mug".into(), "ok <end> ok".into())],
        };
        let prompt = encoder.render(&query).unwrap();
        // The style ends the earlier action; the text of the environment ends nothing.
        let ends = prompt.ids.iter().filter(|id| encoder.end().contains(id)).count();
        assert_eq!(ends, 1, "{}", prompt.text);
        for reply in ["take zebra from desk", "", "say <end>"] {
            let ids = encoder.reply(Role::Flat, reply, false);
            assert_eq!(ids.iter().filter(|id| encoder.end().contains(id)).count(), 1);
            assert_eq!(encoder.decode(Role::Flat, &ids), reply);
        }
        let folder = tempfile::tempdir().unwrap();
        encoder.save(folder.path(), 64).unwrap();
        let open = |vocab| encoders::open(folder.path(), &encoder.id(), Arc::new(Plain), vocab, budgets);
        let opened = open(encoder.vocab()).unwrap();
        assert_eq!((opened.id(), opened.prompt(&query).unwrap()), (encoder.id(), prompt.ids));
        assert!(opened.contents() == encoder.contents() && encoder.is_in(folder.path()).unwrap());
        assert!(open(encoder.vocab() + 1).err().unwrap().to_string().contains("the model beside it"));
    }
}
