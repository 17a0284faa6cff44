//! Standard output. A command continues when its output cannot be written, since the run matters more, and fails at its end
//! ([`finish`]). A pipe closed by its reader is not a failure.

use std::fmt::Display;
use std::io::{ErrorKind, Result, Write, stdout};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use stepladder_train::output::Output;

/// First failure to write.
static FAILURE: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes a line.
pub(crate) fn say(text: impl Display) {
    keep(writeln!(stdout(), "{text}"));
}

/// Writes a text without a line break and flushes it.
pub(crate) fn ask(text: &str) {
    keep(write!(stdout(), "{text}").and_then(|()| stdout().flush()));
}

/// Records a failure to write for [`finish`].
pub(crate) fn keep(written: Result<()>) {
    if let Err(error) = written {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Flushes the buffer and reports the first failure.
///
/// # Errors
/// If output was lost, unless the reader had closed its pipe.
pub(crate) fn finish() -> anyhow::Result<()> {
    keep(stdout().flush());
    match FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow!("standard output cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Opens the output of a command: standard output for `-` and for its other names ([`is_named`]), otherwise a file.
///
/// # Errors
/// If the path cannot be written.
pub(crate) fn open(path: &Path) -> anyhow::Result<Output> {
    if is_named(path) { Ok(Output::through(stdout(), path)) } else { Ok(Output::create(path)?) }
}

/// Whether a path is standard output: `-`, or the same file or pipe under any name (`/dev/stdout`). A command prints no
/// summary there.
#[cfg(unix)]
pub(crate) fn is_named(path: &Path) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if path == Path::new("-") {
        return true;
    }
    let own = || stdout().as_fd().try_clone_to_owned().and_then(|own| std::fs::File::from(own).metadata());
    match (std::fs::metadata(path), own()) {
        (Ok(found), Ok(own)) if found.is_file() || found.file_type().is_fifo() => {
            (own.dev(), own.ino()) == (found.dev(), found.ino())
        }
        _ => false,
    }
}

#[cfg(not(unix))]
pub(crate) fn is_named(path: &Path) -> bool {
    path == Path::new("-")
}
