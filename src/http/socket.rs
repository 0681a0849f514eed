//! A client's socket. It says why where hyper would say nothing: a head over the limits gets 431 with a reason, and the
//! connection stays open for a moment so that its sender gets to read that.
//!
//! hyper answers such a head by itself, without a body, and closes while the rest of the head is still arriving; the
//! system then resets the connection, and the answer is lost with it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::preface::{Version, read_preface};

/// How hyper's answer to a head over the limits begins; no route answers with this status. A write may as well begin in
/// the midst of a body, and hold what anybody likes: but a body here is JSON, which has no line end in any text.
const REFUSAL: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";

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
    /// What was read to see which HTTP it is, and has yet to be handed on.
    read: BytesMut,
    /// It counts as a connection for as long as it is there, whatever it has become.
    _permit: Option<OwnedSemaphorePermit>,
    /// It carries no more HTTP, so nothing on it is an answer of hyper's.
    is_upgraded: bool,
    /// What is left to say to the sender of a refused head.
    answer: Option<Bytes>,
    linger: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            _permit: None,
            is_upgraded: false,
            answer: None,
            linger: None,
            discarded: 0,
        }
    }

    /// Keeps the permit of the connection until its end.
    pub(super) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self._permit = Some(permit);
        self
    }

    /// Returns it as the connection of another protocol, to which HTTP has led.
    pub(super) fn upgraded(mut self) -> Self {
        self.is_upgraded = true;
        self
    }

    /// Reads so much as tells which HTTP it is.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn version(&mut self) -> io::Result<Version> {
        let (version, read) = read_preface(&mut self.stream).await?;
        self.read = read;
        Ok(version)
    }

    fn is_refusal(&self, bytes: &[u8]) -> bool {
        !self.is_upgraded && bytes.starts_with(REFUSAL)
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
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(count));
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_refusal(bytes) {
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
        if slices.first().is_some_and(|first| self.is_refusal(first)) {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

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
                .write_all(&[REFUSAL, b"\r\n"].concat())
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
            .write_all(&[REFUSAL, b"\r\n"].concat())
            .await
            .expect("there is room");
        let start = tokio::time::Instant::now();
        socket.shutdown().await.expect("it ends");
        assert_eq!(start.elapsed().as_secs(), LINGER.as_secs());
    }

    #[tokio::test]
    async fn what_was_read_to_see_which_http_it_is_is_read_again() {
        let (mut client, stream) = duplex(4096);
        let mut socket = Socket::new(stream);
        client
            .write_all(b"POST / HTTP/1.1\r\n")
            .await
            .expect("there is room");
        assert_eq!(socket.version().await.expect("it is read"), Version::One);
        client.write_all(b"more").await.expect("there is room");
        drop(client);
        let mut all = String::new();
        socket.read_to_string(&mut all).await.expect("text");
        assert_eq!(all, "POST / HTTP/1.1\r\nmore");
    }

    /// Writes this to a socket and returns what arrives.
    async fn passed(socket: impl FnOnce(DuplexStream) -> Socket<DuplexStream>, text: &[u8]) -> Vec<u8> {
        let (mut client, stream) = duplex(4096);
        let mut socket = socket(stream);
        socket.write_all(text).await.expect("there is room");
        socket.shutdown().await.expect("it ends");
        let mut arrived = Vec::new();
        client.read_to_end(&mut arrived).await.expect("memory");
        arrived
    }

    #[tokio::test]
    async fn on_another_protocol_nothing_is_a_refusal() {
        assert_eq!(
            passed(|stream| Socket::new(stream).upgraded(), REFUSAL).await,
            REFUSAL
        );
    }

    #[tokio::test]
    async fn what_a_server_says_is_no_refusal_wherever_a_write_begins() {
        let status = REFUSAL.trim_ascii_end();
        for text in [
            status,
            b"HTTP/1.1 431 \\r\\n\\r\\n",
            b"HTTP/1.1 431 HTTP/1.1 431 ",
        ] {
            assert_eq!(passed(Socket::new, text).await, text);
        }
    }

    #[tokio::test]
    async fn everything_else_passes_as_it_is_and_ends_at_once() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(passed(Socket::new, answer).await, answer);
    }
}
