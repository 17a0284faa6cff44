//! One JVM.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::answers::{Answers, Missing};
use crate::failure::Failure;
use crate::java::{Launch, OLDEST_JAVA};
use crate::wire::{Op, Reply, Request};

/// Lines of the error output that are kept.
const TAIL: usize = 20;

/// A JVM is given this long to say hello.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a call to this JVM got no results.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The JVM cannot be used any more.
    Broken(String),
    /// The simulator threw this.
    Threw(String),
}

/// A child JVM with the bridge in it. Ends with this value.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Answers,
    tail: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    calls: u32,
}

impl Worker {
    /// Starts a JVM and waits until it answers.
    pub(crate) fn start(launch: &Launch) -> Result<Self, Failure> {
        let java = launch.java().display().to_string();
        let failed = |error: std::io::Error| Failure::Start(format!("cannot start {java}: {error}"));
        let mut child = launch.command().spawn().map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::Start(format!("cannot talk to {java}")));
        };
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let kept = tail.clone();
        let listener = thread::Builder::new().spawn(move || drop(keep_tail(errors, &kept)));
        let listener = Some(listener.map_err(failed)?);
        let answers = Answers::of(output).map_err(failed)?;
        let mut worker = Self { child, input, answers, tail, listener, calls: 0 };
        match worker.call(&mut Request::new(Op::Hello), PATIENCE, |mut reply| {
            let version = reply.str()?;
            reply.long()?;
            reply.end(version.to_owned())
        }) {
            Ok(_) => Ok(worker),
            Err(Trouble::Broken(what) | Trouble::Threw(what)) => Err(Failure::Start(format!(
                "no simulator in {java} (Java {OLDEST_JAVA} or newer is needed; STEPLADDER_JAVA may name another): {what}"
            ))),
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn call<T>(
        &mut self,
        request: &mut Request,
        patience: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Trouble> {
        self.calls = self.calls.wrapping_add(1);
        let sent = self.input.write_all(request.frame(self.calls)).and_then(|()| self.input.flush());
        if sent.is_err() {
            return Err(self.died());
        }
        let mut reply = match self.answers.next(patience) {
            Ok(frame) => Reply(frame),
            Err(Missing::Garbage(what)) => {
                return Err(Trouble::Broken(format!("the simulator's answer is garbage ({what})")));
            }
            Err(Missing::Late) => {
                let seconds = patience.as_secs_f64();
                return Err(Trouble::Broken(format!("the simulator gave no answer for {seconds} s")));
            }
            Err(Missing::Ended) => return Err(self.died()),
        };
        let garbage = |what: &str| Trouble::Broken(format!("the simulator's answer is garbage ({what})"));
        if reply.int() != Some(self.calls) {
            return Err(garbage("it belongs to another call"));
        }
        match reply.byte() {
            Some(0) => read(reply).ok_or_else(|| garbage("it does not fit the question")),
            Some(1) => Err(reply.text().map_or_else(|| garbage("a broken message"), Trouble::Threw)),
            _ => Err(garbage("neither results nor an error")),
        }
    }

    /// How the process ended, as far as it can be seen.
    fn died(&mut self) -> Trouble {
        // Its output is closed, so it is gone or as good as gone.
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let _ = self.listener.take().map(JoinHandle::join);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = if tail.is_empty() {
            "it said nothing".to_owned()
        } else {
            format!("it said: {}", tail.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" | "))
        };
        let memory =
            if tail.iter().any(|line| line.contains("OutOfMemoryError")) { ", out of memory" } else { "" };
        Trouble::Broken(format!("the simulator's process died ({status}{memory}); {said}"))
    }
}

impl Drop for Worker {
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
