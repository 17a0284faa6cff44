//! The frames that a JVM writes, awaited for a limited time.

use std::time::Duration;

/// Longest reply that can be meant: lists of a few thousand actions have a few hundred kilobytes.
const LARGEST: u32 = 1 << 26;

/// Why there is no frame.
#[derive(Debug)]
pub(crate) enum Missing {
    /// The time is over.
    Late,
    /// The other side is gone, as far as can be seen from here.
    Ended,
    /// What came is no frame.
    Garbage(String),
}

fn length(head: [u8; 4]) -> Result<usize, Missing> {
    let length = u32::from_be_bytes(head);
    if length > LARGEST {
        return Err(Missing::Garbage(format!("it announces {length} bytes")));
    }
    Ok(length as usize)
}

#[cfg(unix)]
pub(crate) use unix::Answers;

/// Read by the thread that waits for the answer: a thread in between would have to be woken, and then wake another, for every call.
#[cfg(unix)]
mod unix {
    use std::process::ChildStdout;

    use rustix::buffer::spare_capacity;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::{Errno, read};
    use stepladder_env::clock::Stopwatch;

    use super::*;

    #[derive(Debug)]
    pub(crate) struct Answers {
        pipe: ChildStdout,
        bytes: Vec<u8>,
        /// Length of the frame that was answered last, at the beginning of `bytes`.
        taken: usize,
    }

    impl Answers {
        #[allow(clippy::unnecessary_wraps, reason = "elsewhere this starts a thread")]
        pub(crate) fn of(pipe: ChildStdout) -> std::io::Result<Self> {
            Ok(Self { pipe, bytes: Vec::new(), taken: 0 })
        }

        /// The next frame.
        pub(crate) fn next(&mut self, patience: Duration) -> Result<&[u8], Missing> {
            self.bytes.drain(..std::mem::take(&mut self.taken));
            let started = Stopwatch::start();
            loop {
                let mut wanted = 4;
                if let Some(head) = self.bytes.first_chunk() {
                    wanted += length(*head)?;
                    if self.bytes.len() >= wanted {
                        self.taken = wanted;
                        return Ok(&self.bytes[4..wanted]);
                    }
                }
                let left = patience.checked_sub(started.elapsed()).ok_or(Missing::Late)?;
                match poll(
                    &mut [PollFd::new(&self.pipe, PollFlags::IN)],
                    Timespec::try_from(left).ok().as_ref(),
                ) {
                    Ok(0) => return Err(Missing::Late),
                    Ok(_) => {}
                    Err(Errno::INTR) => continue,
                    Err(_) => return Err(Missing::Ended),
                }
                self.bytes.reserve((wanted - self.bytes.len()).max(1 << 12));
                match read(&self.pipe, spare_capacity(&mut self.bytes)) {
                    Ok(0) => return Err(Missing::Ended),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => return Err(Missing::Ended),
                }
            }
        }
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::Answers;

#[cfg(not(unix))]
mod elsewhere {
    use std::io::{BufReader, Read};
    use std::process::ChildStdout;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

    use super::*;

    #[derive(Debug)]
    pub(crate) struct Answers {
        frames: Receiver<Result<Vec<u8>, Missing>>,
        last: Vec<u8>,
    }

    impl Answers {
        pub(crate) fn of(pipe: ChildStdout) -> std::io::Result<Self> {
            let (sender, frames) = sync_channel(1);
            std::thread::Builder::new().spawn(move || {
                let mut pipe = BufReader::new(pipe);
                loop {
                    let frame = read_frame(&mut pipe);
                    let broken = frame.is_err();
                    if sender.send(frame).is_err() || broken {
                        return;
                    }
                }
            })?;
            Ok(Self { frames, last: Vec::new() })
        }

        pub(crate) fn next(&mut self, patience: Duration) -> Result<&[u8], Missing> {
            self.last = match self.frames.recv_timeout(patience) {
                Ok(frame) => frame?,
                Err(RecvTimeoutError::Timeout) => return Err(Missing::Late),
                Err(RecvTimeoutError::Disconnected) => return Err(Missing::Ended),
            };
            Ok(&self.last)
        }
    }

    fn read_frame(pipe: &mut BufReader<ChildStdout>) -> Result<Vec<u8>, Missing> {
        let mut head = [0; 4];
        pipe.read_exact(&mut head).map_err(|_| Missing::Ended)?;
        let mut frame = vec![0; length(head)?];
        pipe.read_exact(&mut frame).map_err(|_| Missing::Ended)?;
        Ok(frame)
    }
}
