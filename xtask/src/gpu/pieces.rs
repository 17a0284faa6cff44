//! A compressed archive, divided into files of limited size.

use std::io::{Result as IoResult, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, HeaderMode};

/// Archive whose bytes go into pieces.
pub(super) type Archive = Builder<GzEncoder<Pieces>>;

/// Writer into the files `000`, `001` and so on of a directory.
pub(super) struct Pieces {
    directory: PathBuf,
    most: usize,
    open: Vec<u8>,
    /// Name, size and checksum of each finished piece.
    finished: Vec<Value>,
}

impl Pieces {
    /// Begins an archive in pieces of at most `most` bytes, in a new directory.
    pub(super) fn archive(directory: &Path, most: usize) -> Result<Archive> {
        fs::create_dir(directory)?;
        let pieces = Self { directory: directory.to_owned(), most, open: Vec::new(), finished: Vec::new() };
        // Weights hardly shrink, whatever the time; texts shrink to a tenth at once.
        let mut archive = Builder::new(GzEncoder::new(pieces, Compression::fast()));
        archive.mode(HeaderMode::Deterministic);
        Ok(archive)
    }

    fn write_piece(&mut self) -> IoResult<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let name = format!("{:03}", self.finished.len());
        fs::write(self.directory.join(&name), &self.open)?;
        let digest = Sha256::digest(&self.open);
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.finished.push(json!({ "name": name, "bytes": self.open.len(), "sha256": sha256 }));
        self.open.clear();
        Ok(())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        if self.open.len() == self.most {
            self.write_piece()?;
        }
        let count = bytes.len().min(self.most - self.open.len());
        self.open.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

/// Ends the archive and returns name, size and checksum of each piece.
pub(super) fn finish(archive: Archive) -> Result<Vec<Value>> {
    let mut pieces = archive.into_inner()?.finish()?;
    pieces.write_piece()?;
    Ok(pieces.finished)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn pieces_have_their_size_and_joined_they_are_the_archive() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("pieces");
        let mut archive = Pieces::archive(&place, 1000).unwrap();
        // Digests do not shrink.
        let text: Vec<u8> = (0..100u8).flat_map(|at| Sha256::digest([at]).to_vec()).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, "a/b", text.as_slice()).unwrap();
        let pieces = finish(archive).unwrap();
        assert!(pieces.len() > 3);
        let mut joined = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let bytes = fs::read(place.join(piece["name"].as_str().unwrap())).unwrap();
            assert_eq!(piece["bytes"], bytes.len());
            assert!(if index + 1 < pieces.len() { bytes.len() == 1000 } else { bytes.len() <= 1000 });
            joined.extend(bytes);
        }
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(joined.as_slice()));
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let mut found = Vec::new();
        entry.read_to_end(&mut found).unwrap();
        assert_eq!(found, text);
    }
}
