//! The data root: official data sets unpacked once into the cache, in the layout that the environments expect.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

use crate::cache::Entry;
use crate::settings::Settings;

/// Layout version of the unpacked root.
const LAYOUT: &str = "1";

/// Returns the data root: `STEPLADDER_DATA`, else the unpacked content of `../shared/data` and `../shared/transcripts`, else
/// `None`.
pub(crate) fn prepare(settings: &Settings) -> Result<Option<PathBuf>> {
    if let Some(root) = &settings.data {
        if !root.is_dir() {
            bail!("STEPLADDER_DATA names {}, which is not a directory", root.display());
        }
        return Ok(Some(root.clone()));
    }
    let shared = settings.workspace.join("../shared");
    if !shared.join("data").is_dir() {
        return Ok(None);
    }
    unpacked(&shared, &settings.cache).map(Some)
}

fn unpacked(shared: &Path, cache: &Path) -> Result<PathBuf> {
    let sources = sources(shared)?;
    let name = format!("data-{}", fingerprint(&sources)?);
    let entry = Entry { root: cache, name: &name, what: "the data root", essential: &[] };
    entry.prepare(|partial| {
        for source in &sources {
            eprintln!("    unpacking {}", source.name);
            unpack(source, partial).with_context(|| format!("cannot unpack {}", source.path.display()))?;
        }
        Ok(())
    })
}

/// One file next to the repository.
#[derive(Debug)]
struct Source {
    /// `data/…` or `transcripts/…`, with forward slashes.
    name: String,
    path: PathBuf,
}

/// Lists all files of the two folders, in the order of their names.
fn sources(shared: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in ["data", "transcripts"] {
        if shared.join(folder).is_dir() {
            collect(&shared.join(folder), folder, &mut found)?;
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

fn collect(directory: &Path, name: &str, found: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(last) = path.file_name() else { continue };
        let name = format!("{name}/{}", last.to_string_lossy());
        if path.is_dir() {
            collect(&path, &name, found)?;
        } else {
            found.push(Source { name, path });
        }
    }
    Ok(())
}

/// Returns sixteen hexadecimal digits that change with any name or content.
fn fingerprint(sources: &[Source]) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(LAYOUT);
    for source in sources {
        let content = Sha256::digest(fs::read(&source.path)?);
        hash.update((source.name.len() as u64).to_le_bytes());
        hash.update(&source.name);
        hash.update(content);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks archives into the folder of their environment and copies other files under their official names. Transcripts stay
/// compressed.
fn unpack(source: &Source, root: &Path) -> Result<()> {
    let relative = source.name.strip_prefix("data/").unwrap_or(&source.name);
    let target = root.join(relative);
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    if source.name.starts_with("transcripts/") {
        fs::copy(&source.path, &target)?;
    } else if source.name.ends_with(".tar.zst") {
        let mut archive = tar::Archive::new(decoder(&source.path)?);
        archive.set_preserve_permissions(false);
        archive.set_preserve_mtime(false);
        archive.unpack(folder)?;
    } else if source.name.ends_with(".zst") {
        std::io::copy(&mut decoder(&source.path)?, &mut fs::File::create(target.with_extension(""))?)?;
    } else {
        fs::copy(&source.path, &target)?;
    }
    Ok(())
}

fn decoder(path: &Path) -> Result<impl Read> {
    let file = std::io::BufReader::new(fs::File::open(path)?);
    StreamingDecoder::new(file).map_err(|error| anyhow::anyhow!("not a zstd file: {error}"))
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn write(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn compressed(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        compressed(&archive.into_inner().unwrap())
    }

    fn shared() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let games = [("json_2.1.1/train/task/trial/game.tw-pddl", "game")];
        write(&root.join("data/alfworld/games.tar.zst"), &archive(&games));
        write(&root.join("data/boxoban/levels.tar.zst"), &archive(&[("./hard/000.txt", "####")]));
        write(&root.join("data/webshop/items.json.zst"), &compressed(b"[1]"));
        write(&root.join("data/webshop/plain.json"), b"{}");
        write(&root.join("transcripts/one.jsonl.zst"), &compressed(b"{}\n"));
        directory
    }

    #[test]
    fn the_unpacked_root_has_the_documented_layout() {
        let (shared, cache) = (shared(), tempfile::tempdir().unwrap());
        let root = unpacked(shared.path(), cache.path()).unwrap();
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        assert_eq!(read("alfworld/json_2.1.1/train/task/trial/game.tw-pddl"), "game");
        assert_eq!(read("boxoban/hard/000.txt"), "####");
        assert_eq!(read("webshop/items.json"), "[1]");
        assert_eq!(read("webshop/plain.json"), "{}");
        assert_eq!(fs::read(root.join("transcripts/one.jsonl.zst")).unwrap(), compressed(b"{}\n"));
    }

    #[test]
    fn the_second_call_unpacks_nothing() {
        let (shared, cache) = (shared(), tempfile::tempdir().unwrap());
        let root = unpacked(shared.path(), cache.path()).unwrap();
        fs::write(root.join("sentinel"), "").unwrap();
        assert_eq!(unpacked(shared.path(), cache.path()).unwrap(), root);
        assert!(root.join("sentinel").exists());
    }

    #[test]
    fn the_fingerprint_follows_names_and_contents() {
        let shared = shared();
        let print = || fingerprint(&sources(shared.path()).unwrap()).unwrap();
        let first = print();
        assert_eq!(first, print());
        assert_eq!(first.len(), 16);
        fs::write(shared.path().join("data/webshop/plain.json"), "[]").unwrap();
        let second = print();
        assert_ne!(first, second);
        fs::rename(
            shared.path().join("data/webshop/plain.json"),
            shared.path().join("data/webshop/other.json"),
        )
        .unwrap();
        assert_ne!(second, print());
    }

    #[test]
    fn a_damaged_archive_leaves_nothing_behind_and_is_named() {
        let (shared, cache) = (shared(), tempfile::tempdir().unwrap());
        write(&shared.path().join("data/boxoban/levels.tar.zst"), b"no archive");
        let error = format!("{:#}", unpacked(shared.path(), cache.path()).unwrap_err());
        assert!(error.contains("levels.tar.zst: not a zstd file"), "{error}");
        let left: Vec<_> =
            fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
    }

    #[test]
    fn a_wrong_data_root_is_an_error_and_a_missing_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(directory.path());
        assert_eq!(prepare(&settings).unwrap(), None);
        settings.data = Some(directory.path().join("absent"));
        assert!(prepare(&settings).unwrap_err().to_string().contains("which is not a directory"));
    }
}
