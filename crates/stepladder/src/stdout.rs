//! Standard output. A command continues when its output cannot be written, since the run matters more, and fails at its end
//! ([`finish`]). A pipe closed by its reader is not a failure.

use std::fmt::Display;
use std::io::{ErrorKind, Result, Write, stdout};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

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
