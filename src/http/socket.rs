//! A client's socket. It says why where hyper would say nothing: a head over the limits gets 431 with a reason, and the
//! connection stays open for a moment so that its sender gets to read that.
//!
//! hyper answers such a head by itself, without a body, and closes while the rest of the head is still arriving; the
//! system then resets the connection, and the answer is lost with it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How hyper's answer to a head over the limits begins; no route answers with this status.
const REFUSAL: &[u8] = b"HTTP/1.1 431 ";

/// What is sent in its place.
const ANSWER: &str = concat!(
    "HTTP/1.1 431 Request Header Fields Too Large\r\n",
    "content-type: application/json\r\nconnection: close\r\ncontent-length: 141\r\n\r\n",
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"#,
    r#""the head of the request is longer than http.header-max, or has too many lines"}}"#,
);

/// How long, and for how many bytes, the rest of a refused head is read and thrown away.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The socket.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    /// What is left to say to the sender of a refused head.
    answer: Option<Bytes>,
    linger: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            answer: None,
            linger: None,
            discarded: 0,
        }
    }

    /// Sends the answer to a refused head; ready when it has left.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = self.answer.get_or_insert(Bytes::from_static(ANSWER.as_bytes()));
        while answer.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            answer.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the peer closes, says too much or takes too long.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; 4096];
        while self.discarded < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.discarded += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.starts_with(REFUSAL) {
            ready!(self.poll_answer(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.first().is_some_and(|first| first.starts_with(REFUSAL)) {
            ready!(self.poll_answer(cx))?;
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if self.answer.is_some() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let (head, body) = ANSWER.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_explained_and_can_be_read_before_the_end() {
        let (mut client, stream) = duplex(64);
        let mut socket = Socket::new(stream);
        let server = tokio::spawn(async move {
            socket
                .write_all(b"HTTP/1.1 431 Too Large\r\n\r\n")
                .await
                .expect("it is read");
            socket.shutdown().await.expect("it ends");
            socket.discarded
        });
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("text");
        assert_eq!(answer, ANSWER);
        client
            .write_all(&[b'x'; 10_000])
            .await
            .expect("it is thrown away");
        drop(client);
        assert_eq!(server.await.expect("no panic"), 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_neither_reads_on_nor_goes_is_waited_for_so_long() {
        let (_client, stream) = duplex(4096);
        let mut socket = Socket::new(stream);
        socket
            .write_all(b"HTTP/1.1 431 Too Large\r\n\r\n")
            .await
            .expect("there is room");
        let start = tokio::time::Instant::now();
        socket.shutdown().await.expect("it ends");
        assert_eq!(start.elapsed().as_secs(), LINGER.as_secs());
    }

    #[tokio::test]
    async fn everything_else_passes_as_it_is_and_ends_at_once() {
        let (mut client, stream) = duplex(4096);
        let mut socket = Socket::new(stream);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("there is room");
        socket.shutdown().await.expect("it ends");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("text");
        assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\n");
    }
}
