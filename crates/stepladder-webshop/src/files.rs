//! Official files below a data root.

use std::path::{Path, PathBuf};

use stepladder_env::EnvError;

use crate::catalogue::Files;
use crate::nouns::{self, Tagger};

/// Directory of the official files below the data root.
pub const DIRECTORY: &str = "webshop";

/// Nouns of the products' names.
const NOUNS: &str = "nouns_en_core_web_sm_3.8.0.json";

/// Instructions written by people.
const HUMAN: &str = "items_human_ins.json";

/// Size of the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    /// The first 1,000 products, on which verl-agent and RAGEN train.
    #[default]
    Small,
    /// All 1.18 million products.
    Full,
}

impl Size {
    fn products(self) -> &'static str {
        match self {
            Self::Small => "items_shuffle_1000.json",
            Self::Full => "items_shuffle.json",
        }
    }

    fn attributes(self) -> &'static str {
        match self {
            Self::Small => "items_ins_v2_1000.json",
            Self::Full => "items_ins_v2.json",
        }
    }
}

/// Names the files of a catalogue; `human` takes the instructions written by people, `stub` the simple rule for nouns.
///
/// # Errors
/// [`EnvError::NoDataRoot`], and [`EnvError::Data`] with the file that is missing and how to get it.
pub fn catalogue(data_root: Option<&Path>, size: Size, human: bool, stub: bool) -> Result<Files, EnvError> {
    let directory = directory(data_root)?;
    let place = |name: &str| present(directory.join(name));
    Ok(Files {
        products: place(size.products())?,
        attributes: place(size.attributes())?,
        human: human.then(|| place(HUMAN)).transpose()?,
        nouns: if stub { Tagger::Stub } else { Tagger::Table(table(directory.join(NOUNS))?) },
    })
}

/// Says which files are there.
pub fn state(data_root: &Path) -> String {
    let directory = data_root.join(DIRECTORY);
    if !directory.is_dir() {
        return "absent".to_owned();
    }
    let sets = [Size::Small, Size::Full].map(|size| {
        let missing: Vec<&str> = [size.products(), size.attributes(), HUMAN, NOUNS]
            .into_iter()
            .filter(|name| !directory.join(name).is_file())
            .collect();
        let name = if size == Size::Small { "1,000 products" } else { "all products" };
        match missing.as_slice() {
            [] => format!("{name} present"),
            missing if missing.contains(&size.products()) => format!("{name} absent"),
            missing => format!("{name} without {}", missing.join(", ")),
        }
    });
    sets.join("; ")
}

fn directory(data_root: Option<&Path>) -> Result<PathBuf, EnvError> {
    let root = data_root.ok_or_else(|| EnvError::NoDataRoot {
        env: crate::tasks::SPEC.id,
        reason: format!(
            "no data root for the official catalogue: set STEPLADDER_DATA or pass --data DIR (DIR holds {DIRECTORY}/{}, …; \
             `stepladder data status` shows where the files come from)",
            Size::Small.products()
        ),
    })?;
    Ok(root.join(DIRECTORY))
}

/// The table of nouns, before the products are read, which takes long for all of them.
fn table(path: PathBuf) -> Result<PathBuf, EnvError> {
    if path.is_file() {
        return Ok(path);
    }
    let reason = format!(
        "the table of nouns of this catalogue's names is missing, and rewards need it; {}",
        nouns::REMEDY
    );
    Err(EnvError::Data { path, reason })
}

fn present(path: PathBuf) -> Result<PathBuf, EnvError> {
    if path.is_file() {
        return Ok(path);
    }
    let reason = "this file of the official catalogue is missing; `stepladder data status` shows where it comes from, \
                  and --data or STEPLADDER_DATA the directory above";
    Err(EnvError::Data { path, reason: reason.to_owned() })
}
