//! `data get`: official sets that this program fetches.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use stepladder_env::Reader;
use stepladder_env::family::{Archive, ArchiveFile, DataSet};
use stepladder_train::envs::Pairs;
use zip::ZipArchive;

use super::data::sets;
use super::download::{self, expect, sha256};
use super::{Usage, say};
use stepladder_train::output::Output;

/// Size limit in bytes, far above that of any archive.
const LARGEST: u64 = 64 << 20;

/// Option of a family that selects an archive of a data set.
const VERSION: &str = "version";

pub(super) fn run(name: &str, pairs: &Pairs, from: Option<&Path>, data: Option<&Path>) -> Result<()> {
    let fetched = |set: &DataSet| !set.archives.is_empty();
    let Some((family, set)) = sets().find(|(_, set)| set.name == name && fetched(set)) else {
        let names: Vec<&str> = sets().filter(|(_, set)| fetched(set)).map(|(_, set)| set.name).collect();
        return Err(Usage(format!(
            "this program cannot fetch `{name}`, only {}; `stepladder data status` lists the origin of each set",
            names.join(", ")
        ))
        .into());
    };
    let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
    let options = family.options(Reader::Get, pairs)?;
    let wanted = options.get(VERSION);
    let archive = set
        .archives
        .iter()
        .find(|archive| wanted.is_none_or(|version| version == archive.version))
        .with_context(|| format!("{name} has no archive of version {}", wanted.unwrap_or_default()))?;
    let root =
        data.ok_or_else(|| Usage("no data root: set STEPLADDER_DATA or pass --data DIR".to_owned()))?;
    let place = root.join(archive.place);
    if whole(&place, archive) {
        say(format_args!("{name} {} is present and complete: {}", archive.version, place.display()));
        return Ok(());
    }
    let bytes = match from {
        Some(file) => fs::read(file)?,
        None => download::to_memory(archive.url, LARGEST)?,
    };
    let source = from.map_or_else(|| archive.url.to_owned(), |file| file.display().to_string());
    install(&bytes, archive, &place).with_context(|| source)?;
    say(format_args!("{name} {} ({}) in {}", archive.version, set.licence, place.display()));
    Ok(())
}

/// Whether every file is present as it was published.
fn whole(place: &Path, archive: &Archive) -> bool {
    let is =
        |file: &ArchiveFile| fs::read(place.join(file.name)).is_ok_and(|bytes| sum(&bytes) == file.sha256);
    archive.files.iter().all(is)
}

/// Checks an archive and extracts its files into the directory, each under its name only when it is complete. Keeps other files
/// there.
fn install(bytes: &[u8], published: &Archive, place: &Path) -> Result<()> {
    expect("the archive", &sum(bytes), published.sha256)?;
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context("the archive is not a zip archive")?;
    let mut take = |file: &ArchiveFile| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let inside = file.inside;
        archive
            .by_name(inside)
            .with_context(|| format!("the archive holds no {inside}"))?
            .take(LARGEST)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{inside} in the archive is damaged"))?;
        expect(inside, &sum(&bytes), file.sha256)?;
        Ok(bytes)
    };
    let files: Vec<(&str, Vec<u8>)> =
        published.files.iter().map(|file| Ok((file.name, take(file)?))).collect::<Result<_>>()?;
    fs::create_dir_all(place)?;
    for (name, bytes) in files {
        let mut file = Output::create(&place.join(name))?;
        file.write_all(&bytes)?;
        file.finish()?;
    }
    Ok(())
}

fn sum(bytes: &[u8]) -> String {
    // Memory can always be read.
    sha256(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            archive.start_file(format!("inner/{name}"), SimpleFileOptions::default()).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn of(bytes: &[u8]) -> Archive {
        let leak = |bytes: &[u8]| -> &'static str { sum(bytes).leak() };
        let file =
            |inside, name: &'static str, content: &[u8]| ArchiveFile { inside, name, sha256: leak(content) };
        let files = vec![file("inner/types", "types", b"types"), file("inner/jar", "jar", b"jar")];
        Archive { version: "1.2.3", url: "", sha256: leak(bytes), place: "toy/1.2.3", files: files.leak() }
    }

    #[test]
    fn an_archive_is_unpacked_and_other_files_stay() {
        let root = tempfile::tempdir().unwrap();
        let bytes = zipped(&[("jar", "jar"), ("types", "types"), ("else.py", "")]);
        let archive = of(&bytes);
        let place = root.path().join(archive.place);
        assert!(!whole(&place, &archive));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("gold.jsonl"), "kept").unwrap();
        fs::write(place.join("jar"), "broken").unwrap();
        assert!(!whole(&place, &archive));
        install(&bytes, &archive, &place).unwrap();
        assert!(whole(&place, &archive));
        let mut names: Vec<_> =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["gold.jsonl", "jar", "types"]);
    }

    #[test]
    fn wrong_archives_are_refused_and_leave_nothing() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("toy");
        let good = zipped(&[("jar", "jar"), ("types", "types")]);
        let refused = |bytes: &[u8], archive: &Archive| {
            let error = format!("{:#}", install(bytes, archive, &place).unwrap_err());
            assert!(!place.exists());
            error
        };
        let error = refused(&good[1..], &of(&good));
        assert!(error.starts_with("the archive is not the published one: its SHA-256 is "), "{error}");
        assert!(refused(b"no zip", &of(b"no zip")).starts_with("the archive is not a zip archive"));
        let lacking = zipped(&[("types", "types")]);
        assert!(refused(&lacking, &of(&lacking)).contains("the archive holds no inner/jar"));
        let other = zipped(&[("jar", "another"), ("types", "types")]);
        assert!(refused(&other, &of(&other)).starts_with("inner/jar is not the published"));
    }
}
