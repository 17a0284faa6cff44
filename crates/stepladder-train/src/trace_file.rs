//! Traces on disk, plain or compressed by their extension.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use stepladder_core::trace::{self, Episode};

use super::output::Output;
use crate::error::Result;

enum Sink {
    Plain(Output),
    Compressed(Box<zstd::Encoder<'static, Output>>),
}

/// Writer of episodes to a file or a stream ([`Output`]).
pub struct Writer {
    sink: Sink,
    target: PathBuf,
}

fn compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

impl Writer {
    /// Opens a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        Self::to(Output::create(path)?)
    }

    /// Creates a writer on an output; compresses if its name ends in `.zst`.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub fn to(output: Output) -> Result<Self> {
        let target = output.path().to_owned();
        let sink = if compressed(&target) {
            Sink::Compressed(Box::new(zstd::Encoder::new(output, 3)?))
        } else {
            Sink::Plain(output)
        };
        Ok(Self { sink, target })
    }

    /// Writes an episode.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub fn write(&mut self, episode: &Episode) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Plain(writer) => trace::write(writer, episode),
            Sink::Compressed(writer) => trace::write(writer, episode),
        };
        Ok(written.with_context(|| format!("cannot write {}", self.target.display()))?)
    }

    /// Writes the episodes and finishes the file.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub fn write_all<'a>(mut self, episodes: impl IntoIterator<Item = &'a Episode>) -> Result<()> {
        for episode in episodes {
            self.write(episode)?;
        }
        self.finish()
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Plain(output) => output,
            Sink::Compressed(writer) => {
                writer.finish().with_context(|| format!("cannot write {}", self.target.display()))?
            }
        }
        .finish()
    }
}

/// Writes all episodes to a file.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, episodes: &[Episode]) -> Result<()> {
    Writer::create(path)?.write_all(episodes)
}

/// Reads all episodes of a file.
///
/// # Errors
/// If the file cannot be read or is no trace.
pub fn load(path: &Path) -> Result<Vec<Episode>> {
    let file = fs_err::File::open(path)?;
    let reader: Box<dyn Read> =
        if compressed(path) { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    let episodes = trace::read(BufReader::new(reader)).collect::<Result<_, _>>();
    Ok(episodes.with_context(|| path.display().to_string())?)
}
