//! Termination requests: SIGINT, SIGTERM and SIGHUP.
//!
//! By default a request removes the command's temporary files and ends it at once. `train` finishes its step and saves
//! ([`finish_first`]). `study` and `horizon`, which run this program as a child, forward the signal and wait for the child
//! ([`run`]). A second request ends these at once, too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::{finish_first, listen, received, run, stop};
#[cfg(unix)]
pub(crate) use unix::{finish_first, listen, received, run, stop};

/// SIGINT, used where the signal is unknown.
const INTERRUPT: i32 = 2;

/// Error of a command that was stopped on request and has reported it on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped(i32);

impl Stopped {
    /// Creates the error from the signal that this process received.
    pub(crate) fn by_request() -> Self {
        Self(received().unwrap_or(INTERRUPT))
    }

    /// Creates the error from the signal that ended a child, as a shell or this program reports it; `None` for other statuses.
    pub(crate) fn of_child(status: std::process::ExitStatus) -> Option<Self> {
        #[cfg(unix)]
        let killed = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let killed: Option<i32> = None;
        let said = status.code().filter(|&code| code > 128).map(|code| code - 128);
        killed.or(said).filter(|signal| ASKING.contains(signal)).map(Self)
    }

    /// Returns the exit code that a shell reports for a process ended by the signal.
    pub(crate) fn exit_code(self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped by signal {}", self.0)
    }
}

impl std::error::Error for Stopped {}

/// SIGHUP, SIGINT, SIGTERM.
const ASKING: [i32; 3] = [1, INTERRUPT, 15];

/// Flag that asks a command to finish.
type Flag = Arc<AtomicBool>;
