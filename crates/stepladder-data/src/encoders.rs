//! Choice of an encoder by the prompt style that a checkpoint records.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::Codec;

use crate::compact_pieces::{self, CompactPieces};
use crate::encoder::{Budgets, EncoderError, PromptEncoder};
use crate::instruct::{Form, Instruct};
use crate::pretrained::PretrainedTokenizer;
use crate::words::CompactWords;

/// Opens the encoder of a checkpoint directory, for prompts of the environment of `codec` and a model with `vocab` ids. `style`
/// is the [`PromptEncoder::id`] of the encoder that the model was trained with.
///
/// # Errors
/// [`EncoderError::File`] for a missing or invalid file, or one of another model.
pub fn open(
    directory: &Path,
    style: &str,
    codec: Arc<dyn Codec>,
    vocab: usize,
    budgets: Budgets,
) -> Result<Arc<dyn PromptEncoder>, EncoderError> {
    match Form::of_style(style) {
        Some(form) => Ok(Arc::new(instruct(directory, codec, vocab, budgets, form)?)),
        None if style.starts_with(compact_pieces::STYLE) => {
            Ok(Arc::new(CompactPieces::load(directory, codec, vocab, budgets)?))
        }
        None => Ok(Arc::new(CompactWords::load(directory, codec, vocab, budgets)?)),
    }
}

/// Opens the tokenizer of a directory for prompts in natural language to a model with `vocab` ids.
///
/// # Errors
/// [`EncoderError::File`] for a missing or invalid file, one of a larger model, or a chat template that cannot be used.
pub fn instruct(
    directory: &Path,
    codec: Arc<dyn Codec>,
    vocab: usize,
    budgets: Budgets,
    form: Form,
) -> Result<Instruct, EncoderError> {
    Instruct::new(PretrainedTokenizer::load_for(directory, vocab)?, codec, budgets, form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;
    use stepladder_core::codec::Plain;

    #[test]
    fn the_encoder_of_a_directory_is_opened_by_its_style() {
        let folder = tempfile::tempdir().unwrap();
        let style = CompactWords::new(Arc::new(Plain), Budgets::default()).id();
        let open = |vocab| {
            open(folder.path(), &style, Arc::new(Plain), vocab, Budgets { short: 7, ..Budgets::default() })
        };
        assert!(open(3).err().unwrap().to_string().contains("tokenizer.json: "));
        let saved = CompactWords::new(Arc::new(Plain), Budgets::default()).with_words(["go to mug"]);
        saved.save(folder.path(), 64).unwrap();
        let opened = open(saved.vocab()).unwrap();
        assert_eq!((opened.id(), opened.contents()), (saved.id(), saved.contents()));
        assert_eq!(opened.reply(Role::Flat, "go mug", false), saved.reply(Role::Flat, "go mug", false));
        assert_eq!(opened.budget(Role::Flat), 7);
        assert!(open(saved.vocab() + 1).err().unwrap().to_string().contains("the model beside it"));
    }
}
