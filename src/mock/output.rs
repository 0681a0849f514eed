//! Writing: whoever has an answer leaves it here and goes on; nobody waits for the pipe.
//!
//! What certainly fits into the pipe is written at once, by whoever sends it. Everything else is appended to
//! one buffer that a thread of its own writes out, so a client that writes without reading never stops our reading.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A pipe that polls as writable takes this much without blocking: one page on Linux, POSIX's minimum elsewhere.
const DIRECT_MAX: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };
/// A buffer that grew beyond this is given back after use.
const KEPT_MAX: usize = 4 << 20;

/// Standard output, shared by all who have something to say.
#[derive(Debug)]
pub(crate) struct Output {
    state: Mutex<State>,
    changed: Condvar,
    pending_max: usize,
}

#[derive(Debug)]
struct State {
    /// None once closed.
    file: Option<Arc<File>>,
    pending: Vec<u8>,
    /// The writer thread has taken bytes that are not written yet.
    writing: bool,
    /// Writing failed or was given up: everything is discarded.
    closed: bool,
}

/// The client did not read, and more waits than may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client does not read: more output waits than {0} bytes")]
pub(crate) struct OutputFull(usize);

impl Output {
    pub(crate) fn new(file: File, pending_max: usize) -> Self {
        let state = State {
            file: Some(Arc::new(file)),
            pending: Vec::new(),
            writing: false,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            pending_max,
        }
    }

    /// Takes over `bytes`, whole lines, and leaves the buffer empty. Never waits for the reader of the pipe.
    ///
    /// # Errors
    /// If more than the allowed number of bytes would wait; the bytes are dropped.
    pub(crate) fn send(&self, bytes: &mut Vec<u8>) -> Result<(), OutputFull> {
        let mut state = self.lock();
        if state.closed || bytes.is_empty() {
            bytes.clear();
            return Ok(());
        }
        let idle = state.pending.is_empty() && !state.writing;
        let written = if idle && bytes.len() <= DIRECT_MAX {
            state.write_directly(bytes)
        } else {
            0
        };
        if state.pending.len() + bytes.len() - written > self.pending_max {
            bytes.clear();
            return Err(OutputFull(self.pending_max));
        }
        if written < bytes.len() {
            if state.pending.is_empty() && written == 0 {
                std::mem::swap(&mut state.pending, bytes);
            } else {
                state.pending.extend_from_slice(&bytes[written..]);
            }
            self.changed.notify_all();
        }
        bytes.clear();
        Ok(())
    }

    /// Writes what others leave, for as long as the process lives: the body of the writer thread.
    pub(crate) fn write_forever(&self) {
        let mut taken = Vec::new();
        loop {
            let file = {
                let mut state = self.lock();
                while state.pending.is_empty() {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                std::mem::swap(&mut state.pending, &mut taken);
                state.writing = true;
                state.file.clone()
            };
            let failed = file
                .as_ref()
                .is_none_or(|file| write_all_waiting(file, &taken).is_err());
            drop(file);
            taken.clear();
            taken.shrink_to(KEPT_MAX);
            let mut state = self.lock();
            state.writing = false;
            if failed {
                state.give_up();
            }
            self.changed.notify_all();
        }
    }

    /// Waits until everything left here is written or given up, at most for `patience`.
    pub(crate) fn drain(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while !state.closed && (state.writing || !state.pending.is_empty()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Closes standard output: the client reads the end of it, whatever is sent from now on.
    pub(crate) fn close(&self) {
        self.lock().give_up();
        close_standard_output();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what fits without blocking and returns how much that was.
    fn write_directly(&mut self, bytes: &[u8]) -> usize {
        let Some(file) = self.file.as_deref().filter(|file| is_writable(file)) else {
            return 0;
        };
        let mut file = file;
        match file.write(bytes) {
            Ok(count) => count,
            Err(error) if is_passing(&error) => 0,
            Err(_) => {
                self.give_up();
                bytes.len()
            }
        }
    }

    fn give_up(&mut self) {
        self.closed = true;
        self.file = None;
        self.pending = Vec::new();
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// Writes everything, waiting as long as it takes, also where someone made the pipe non-blocking.
fn write_all_waiting(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_passing(&error) => wait_until_writable(file),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns standard output as a file of its own, past the line buffer of the standard library.
///
/// # Errors
/// If it is closed.
#[cfg(unix)]
pub(crate) fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
pub(crate) fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

#[cfg(unix)]
fn is_writable(file: &File) -> bool {
    poll_writable(
        file,
        Some(&rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )
}

#[cfg(unix)]
fn wait_until_writable(file: &File) {
    poll_writable(file, None);
}

#[cfg(unix)]
fn poll_writable(file: &File, timeout: Option<&rustix::event::Timespec>) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut files = [PollFd::new(file, PollFlags::OUT)];
    poll(&mut files, timeout).is_ok_and(|ready| ready > 0)
}

/// Nothing here tells whether a write would block, so that everything goes by the writer thread.
#[cfg(not(unix))]
fn is_writable(_file: &File) -> bool {
    false
}

#[cfg(not(unix))]
fn wait_until_writable(_file: &File) {
    std::thread::yield_now();
}

#[cfg(unix)]
fn close_standard_output() {
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        // Only a closed descriptor could fail here, and then there is nothing to close.
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}

#[cfg(not(unix))]
fn close_standard_output() {}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe(pending_max: usize) -> (Arc<Output>, File) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let output = Arc::new(Output::new(File::from(writer), pending_max));
        (output, File::from(reader))
    }

    fn start_writer(output: &Arc<Output>) {
        let output = Arc::clone(output);
        std::thread::spawn(move || output.write_forever());
    }

    #[test]
    fn small_answers_are_written_at_once_without_the_writer() {
        let (output, mut reader) = pipe(1 << 20);
        let mut bytes = b"hello\n".to_vec();
        output.send(&mut bytes).unwrap();
        assert!(bytes.is_empty());
        let mut read = [0; 16];
        assert_eq!(reader.read(&mut read).unwrap(), 6);
    }

    #[test]
    fn a_pipe_that_nobody_reads_does_not_hold_the_sender_and_keeps_the_order() {
        let (output, mut reader) = pipe(64 << 20);
        start_writer(&output);
        let mut expected = Vec::new();
        for number in 0..2000_u32 {
            let mut line = vec![b'a' + (number % 26) as u8; number as usize];
            line.push(b'\n');
            expected.extend_from_slice(&line);
            output.send(&mut line).unwrap();
        }
        let mut read = vec![0; expected.len()];
        reader.read_exact(&mut read).unwrap();
        assert!(read == expected, "bytes were reordered or lost");
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let (output, _reader) = pipe(10_000);
        output.send(&mut vec![b'x'; 8_000]).unwrap();
        assert_eq!(output.send(&mut vec![b'x'; 4_000]), Err(OutputFull(10_000)));
    }

    #[test]
    fn a_reader_that_went_away_ends_it_quietly() {
        let (output, reader) = pipe(1 << 20);
        start_writer(&output);
        drop(reader);
        output.send(&mut vec![b'x'; 100_000]).unwrap();
        output.drain(Duration::from_secs(10));
        assert!(output.lock().closed);
        output.send(&mut b"x".to_vec()).unwrap();
    }
}
