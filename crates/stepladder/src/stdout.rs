//! Standard output. A command goes on when it cannot be written, since a run is worth more than what it prints, and fails
//! at its end ([`finish`]). A reader that has read enough (a closed pipe) is no failure.

use std::fmt::Display;
use std::io::{ErrorKind, Result, Write, stdout};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

/// The first failure.
static FAILURE: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes a line.
pub(crate) fn say(text: impl Display) {
    keep(writeln!(stdout(), "{text}"));
}

/// Writes a text without a line break and flushes it.
pub(crate) fn ask(text: &str) {
    keep(write!(stdout(), "{text}").and_then(|()| stdout().flush()));
}

/// Remembers a failure to write for [`finish`].
pub(crate) fn keep(written: Result<()>) {
    if let Err(error) = written {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Writes what is still buffered.
///
/// # Errors
/// If something was not written, unless the reader had closed its pipe.
pub(crate) fn finish() -> anyhow::Result<()> {
    keep(stdout().flush());
    match FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow!("standard output cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}
