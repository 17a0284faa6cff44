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
    sink: Sink,
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
        Ok(Self { sink, temporary, target: path.to_owned() })
    }

    pub(crate) fn write(&mut self, episode: &Episode) -> Result<()> {
        match &mut self.sink {
            Sink::Plain(writer) => trace::write(writer, episode),
            Sink::Compressed(writer) => trace::write(writer, episode),
        }
        .with_context(|| self.target.display().to_string())
    }

    pub(crate) fn finish(self) -> Result<()> {
        let mut file = match self.sink {
            Sink::Plain(writer) => writer,
            Sink::Compressed(writer) => writer.finish()?,
        };
        file.flush()?;
        file.get_ref().sync_all()?;
        fs_err::rename(&self.temporary, &self.target)?;
        Ok(())
    }
}

/// Writes all episodes to a file.
pub(crate) fn save(path: &Path, episodes: &[Episode]) -> Result<()> {
    let mut writer = Writer::create(path)?;
    for episode in episodes {
        writer.write(episode)?;
    }
    writer.finish()
}

/// Reads all episodes of a file.
pub(crate) fn load(path: &Path) -> Result<Vec<Episode>> {
    let file = fs_err::File::open(path)?;
    let reader: Box<dyn Read> =
        if compressed(path) { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    trace::read(BufReader::new(reader)).collect::<Result<_, _>>().with_context(|| path.display().to_string())
}
