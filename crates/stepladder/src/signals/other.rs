//! Where there are no signals, Ctrl-C is a request.

use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stderr::note;
use anyhow::{Context, Result};

use super::{Flag, INTERRUPT};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The signal that asked this process to end.
pub(crate) fn received() -> Option<i32> {
    ASKED.load(Ordering::Relaxed).then_some(INTERRUPT)
}

/// Nothing to do: Ctrl-C ends the process.
pub(crate) fn listen() -> Result<()> {
    Ok(())
}

static STOP: LazyLock<Flag> = LazyLock::new(Flag::default);

/// The flag that [`finish_first`] has requests set.
pub(crate) fn stop() -> Flag {
    STOP.clone()
}

/// From now on the first request sets the flag, and the command ends by itself.
pub(crate) fn finish_first() -> Flag {
    let flag = stop();
    let heard = ctrlc::set_handler(move || {
        ASKED.store(true, Ordering::Relaxed);
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(128 + INTERRUPT);
        }
        note!("stopping after this step; press Ctrl-C again to stop at once");
    });
    if let Err(error) = heard {
        note!("warning: Ctrl-C will end the run without saving: {error}");
    }
    stop()
}

/// Runs this program again to its end; Ctrl-C reaches both.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let child = command.spawn();
    let child = child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    Ok(child.wait_with_output()?)
}
