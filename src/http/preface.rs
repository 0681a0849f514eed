//! Which HTTP a connection speaks: its first bytes tell (RFC 9113 §3.4).

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every HTTP/2 connection of a client with prior knowledge begins with, and nothing else.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much as hyper reads at first, so that nothing is read twice as often.
const READ_BYTES: usize = 8 * 1024;

/// Which HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Reads until it is clear, and returns what was read too.
///
/// # Errors
/// The connection broke.
pub(super) async fn read_preface(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Version, BytesMut)> {
    let mut read = BytesMut::with_capacity(READ_BYTES);
    loop {
        let count = stream.read_buf(&mut read).await?;
        if read.starts_with(PREFACE) {
            return Ok((Version::Two, read));
        }
        if count == 0 || !PREFACE.starts_with(&read) {
            return Ok((Version::One, read));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(pieces: &[&[u8]], expect: Version) {
        let mut stream = tokio_test_stream(pieces);
        let (version, mut read) = read_preface(&mut stream).await.expect("memory does not break");
        assert_eq!(version, expect);
        stream.read_to_end_into(&mut read);
        assert_eq!(read, pieces.concat());
    }

    /// Gives one piece at a time.
    struct Pieces(Vec<Vec<u8>>);

    fn tokio_test_stream(pieces: &[&[u8]]) -> Pieces {
        Pieces(pieces.iter().rev().map(|piece| piece.to_vec()).collect())
    }

    impl Pieces {
        fn read_to_end_into(mut self, read: &mut BytesMut) {
            while let Some(piece) = self.0.pop() {
                read.extend_from_slice(&piece);
            }
        }
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop() {
                buffer.put_slice(&piece);
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_preface_is_known_however_it_is_cut() {
        let preface: Vec<&[u8]> = PREFACE.chunks(1).collect();
        check(&[&preface[..], &[b"more"]].concat(), Version::Two).await;
        check(&[PREFACE], Version::Two).await;
        check(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more"], Version::Two).await;
    }

    #[tokio::test]
    async fn everything_else_is_the_older_one_as_soon_as_that_is_clear() {
        check(&[b"POST /mcp/x HTTP/1.1\r\n", b"more"], Version::One).await;
        check(&[b"P", b"R", b"OPFIND"], Version::One).await;
        check(&[b"PRI * HTTP/2.0\r\n\r\nXX"], Version::One).await;
        check(&[b"PR"], Version::One).await;
        check(&[], Version::One).await;
    }
}
