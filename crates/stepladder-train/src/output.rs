//! Output files.
//!
//! A regular file is replaced when its new content is complete: the content is written under a temporary name in the same
//! directory, which a failure or a signal removes. A symbolic link is followed and its target replaced. Devices, pipes and
//! streams of the caller are written directly.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Result, bail};
use anyhow::Context;
use fs_err as fs;

/// Destination of an output.
pub struct Output {
    sink: Sink,
    path: PathBuf,
}

enum Sink {
    Through(Box<dyn Write + Send>),
    Replace { file: BufWriter<fs::File>, temporary: Temporary, target: PathBuf },
}

impl Output {
    /// Opens a path. The old content remains until [`Output::finish`].
    ///
    /// # Errors
    /// If the path cannot be written; reported here, before anything is computed.
    pub fn create(path: &Path) -> Result<Self> {
        let sink = Sink::open(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { sink, path: path.to_owned() })
    }

    /// Creates an output that writes directly to a stream; `path` is its name in messages, and `.zst` at its end selects
    /// compression of traces.
    pub fn through(stream: impl Write + Send + 'static, path: &Path) -> Self {
        Self { sink: Sink::Through(Box::new(stream)), path: path.to_owned() }
    }

    /// Returns the path as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the target with the written content.
    ///
    /// # Errors
    /// If writing or renaming fails; the target of a replacement is then unchanged.
    pub fn finish(mut self) -> Result<()> {
        let place = || format!("cannot write {}", self.path.display());
        self.sink.flush().with_context(place)?;
        if let Sink::Replace { file, temporary, target } = self.sink {
            file.get_ref().sync_all()?;
            temporary.rename(&target).with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink {
    fn open(path: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("it is a directory"),
            Ok(found) if !found.is_file() => raw(path),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            found => match behind_links(path)? {
                None => raw(path),
                Some(target) => {
                    let (file, temporary) = Temporary::beside(&target)?;
                    if let Ok(found) = found {
                        file.set_permissions(found.permissions())?;
                    }
                    let file = BufWriter::new(fs::File::from_parts(file, &target));
                    Ok(Self::Replace { file, temporary, target })
                }
            },
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Through(stream) => stream,
            Self::Replace { file, .. } => file,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner().write(bytes);
        // A reader that closes its end of a pipe, as `head` does, is not an error.
        let enough = !matches!(self, Self::Replace { .. })
            && written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        if enough { Ok(bytes.len()) } else { written }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.inner().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Opens a device or pipe. In append mode, since a link of `/proc` may lead to a regular file.
fn raw(path: &Path) -> Result<Sink> {
    let file = std::fs::OpenOptions::new().append(true).open(path)?;
    Ok(Sink::Through(Box::new(BufWriter::new(fs::File::from_parts(file, path)))))
}

/// Returns the target of a chain of links; `None` if a link names an open file (`/proc/self/fd/2`).
fn behind_links(path: &Path) -> Result<Option<PathBuf>> {
    // The limit of Linux.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        if !path.is_symlink() {
            return Ok(Some(path));
        }
        if path.starts_with("/proc") {
            return Ok(None);
        }
        let next = fs::read_link(&path)?;
        path = path.parent().map_or_else(|| next.clone(), |parent| parent.join(&next));
    }
    bail!("too many links");
}

/// Temporary files of this process.
static TEMPORARIES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn temporaries() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of a process that is about to end, and blocks the creation of new ones until it has.
pub fn remove_temporaries() {
    let left = temporaries();
    for path in left.iter() {
        let _ = std::fs::remove_file(path);
    }
    std::mem::forget(left);
}

/// A temporary file with a unique name; removed on drop.
struct Temporary {
    path: PathBuf,
    /// Locked while it is written: an unlocked temporary file belongs to a killed process.
    _lock: std::fs::File,
}

const ENDING: &str = ".writing";

impl Temporary {
    /// Creates a temporary file in the directory of the target.
    fn beside(target: &Path) -> Result<(std::fs::File, Self)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().context("it names no file")?.to_string_lossy();
        // File names have at most 255 bytes.
        let beginning = format!(".{}.", &name[..name.floor_char_boundary(200)]);
        let mut open = temporaries();
        sweep(target, &beginning);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!("{beginning}{}-{number}{ENDING}", std::process::id()));
            let file = match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            // Between these two lines, another process's sweep may have removed the file as one of a killed process. Some network
            // file systems have no locks; nothing is swept there.
            let lost = matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) || !path.exists();
            if !lost {
                open.insert(path.clone());
                return Ok((file.try_clone()?, Self { path, _lock: file }));
            }
        }
    }

    fn rename(self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone if it was renamed; otherwise incomplete.
        let mut open = temporaries();
        let _ = std::fs::remove_file(&self.path);
        open.remove(&self.path);
    }
}

/// Removes what killed writers of the same target left: unlocked temporary files, and the file under the name that earlier
/// versions used, which they would overwrite.
fn sweep(target: &Path, beginning: &str) {
    let former = format!("{}{ENDING}", beginning.trim_end_matches('.'));
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    for entry in std::fs::read_dir(directory.unwrap_or(Path::new("."))).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let suffix = name.strip_prefix(beginning).and_then(|rest| rest.strip_suffix(ENDING));
        let is_ours = suffix.is_some_and(|text| text.bytes().all(|c| c.is_ascii_digit() || c == b'-'));
        if name != former && !is_ours {
            continue;
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = std::fs::File::open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
