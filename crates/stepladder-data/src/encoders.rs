//! Choice of an encoder: the one whose files a checkpoint directory holds.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::Codec;

use crate::encoder::{Budgets, EncoderError, PromptEncoder};
use crate::words::CompactWords;

/// Opens the encoder of a checkpoint directory, for prompts of the environment of `codec` and a model with `vocab` ids.
///
/// # Errors
/// [`EncoderError::File`] for a missing or invalid file, or one of another model.
pub fn open(
    directory: &Path,
    codec: Arc<dyn Codec>,
    vocab: usize,
    budgets: Budgets,
) -> Result<Arc<dyn PromptEncoder>, EncoderError> {
    Ok(Arc::new(CompactWords::load(directory, codec, vocab, budgets)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;
    use stepladder_core::codec::Plain;

    #[test]
    fn the_encoder_of_a_directory_is_opened_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let open = |vocab| open(folder.path(), Arc::new(Plain), vocab, Budgets { short: 7, long: 9 });
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
