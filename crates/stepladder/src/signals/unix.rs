//! Unix signals.

use std::io;
use std::process::{Child, Command, Output};
use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::stderr::note;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getppid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use super::{Flag, Stopped};
use stepladder_train::output;

/// Variable with the id of the parent process of this program, which forwards signals.
const PARENT: &str = "STEPLADDER_PARENT";

/// Reaction to a request.
enum Manner {
    /// Ends the process.
    End,
    /// Sets the flag.
    Finish,
    /// Forwards the signal to the child.
    PassOn(Pid),
}

struct State {
    manner: Manner,
    received: Option<i32>,
}

static STATE: Mutex<State> = Mutex::new(State { manner: Manner::End, received: None });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the first signal that asked this process to end.
pub(crate) fn received() -> Option<i32> {
    state().received
}

/// Starts a thread that handles signals.
///
/// # Errors
/// If the system refuses to install a handler.
pub(crate) fn listen() -> Result<()> {
    let managed = under_a_parent();
    let asking = [SIGINT, SIGTERM, SIGHUP];
    // `nohup` ignores SIGHUP, so that a run outlives its terminal.
    let asking = asking.iter().filter(|&&signal| signal != SIGHUP || !ignored(signal));
    let mut signals = Signals::new(asking).context("cannot listen for signals")?;
    let wait = move || {
        for signal in signals.forever() {
            on_signal(signal, managed);
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .context("cannot listen for signals")?;
    Ok(())
}

fn on_signal(signal: i32, managed: bool) {
    let mut state = state();
    let first = state.received.is_none();
    state.received.get_or_insert(signal);
    match &state.manner {
        Manner::End => {
            output::remove_temporaries();
            let _ = low_level::emulate_default_handler(signal);
            low_level::exit(128 + signal);
        }
        Manner::Finish if first => {
            STOP.store(true, Ordering::Relaxed);
            note!("stopping; press Ctrl-C again to stop at once");
        }
        // A terminal's interrupt arrives twice, once through the parent. The parent kills this process after a second one.
        Manner::Finish if managed => {}
        Manner::PassOn(child) if first => {
            if let Some(signal) = Signal::from_named_raw(signal) {
                let _ = kill_process(*child, signal);
            }
        }
        Manner::Finish | Manner::PassOn(_) => {
            if let Manner::PassOn(child) = state.manner {
                let _ = kill_process(child, Signal::KILL);
            }
            output::remove_temporaries();
            low_level::exit(128 + signal);
        }
    }
}

static STOP: LazyLock<Flag> = LazyLock::new(Flag::default);

/// Returns the flag that requests set after [`finish_first`].
pub(crate) fn stop() -> Flag {
    STOP.clone()
}

/// Makes the first request set the returned flag instead of ending the process.
pub(crate) fn finish_first() -> Flag {
    state().manner = Manner::Finish;
    stop()
}

/// Runs this program as a child to its end and forwards requests to it. Reads streams that `command` declares as pipes.
///
/// # Errors
/// If the child cannot be started, or [`Stopped`] if the child or this process was asked to end.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let child = {
        let mut state = state();
        if state.received.is_some() {
            drop(state);
            return Err(Stopped::by_request().into());
        }
        let child = spawn(command)?;
        state.manner = Manner::PassOn(Pid::from_child(&child));
        child
    };
    let ended = child.wait_with_output();
    let mut state = state();
    // Between children and after the last one there is no child to forward to.
    state.manner = Manner::End;
    let asked = state.received.is_some();
    drop(state);
    let ended = ended?;
    if let Some(stopped) = Stopped::of_child(ended.status) {
        return Err(stopped.into());
    }
    if asked && !ended.status.success() { Err(Stopped::by_request().into()) } else { Ok(ended) }
}

fn spawn(command: &mut Command) -> Result<Child> {
    let spawned: io::Result<Child> = command.env(PARENT, std::process::id().to_string()).spawn();
    spawned.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

/// Whether another process of this program started this one and forwards signals. If that process is killed, this one receives
/// SIGTERM (Linux).
#[expect(clippy::disallowed_methods, reason = "a parent names itself there")]
fn under_a_parent() -> bool {
    let parent = std::env::var(PARENT).ok().and_then(|text| Pid::from_raw(text.parse().ok()?));
    if parent.is_none() || getppid() != parent {
        return false;
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    true
}

/// Whether the process inherited a signal as ignored.
fn ignored(signal: i32) -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
