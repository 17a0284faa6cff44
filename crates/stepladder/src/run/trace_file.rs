//! Traces on disk, plain or compressed by their extension.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stepladder_core::trace::{self, Episode};

enum Sink {
    Plain(BufWriter<fs_err::File>),
    Compressed(zstd::Encoder<'static, BufWriter<fs_err::File>>),
}

/// Writes under a temporary name; [`Writer::finish`] puts the file in place, so a kill leaves no half file.
pub(crate) struct Writer {
    /// None once it is finished.
    sink: Option<Sink>,
    temporary: PathBuf,
    target: PathBuf,
}

fn compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
        let temporary = path.with_file_name(format!(".{}.writing", name.to_string_lossy()));
        let file = BufWriter::new(fs_err::File::create(&temporary)?);
        let sink =
            if compressed(path) { Sink::Compressed(zstd::Encoder::new(file, 3)?) } else { Sink::Plain(file) };
        Ok(Self { sink: Some(sink), temporary, target: path.to_owned() })
    }

    pub(crate) fn write(&mut self, episode: &Episode) -> Result<()> {
        match &mut self.sink {
            Some(Sink::Plain(writer)) => trace::write(writer, episode),
            Some(Sink::Compressed(writer)) => trace::write(writer, episode),
            None => Ok(()),
        }
        .with_context(|| self.target.display().to_string())
    }

    /// Writes the episodes and finishes.
    pub(crate) fn write_all(mut self, episodes: &[Episode]) -> Result<()> {
        for episode in episodes {
            self.write(episode)?;
        }
        self.finish()
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let place = || self.target.display().to_string();
        let mut file = match self.sink.take() {
            Some(Sink::Plain(writer)) => writer,
            Some(Sink::Compressed(writer)) => writer.finish().with_context(place)?,
            None => return Ok(()),
        };
        file.flush().with_context(place)?;
        file.get_ref().sync_all()?;
        fs_err::rename(&self.temporary, &self.target)?;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` the temporary name is gone; before it, the file is of no use to anybody.
        let _ = fs_err::remove_file(&self.temporary);
    }
}

/// Writes all episodes to a file.
pub(crate) fn save(path: &Path, episodes: &[Episode]) -> Result<()> {
    Writer::create(path)?.write_all(episodes)
}

/// Reads all episodes of a file.
pub(crate) fn load(path: &Path) -> Result<Vec<Episode>> {
    let file = fs_err::File::open(path)?;
    let reader: Box<dyn Read> =
        if compressed(path) { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    trace::read(BufReader::new(reader)).collect::<Result<_, _>>().with_context(|| path.display().to_string())
}
