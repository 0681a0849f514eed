//! What waits for the child's stdin: one buffer that senders append lines to and one task that writes it out.
//!
//! All lines that gather while a write is under way leave in the next one. The buffer is bounded, and what is being
//! written once more by as much; a line that finds it full is refused at once, so no sender ever waits for a slow child.

use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// Why a line was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRefused {
    /// The buffer is full.
    Full,
    /// Nothing is written any more.
    Closed,
}

/// The buffer. A std mutex: it is held for the copy of one line, never across an await.
pub(super) struct Outbound {
    queue: Mutex<Queue>,
    wake: Notify,
    lines_max: usize,
    bytes_max: usize,
}

struct Queue {
    buffer: Vec<u8>,
    lines: usize,
    closed: bool,
}

/// A buffer that grew beyond this is not kept when it is empty again.
const BUFFER_KEPT: usize = 256 * 1024;

impl Outbound {
    pub(super) fn new(lines_max: usize, bytes_max: usize) -> Self {
        let queue = Queue {
            buffer: Vec::new(),
            lines: 0,
            closed: false,
        };
        Self {
            queue: Mutex::new(queue),
            wake: Notify::new(),
            lines_max,
            bytes_max,
        }
    }

    /// Appends what `write` writes, as one line. A single line may be longer than the limit; it is the gathering of
    /// lines that is bounded.
    pub(super) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), PushRefused> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(PushRefused::Closed);
        }
        if queue.lines >= self.lines_max || queue.buffer.len() >= self.bytes_max {
            return Err(PushRefused::Full);
        }
        write(&mut queue.buffer);
        queue.buffer.push(b'\n');
        queue.lines += 1;
        let first = queue.lines == 1;
        drop(queue);
        if first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes no more lines; what was taken is still written, then the pipe is closed.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Writes until closed. Returning drops the pipe, which is end of file for the child.
    ///
    /// # Errors
    /// The pipe broke.
    pub(super) async fn write_to(&self, mut pipe: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            let closed = self.take(&mut batch);
            if !batch.is_empty() {
                pipe.write_all(&batch).await?;
                pipe.flush().await?;
                batch.clear();
                batch.shrink_to(BUFFER_KEPT);
            } else if closed {
                return Ok(());
            } else {
                self.wake.notified().await;
                // Whoever else is about to append gets the chance to: their lines leave in the same write.
                tokio::task::yield_now().await;
            }
        }
    }

    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut queue = self.lock();
        mem::swap(&mut queue.buffer, batch);
        queue.lines = 0;
        queue.closed
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("no holder panics: appending to a Vec is all that happens under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit() {
        let outbound = Outbound::new(2, 10);
        assert_eq!(
            outbound.push(|out| out.extend_from_slice(b"0123456789abc")),
            Ok(())
        );
        assert_eq!(
            outbound.push(|out| out.push(b'x')),
            Err(PushRefused::Full),
            "bytes"
        );
        let outbound = Outbound::new(2, 100);
        assert_eq!(outbound.push(|out| out.push(b'x')), Ok(()));
        assert_eq!(outbound.push(|out| out.push(b'y')), Ok(()));
        assert_eq!(
            outbound.push(|out| out.push(b'z')),
            Err(PushRefused::Full),
            "lines"
        );
        outbound.close();
        assert_eq!(outbound.push(|out| out.push(b'z')), Err(PushRefused::Closed));
    }

    #[tokio::test]
    async fn what_gathered_leaves_in_one_write_and_closing_ends_it() {
        let outbound = Outbound::new(10, 1000);
        for text in ["one", "two", "three"] {
            outbound
                .push(|out| out.extend_from_slice(text.as_bytes()))
                .expect("room");
        }
        outbound.close();
        let mut pipe = tokio_test_writer::Writes::default();
        outbound.write_to(&mut pipe).await.expect("memory");
        assert_eq!(pipe.0, [b"one\ntwo\nthree\n".to_vec()]);
    }

    mod tokio_test_writer {
        use std::io;
        use std::pin::Pin;
        use std::task::{Context, Poll};

        use tokio::io::AsyncWrite;

        /// Remembers each write on its own.
        #[derive(Default)]
        pub(super) struct Writes(pub(super) Vec<Vec<u8>>);

        impl AsyncWrite for Writes {
            fn poll_write(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.push(bytes.to_vec());
                Poll::Ready(Ok(bytes.len()))
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    }
}
