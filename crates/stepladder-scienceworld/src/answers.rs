//! Reading of the frames that a JVM writes, with a time limit.

use std::time::Duration;

/// Longest frame that is accepted, in bytes. Lists of a few thousand actions take a few hundred kilobytes.
const LARGEST: u32 = 1 << 26;

/// Reason why no frame was read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The time limit passed.
    Timeout,
    /// The pipe is closed or failed: the process has most likely ended.
    Ended,
    /// The bytes are not a frame.
    Malformed(String),
}

fn length(head: [u8; 4]) -> Result<usize, ReadError> {
    let length = u32::from_be_bytes(head);
    if length > LARGEST {
        return Err(ReadError::Malformed(format!("a frame of {length} bytes")));
    }
    Ok(length as usize)
}

#[cfg(unix)]
pub(crate) use unix::Answers;

/// Reading by the calling thread: a reader thread would cost two more thread switches per call.
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
        /// Length of the previous frame, which is still at the start of `bytes`.
        taken: usize,
    }

    impl Answers {
        #[allow(clippy::unnecessary_wraps, reason = "elsewhere this starts a thread")]
        pub(crate) fn of(pipe: ChildStdout) -> std::io::Result<Self> {
            Ok(Self { pipe, bytes: Vec::new(), taken: 0 })
        }

        /// Reads the next frame within `timeout`.
        pub(crate) fn next(&mut self, timeout: Duration) -> Result<&[u8], ReadError> {
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
                let left = timeout.checked_sub(started.elapsed()).ok_or(ReadError::Timeout)?;
                match poll(
                    &mut [PollFd::new(&self.pipe, PollFlags::IN)],
                    Timespec::try_from(left).ok().as_ref(),
                ) {
                    Ok(0) => return Err(ReadError::Timeout),
                    Ok(_) => {}
                    Err(Errno::INTR) => continue,
                    Err(_) => return Err(ReadError::Ended),
                }
                self.bytes.reserve((wanted - self.bytes.len()).max(1 << 12));
                match read(&self.pipe, spare_capacity(&mut self.bytes)) {
                    Ok(0) => return Err(ReadError::Ended),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => return Err(ReadError::Ended),
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
        frames: Receiver<Result<Vec<u8>, ReadError>>,
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

        pub(crate) fn next(&mut self, timeout: Duration) -> Result<&[u8], ReadError> {
            self.last = match self.frames.recv_timeout(timeout) {
                Ok(frame) => frame?,
                Err(RecvTimeoutError::Timeout) => return Err(ReadError::Timeout),
                Err(RecvTimeoutError::Disconnected) => return Err(ReadError::Ended),
            };
            Ok(&self.last)
        }
    }

    fn read_frame(pipe: &mut BufReader<ChildStdout>) -> Result<Vec<u8>, ReadError> {
        let mut head = [0; 4];
        pipe.read_exact(&mut head).map_err(|_| ReadError::Ended)?;
        let mut frame = vec![0; length(head)?];
        pipe.read_exact(&mut frame).map_err(|_| ReadError::Ended)?;
        Ok(frame)
    }
}
