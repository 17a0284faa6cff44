//! Requests to end: SIGINT, SIGTERM and SIGHUP.
//!
//! A command ends at once, as any program does, but takes its temporary files with it. Two kinds of command do more:
//! `train` finishes its step and saves ([`finish_first`]); `study` and `horizon`, which start this program again, pass the
//! signal on and wait for it ([`run`]). A second request ends these at once, too.

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

/// SIGINT, where nothing says which signal it was.
const INTERRUPT: i32 = 2;

/// How a command ends that was asked to end, and has said so on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped(i32);

impl Stopped {
    /// By the signal that this process received.
    pub(crate) fn by_request() -> Self {
        Self(received().unwrap_or(INTERRUPT))
    }

    /// By the signal that ended a child: as a shell reports it, or as this program says it itself.
    pub(crate) fn of_child(status: std::process::ExitStatus) -> Option<Self> {
        #[cfg(unix)]
        let killed = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let killed: Option<i32> = None;
        let said = status.code().filter(|&code| code > 128).map(|code| code - 128);
        killed.or(said).filter(|signal| ASKING.contains(signal)).map(Self)
    }

    /// What a shell reports of a process that the signal ended.
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

/// The flag that asks a command to end by itself.
type Flag = Arc<AtomicBool>;
