//! `model convert`: a GGUF file as a Hugging Face directory.

use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;
use stepladder_model::gguf;

use super::super::say;

/// Converts a file into a new directory, which appears when it is complete.
///
/// # Errors
/// One sentence with the file and the cause. Nothing is left behind.
pub(super) fn convert(file: &Path, directory: &Path) -> Result<()> {
    let Some(name) = directory.file_name().filter(|_| !directory.exists()) else {
        bail!("{} exists already; name a new directory", directory.display());
    };
    let partial = directory.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    // What a killed process left.
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    let ending = gguf::convert(file, &partial).map_err(anyhow::Error::from).and_then(|()| {
        fs::rename(&partial, directory)?;
        Ok(())
    });
    if ending.is_err() {
        fs::remove_dir_all(&partial)?;
    }
    ending?;
    say(format_args!("{}: a Hugging Face directory in f32", directory.display()));
    Ok(())
}
