//! A WebSocket server: the mock behind a socket, one process for each.

use std::net::SocketAddr;
use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Serves the mock until it is dropped.
#[derive(Debug)]
pub(super) struct Sockets {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Sockets {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                connections.spawn(serve(stream));
            }
        });
        Self { address, task }
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}/mcp", self.address)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(clippy::result_large_err, reason = "the shape that the handshake wants")]
async fn serve(stream: TcpStream) {
    let echo = |request: &Request, mut response: Response| {
        let offered = request.headers().get("sec-websocket-protocol").cloned();
        assert_eq!(
            offered.as_ref().map(|offered| offered.as_bytes()),
            Some(&b"mcp"[..])
        );
        response
            .headers_mut()
            .extend(offered.map(|offered| (http::header::SEC_WEBSOCKET_PROTOCOL, offered)));
        Ok(response)
    };
    let socket = accept_hdr_async(stream, echo).await.expect("a handshake");
    let (mut sink, mut frames) = socket.split();
    let mut mock = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("mock-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it has been built");
    let mut stdin = mock.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(mock.stdout.take().expect("it is piped")).lines();
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    assert!(!text.contains('\n'), "one message");
                    stdin.write_all(format!("{text}\n").as_bytes()).await.expect("the mock reads");
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            line = lines.next_line() => match line {
                Ok(Some(line)) => sink.send(Message::text(line)).await.expect("the gateway reads"),
                _ => return,
            },
        }
    }
}
