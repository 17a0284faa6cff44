//! Fallback for systems without Unix signals: Ctrl-C is the only request.

use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stderr::note;
use anyhow::{Context, Result};

use super::{Flag, INTERRUPT};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Returns the signal that asked this process to end.
pub(crate) fn received() -> Option<i32> {
    ASKED.load(Ordering::Relaxed).then_some(INTERRUPT)
}

/// Does nothing: Ctrl-C ends the process by default.
pub(crate) fn listen() -> Result<()> {
    Ok(())
}

static STOP: LazyLock<Flag> = LazyLock::new(Flag::default);

/// Returns the flag that requests set after [`finish_first`].
pub(crate) fn stop() -> Flag {
    STOP.clone()
}

/// Makes the first request set the returned flag instead of ending the process.
pub(crate) fn finish_first() -> Flag {
    let flag = stop();
    let heard = ctrlc::set_handler(move || {
        ASKED.store(true, Ordering::Relaxed);
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(128 + INTERRUPT);
        }
        note!("stopping; press Ctrl-C again to stop at once");
    });
    if let Err(error) = heard {
        note!("warning: Ctrl-C will end the run without saving: {error}");
    }
    stop()
}

/// Runs this program as a child to its end; Ctrl-C reaches both processes.
///
/// # Errors
/// If the child cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let child = command.spawn();
    let child = child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    Ok(child.wait_with_output()?)
}
