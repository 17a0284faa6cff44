//! `model convert`: a GGUF file as a Hugging Face directory.

use std::path::Path;

use anyhow::Result;
use stepladder_model::gguf;

use super::super::say;
use super::create;

/// Converts a file into a new directory, which appears when it is complete.
///
/// # Errors
/// One sentence with the file and the cause. Nothing is left behind.
pub(super) fn convert(file: &Path, directory: &Path) -> Result<()> {
    create(directory, |partial| Ok(gguf::convert(file, partial)?))?;
    say(format_args!("{}: a Hugging Face directory in f32", directory.display()));
    Ok(())
}
