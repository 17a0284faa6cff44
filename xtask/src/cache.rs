//! Directories that are either complete or absent: filled under a temporary name, checked, marked, renamed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::{Value, json};

/// File inside a published directory that records its content.
pub(crate) const MARKER: &str = "stepladder-complete.json";

/// A directory in the cache that all clones of the repository share.
pub(crate) struct Entry<'a> {
    /// The cache directory.
    pub(crate) root: &'a Path,
    /// Name of the entry below it; carries the version or fingerprint.
    pub(crate) name: &'a str,
    /// Description for messages.
    pub(crate) what: &'a str,
    /// Files, relative to the entry, whose sizes are recorded and compared at every use.
    pub(crate) essential: &'a [&'a str],
}

impl Entry<'_> {
    /// Returns the path of the published entry.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(self.name)
    }

    /// Returns the path of the entry; `fill` creates it unless it is complete.
    ///
    /// One process at a time: a second one waits and then finds the result of the first.
    pub(crate) fn prepare(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.path();
        if self.is_whole() {
            return Ok(path);
        }
        fs::create_dir_all(self.root)?;
        let _lock = self.lock()?;
        if self.is_whole() {
            return Ok(path);
        }
        self.discard_leftovers()?;
        let partial = self.root.join(format!("{}.partial-{}", self.name, std::process::id()));
        fs::create_dir(&partial)?;
        let made = fill(&partial).and_then(|()| self.mark(&partial)).and_then(|()| {
            fs::rename(&partial, &path)?;
            Ok(())
        });
        if made.is_err() {
            // An error of the cleanup must not hide that of filling.
            let _ = fs::remove_dir_all(&partial);
        }
        made?;
        Ok(path)
    }

    /// Whether the directory was published and still has its essential files at full length.
    pub(crate) fn is_whole(&self) -> bool {
        let path = self.path();
        let Ok(text) = fs::read_to_string(path.join(MARKER)) else { return false };
        let Ok(marker) = serde_json::from_str::<Value>(&text) else { return false };
        self.essential.iter().all(|file| {
            let size = fs::metadata(path.join(file)).map(|data| data.len()).ok();
            size.is_some() && size == marker["sizes"][*file].as_u64()
        })
    }

    fn lock(&self) -> Result<fs::File> {
        let lock = fs::File::create(self.root.join(format!("{}.lock", self.name)))?;
        if lock.try_lock().is_err() {
            eprintln!("  waiting for another process that is preparing {}", self.what);
            lock.lock().with_context(|| format!("cannot lock {}", lock.path().display()))?;
        }
        Ok(lock)
    }

    /// Removes what interrupted runs left. Called only under the lock, so that no running process owns any of it.
    fn discard_leftovers(&self) -> Result<()> {
        let prefix = format!("{}.partial-", self.name);
        for entry in fs::read_dir(self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                eprintln!("  an earlier attempt at {} was interrupted; starting it again", self.what);
                fs::remove_dir_all(entry.path())?;
            }
        }
        if self.path().exists() {
            eprintln!("  {} in the cache is damaged; creating it again", self.what);
            fs::remove_dir_all(self.path())?;
        }
        Ok(())
    }

    fn mark(&self, partial: &Path) -> Result<()> {
        let mut sizes = serde_json::Map::new();
        for file in self.essential {
            match fs::metadata(partial.join(file)) {
                Ok(data) => sizes.insert((*file).to_owned(), json!(data.len())),
                Err(_) => bail!("{} came without `{file}`", self.what),
            };
        }
        fs::write(partial.join(MARKER), format!("{:#}\n", json!({ "format": 1, "sizes": sizes })))?;
        Ok(())
    }
}
