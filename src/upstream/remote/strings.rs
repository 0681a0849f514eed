//! The pipes between the supervisor and the task that translates: lines one way, lines the other, and a log.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

use crate::protocol::framing::{Frame, LineDecoder};

/// Bytes of the gateway's lines that are on their way to the translator; more wait in the queue of the connection.
pub(super) const OUTGOING_BYTES: usize = 64 * 1024;
/// Lines of the server that wait for the supervisor; whoever has one more waits, and with it the server.
pub(super) const INCOMING_LINES: usize = 16;
/// Sentences for the log that wait; more are dropped.
pub(super) const LOG_LINES: usize = 64;

/// The lines that the gateway sends.
#[derive(Debug)]
pub(super) struct Outgoing {
    pipe: DuplexStream,
    decoder: LineDecoder,
    put_back: Option<Bytes>,
}

impl Outgoing {
    pub(super) fn new(pipe: DuplexStream) -> Self {
        Self {
            pipe,
            // They were bounded when they came in.
            decoder: LineDecoder::new(usize::MAX),
            put_back: None,
        }
    }

    /// Returns the next line, or `None` when the gateway has closed its end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(line) = self.put_back.take() {
            return Some(line);
        }
        loop {
            if let Some(Frame::Line(line)) = self.decoder.next_frame() {
                return Some(line);
            }
            if !matches!(self.pipe.read_buf(self.decoder.buffer()).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// Takes a line back, which is then the next one.
    pub(super) fn put_back(&mut self, line: Bytes) {
        self.put_back = Some(line);
    }
}

/// Lines as a stream of bytes, for whoever expects the output of a process.
#[derive(Debug)]
pub(super) struct LineReader {
    lines: mpsc::Receiver<Bytes>,
    current: Bytes,
    owes_line_end: bool,
}

impl LineReader {
    /// Returns a pipe of so many lines.
    pub(super) fn pipe(lines_max: usize) -> (mpsc::Sender<Bytes>, Self) {
        let (tx, lines) = mpsc::channel(lines_max);
        let reader = Self {
            lines,
            current: Bytes::new(),
            owes_line_end: false,
        };
        (tx, reader)
    }
}

impl AsyncRead for LineReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.current.is_empty() && !self.owes_line_end {
            match ready!(self.lines.poll_recv(ctx)) {
                Some(line) => {
                    self.current = line;
                    self.owes_line_end = true;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.current.len().min(out.remaining());
        out.put_slice(&self.current[..length]);
        self.current.advance(length);
        if self.current.is_empty() && out.remaining() > 0 {
            out.put_slice(b"\n");
            self.owes_line_end = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Where the translator says what happened; it stands in for the stderr of a process.
#[derive(Debug, Clone)]
pub(super) struct Log(pub(super) mpsc::Sender<Bytes>);

impl Log {
    /// Says a sentence, if there is room for it.
    pub(super) fn say(&self, sentence: impl Display) {
        let line = sentence.to_string().replace(['\n', '\r'], " ");
        let _ = self.0.try_send(line.into());
    }
}

/// Makes one line of a text that is JSON or none: there, line breaks stand between tokens only.
pub(super) fn one_line(text: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &text).is_none() {
        return text;
    }
    let spaced = text.iter().map(|byte| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    });
    spaced.collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_out_as_they_went_in_however_little_is_read_at_once() {
        for size in [1, 3, 100] {
            let (tx, mut reader) = LineReader::pipe(4);
            for line in ["one", "", "three"] {
                tx.send(Bytes::from_static(line.as_bytes())).await.expect("room");
            }
            drop(tx);
            let mut seen = Vec::new();
            let mut piece = vec![0; size];
            loop {
                let count = reader.read(&mut piece).await.expect("memory");
                if count == 0 {
                    break;
                }
                seen.extend_from_slice(&piece[..count]);
            }
            assert_eq!(seen, b"one\n\nthree\n", "{size} at once");
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_so_much_and_no_more() {
        let (tx, mut lines) = mpsc::channel(2);
        let log = Log(tx);
        for sentence in ["one\ntwo", "three", "four"] {
            log.say(sentence);
        }
        assert_eq!(lines.try_recv().as_deref(), Ok(&b"one two"[..]), "one line");
        assert_eq!(lines.try_recv().as_deref(), Ok(&b"three"[..]));
        assert!(lines.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_line_that_was_put_back_comes_first() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let mut outgoing = Outgoing::new(theirs);
        tokio::io::AsyncWriteExt::write_all(&mut ours, b"one\ntwo\n")
            .await
            .expect("room");
        drop(ours);
        let one = outgoing.next().await.expect("it was written");
        outgoing.put_back(one.clone());
        assert_eq!(outgoing.next().await, Some(one));
        assert_eq!(outgoing.next().await.as_deref(), Some(&b"two"[..]));
        assert_eq!(outgoing.next().await, None);
    }
}
