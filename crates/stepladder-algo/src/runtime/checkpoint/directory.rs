//! Atomically replaced directories: written under a temporary name, synced, renamed.

use std::path::{Path, PathBuf};

use super::error::fail;
use crate::AlgoError;

/// Runs `write` on a temporary sibling directory of `target`, syncs every file, and renames it to `target`.
///
/// A kill at any moment leaves either the old state or the complete new one. The next call removes left-over temporary
/// directories.
///
/// # Errors
/// From `write` or the file system; the temporary directory is then removed.
pub fn replace_directory(
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), AlgoError>,
) -> Result<(), AlgoError> {
    let parent = target.parent().ok_or_else(|| fail(target, "a checkpoint needs a parent directory"))?;
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    fs_err::create_dir_all(parent).map_err(|error| fail(parent, error))?;
    let temporary = parent.join(format!(".{name}.writing"));
    let old = parent.join(format!(".{name}.old"));
    for left in [&temporary, &old] {
        if left.exists() {
            fs_err::remove_dir_all(left).map_err(|error| fail(left, error))?;
        }
    }
    fs_err::create_dir(&temporary).map_err(|error| fail(&temporary, error))?;
    let done = write(&temporary).and_then(|()| sync(&temporary));
    if let Err(error) = done {
        let _ = fs_err::remove_dir_all(&temporary);
        return Err(error);
    }
    if target.exists() {
        fs_err::rename(target, &old).map_err(|error| fail(target, error))?;
    }
    fs_err::rename(&temporary, target).map_err(|error| fail(target, error))?;
    if old.exists() {
        fs_err::remove_dir_all(&old).map_err(|error| fail(&old, error))?;
    }
    sync_directory(parent)
}

fn sync(directory: &Path) -> Result<(), AlgoError> {
    for entry in fs_err::read_dir(directory).map_err(|error| fail(directory, error))? {
        let path = entry.map_err(|error| fail(directory, error))?.path();
        fs_err::File::open(&path).and_then(|file| file.sync_all()).map_err(|error| fail(&path, error))?;
    }
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> Result<(), AlgoError> {
    fs_err::File::open(directory).and_then(|file| file.sync_all()).map_err(|error| fail(directory, error))
}

/// Cleans up after a kill, before a run resumes: restores a checkpoint that was being replaced and removes partial
/// directories.
///
/// # Errors
/// [`AlgoError::Checkpoint`] if something cannot be renamed or removed.
pub fn recover(root: &Path) -> Result<(), AlgoError> {
    for entry in fs_err::read_dir(root).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let Some(name) = name.strip_prefix(".step-") else { continue };
        let replaced = name.strip_suffix(".old").map(|number| root.join(format!("step-{number}")));
        match replaced.filter(|target| !target.exists()) {
            Some(target) => fs_err::rename(&path, target).map_err(|error| fail(&path, error))?,
            None => fs_err::remove_dir_all(&path).map_err(|error| fail(&path, error))?,
        }
    }
    Ok(())
}

/// Lists the checkpoints in `root`, oldest first, including broken ones, which fail to load.
pub fn list(root: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        name.strip_prefix("step-")?.parse::<u64>().ok()
    };
    let entries = fs_err::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| number(path).is_some() && path.is_dir()).collect();
    found.sort_by_key(number);
    found
}

/// Returns the newest checkpoint in `root`. After a kill between the two renames of [`replace_directory`] this is the hidden
/// directory, until [`recover`] restores it.
pub fn latest(root: &Path) -> Option<PathBuf> {
    let newest = list(root).pop();
    let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
    let hidden = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(".step-")?.strip_suffix(".old")?.parse::<u64>().ok()?;
        Some((number, entry.path(), root.join(name.strip_prefix('.')?.strip_suffix(".old")?)))
    });
    let of = |path: &PathBuf| path.file_name()?.to_string_lossy().strip_prefix("step-")?.parse::<u64>().ok();
    let known = newest.as_ref().and_then(of);
    let replaced =
        hidden.filter(|(number, _, target)| !target.exists() && known.is_none_or(|known| *number > known));
    replaced.max_by_key(|(number, ..)| *number).map(|(_, path, _)| path).or(newest)
}

#[cfg(test)]
mod tests {
    use super::super::state::STATE;
    use super::*;

    #[test]
    fn a_failing_write_leaves_the_old_directory_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-1");
        let write = |text: &'static str| {
            move |directory: &Path| {
                fs_err::write(directory.join("a"), text).map_err(|error| fail(directory, error))?;
                if text == "bad" { Err(fail(directory, "disk full")) } else { Ok(()) }
            }
        };
        replace_directory(&target, write("one")).unwrap();
        assert!(replace_directory(&target, write("bad")).is_err());
        assert_eq!(fs_err::read_to_string(target.join("a")).unwrap(), "one");
        replace_directory(&target, write("two")).unwrap();
        assert_eq!(fs_err::read_to_string(target.join("a")).unwrap(), "two");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn recovery_puts_a_replaced_checkpoint_back_and_removes_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for directory in
            ["step-1", ".step-1.old", ".step-2.old", ".step-2.writing", ".step-7.removed", "notes"]
        {
            fs_err::create_dir(root.join(directory)).unwrap();
            fs_err::write(root.join(directory).join(STATE), directory).unwrap();
        }
        assert_eq!(latest(root), Some(root.join(".step-2.old")));
        recover(root).unwrap();
        assert_eq!(latest(root), Some(root.join("step-2")));
        let mut names: Vec<String> = fs_err::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["notes", "step-1", "step-2"]);
        assert_eq!(fs_err::read_to_string(root.join("step-1").join(STATE)).unwrap(), "step-1");
        assert_eq!(fs_err::read_to_string(root.join("step-2").join(STATE)).unwrap(), ".step-2.old");
        recover(&root.join("nowhere")).unwrap();
    }

    #[test]
    fn what_a_kill_left_behind_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-1");
        fs_err::create_dir_all(folder.path().join(".step-1.writing")).unwrap();
        fs_err::write(folder.path().join(".step-1.writing/half"), "x").unwrap();
        assert!(list(folder.path()).is_empty());
        replace_directory(&target, |directory| {
            fs_err::write(directory.join("a"), "whole").map_err(|error| fail(directory, error))
        })
        .unwrap();
        assert!(!target.join("half").exists());
    }
}
