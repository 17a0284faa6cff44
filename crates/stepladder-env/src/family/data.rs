//! Official data sets of a family: `data status` and `data get`.

use std::path::Path;

/// An official data set.
pub struct DataSet {
    /// Name for `data get`.
    pub name: &'static str,
    /// Directory below the data root.
    pub place: &'static str,
    /// Origin and the way to get it.
    pub origin: &'static str,
    /// Licence.
    pub licence: &'static str,
    /// State below a data root, in words.
    pub state: fn(&Path) -> String,
    /// Published archives that can be fetched, one per version; empty if the user has to get the set.
    pub archives: &'static [Archive],
}

/// A published zip archive, one version of a data set. The family's option `version` names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Archive {
    /// Version.
    pub version: &'static str,
    /// Address.
    pub url: &'static str,
    /// SHA-256 of the archive.
    pub sha256: &'static str,
    /// Directory below the data root for the files.
    pub place: &'static str,
    /// Files that are taken out, in the order in which they are written.
    pub files: &'static [ArchiveFile],
}

/// One file of an archive.
#[derive(Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Path inside the archive.
    pub inside: &'static str,
    /// Name in the directory.
    pub name: &'static str,
    /// SHA-256.
    pub sha256: &'static str,
}

impl Archive {
    /// SHA-256 of the file with a name, where the archive holds it.
    pub fn sha256_of(&self, name: &str) -> Option<&'static str> {
        self.files.iter().find(|file| file.name == name).map(|file| file.sha256)
    }
}

/// State of a directory that holds one directory per split, in words.
///
/// ```
/// use stepladder_env::family::data::directories;
/// assert_eq!(directories(std::path::Path::new("no/such/place")), "absent");
/// ```
pub fn directories(place: &Path) -> String {
    let Ok(entries) = fs_err::read_dir(place) else { return "absent".to_owned() };
    let mut splits: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            let tasks = fs_err::read_dir(entry.path()).into_iter().flatten().count();
            format!("{} ({tasks} entries)", entry.file_name().to_string_lossy())
        })
        .collect();
    splits.sort();
    if splits.is_empty() { "empty".to_owned() } else { format!("present: {}", splits.join(", ")) }
}
