//! One child JVM with the bridge.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::answers::{Answers, ReadError};
use crate::failure::Failure;
use crate::java::{Launch, OLDEST_JAVA};
use crate::wire::{Op, Reply, Request};

/// Number of last lines of standard error that are kept for messages.
const TAIL: usize = 20;

/// Time limit for the start of a JVM.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Reason why a call to this JVM failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The JVM can no longer be used.
    Broken(String),
    /// The simulator threw this exception.
    Threw(String),
}

/// Child JVM with the bridge. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Jvm {
    child: Child,
    input: ChildStdin,
    answers: Answers,
    tail: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    calls: u32,
}

impl Jvm {
    /// Starts a JVM and waits for its first reply.
    pub(crate) fn start(launch: &Launch) -> Result<Self, Failure> {
        let java = launch.java().display().to_string();
        let failed = |error: std::io::Error| Failure::Start(format!("cannot start {java}: {error}"));
        let mut child = launch.command().spawn().map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::Start(format!("cannot open pipes to {java}")));
        };
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let kept = tail.clone();
        let listener = thread::Builder::new().spawn(move || drop(keep_tail(errors, &kept)));
        let listener = Some(listener.map_err(failed)?);
        let answers = Answers::of(output).map_err(failed)?;
        let mut jvm = Self { child, input, answers, tail, listener, calls: 0 };
        match jvm.call(&mut Request::new(Op::Hello), START_TIMEOUT, |mut reply| {
            let version = reply.str()?;
            reply.long()?;
            reply.end(version.to_owned())
        }) {
            Ok(_) => Ok(jvm),
            Err(CallError::Broken(what) | CallError::Threw(what)) => Err(Failure::Start(format!(
                "{java} cannot run the simulator: {what}; set STEPLADDER_JAVA to a Java {OLDEST_JAVA} or newer"
            ))),
        }
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn call<T>(
        &mut self,
        request: &mut Request,
        timeout: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, CallError> {
        self.calls = self.calls.wrapping_add(1);
        let sent = self.input.write_all(request.frame(self.calls)).and_then(|()| self.input.flush());
        if sent.is_err() {
            return Err(self.died());
        }
        let mut reply = match self.answers.next(timeout) {
            Ok(frame) => Reply(frame),
            Err(ReadError::Malformed(what)) => {
                return Err(CallError::Broken(format!("the simulator's reply is malformed: {what}")));
            }
            Err(ReadError::Timeout) => {
                let seconds = timeout.as_secs_f64();
                return Err(CallError::Broken(format!("the simulator did not reply within {seconds} s")));
            }
            Err(ReadError::Ended) => return Err(self.died()),
        };
        let malformed = |what: &str| CallError::Broken(format!("the simulator's reply is malformed: {what}"));
        if reply.int() != Some(self.calls) {
            return Err(malformed("its call number is wrong"));
        }
        match reply.byte() {
            Some(0) => read(reply).ok_or_else(|| malformed("unexpected fields")),
            Some(1) => {
                Err(reply.text().map_or_else(|| malformed("an unreadable error message"), CallError::Threw))
            }
            _ => Err(malformed("an unknown status byte")),
        }
    }

    /// Ends the process and describes how it ended.
    fn died(&mut self) -> CallError {
        // Its output is closed, so it has ended or is useless.
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let _ = self.listener.take().map(JoinHandle::join);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = if tail.is_empty() {
            "standard error is empty".to_owned()
        } else {
            format!("standard error: {}", tail.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" | "))
        };
        let memory =
            if tail.iter().any(|line| line.contains("OutOfMemoryError")) { ", out of memory" } else { "" };
        CallError::Broken(format!("the simulator's process died ({status}{memory}); {said}"))
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep_tail(errors: ChildStderr, tail: &Mutex<VecDeque<String>>) -> std::io::Result<()> {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while errors.read_until(b'\n', &mut line)? > 0 {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(String::from_utf8_lossy(&line).into_owned());
        if tail.len() > TAIL {
            tail.pop_front();
        }
        line.clear();
    }
    Ok(())
}
