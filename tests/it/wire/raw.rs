//! HTTP as bytes, for what no well-behaved client sends and for how answers are cut into writes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::within;

/// A connection that sends and receives bytes.
#[derive(Debug)]
pub(super) struct Raw {
    stream: TcpStream,
    received: String,
}

impl Raw {
    /// Connects and sends this.
    pub(super) async fn send(address: SocketAddr, text: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream
            .write_all(text.as_bytes())
            .await
            .expect("the system takes it");
        Self {
            stream,
            received: String::new(),
        }
    }

    /// Waits until what was received holds this text and returns all of it.
    pub(super) async fn until(&mut self, wanted: &str) -> &str {
        while !self.received.contains(wanted) {
            assert!(self.read().await, "{wanted:?} never came: {:?}", self.received);
        }
        &self.received
    }

    /// Reads until the gateway closes the connection and returns all that was received.
    pub(super) async fn until_closed(mut self) -> String {
        while self.read().await {}
        self.received
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = within("bytes or the end", self.stream.read(&mut buffer)).await;
        let Ok(count @ 1..) = count else { return false };
        self.received.push_str(&String::from_utf8_lossy(&buffer[..count]));
        true
    }
}

/// Returns the head of a POST to the mock with this body length, and these further header lines.
pub(super) fn head_of_post(address: SocketAddr, length: usize, more: &str) -> String {
    format!(
        "POST /mcp/mock HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    )
}
