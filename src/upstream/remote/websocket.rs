//! WebSocket with the subprotocol `mcp`: one message per text frame, in both directions.
//!
//! The connection is opened by the same client as every other, so that its TLS, its proxies and its headers are the
//! same; frames begin where the server has switched protocols.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Method, Response, StatusCode, Upgraded};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};

use super::failure::RemoteFailure;
use super::server::RemoteServer;
use super::strings::{Log, Outgoing, one_line};
use super::wire::Ending;

/// The subprotocol of MCP.
const SUBPROTOCOL: &str = "mcp";
/// How often the peer is asked for a sign of life, and how long it may give none.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Longest wait for a farewell to be written.
const CLOSE_TIME: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<Upgraded>;

/// Opens a WebSocket and speaks until it is closed.
pub(super) async fn speak(
    server: &Arc<RemoteServer>,
    outgoing: &mut Outgoing,
    incoming: mpsc::Sender<Bytes>,
    log: &Log,
) -> Ending {
    let opened = tokio::time::timeout(server.handshake_timeout(), open(server, log)).await;
    let (sink, stream) = match opened.unwrap_or(Err(RemoteFailure::TooSlow)) {
        Ok(socket) => socket.split(),
        Err(failure) => return Ending::Lost(failure),
    };
    tokio::select! {
        () = read(stream, incoming, log) => Ending::Lost(RemoteFailure::SocketClosed),
        ending = write(sink, outgoing) => ending,
    }
}

async fn open(server: &RemoteServer, log: &Log) -> Result<Socket, RemoteFailure> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| RemoteFailure::Handshake)?;
    let key = BASE64_STANDARD.encode(nonce);
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, const { HeaderValue::from_static("Upgrade") });
    headers.insert(UPGRADE, const { HeaderValue::from_static("websocket") });
    headers.insert(SEC_WEBSOCKET_VERSION, const { HeaderValue::from_static("13") });
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        const { HeaderValue::from_static(SUBPROTOCOL) },
    );
    headers.insert(
        SEC_WEBSOCKET_KEY,
        HeaderValue::from_str(&key).expect("base64 is header text"),
    );
    let response = server
        .client()
        .send(Method::GET, server.url(), headers, log)
        .await?;
    check(&response, &key)?;
    let upgraded = response.upgrade().await.map_err(|_| RemoteFailure::Handshake)?;
    let line_max = server.line_max();
    let limits = WebSocketConfig::default()
        .max_message_size(Some(line_max))
        .max_frame_size(Some(line_max));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
}

/// Refuses what RFC 6455 §4.1 tells a client to refuse.
fn check(response: &Response, key: &str) -> Result<(), RemoteFailure> {
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        status if status.is_success() => return Err(RemoteFailure::Handshake),
        status => return Err(RemoteFailure::of_status(status)),
    }
    let headers = response.headers();
    let says = |name, expect: &str| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes() == expect.as_bytes())
    };
    let is_accepted = says(SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes()));
    // A server that names no subprotocol is taken at its word; one that names another speaks something else.
    let speaks_mcp =
        says(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) || !headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
    if is_accepted && speaks_mcp {
        Ok(())
    } else {
        Err(RemoteFailure::Handshake)
    }
}

async fn read(mut stream: SplitStream<Socket>, incoming: mpsc::Sender<Bytes>, log: &Log) {
    loop {
        match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
            Ok(Some(Ok(Frame::Text(text)))) => {
                // Fails only when the supervisor reads no more.
                let _ = incoming.send(one_line(text.into())).await;
            }
            Ok(Some(Ok(Frame::Close(_)))) | Ok(None) => return,
            Ok(Some(Ok(Frame::Binary(_)))) => log.say("a binary frame, which MCP has none of, was dropped"),
            // Pings are answered by the socket itself.
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return log.say(format_args!("the WebSocket broke: {error}")),
            Err(_) => return log.say("the WebSocket gave no sign of life"),
        }
    }
}

async fn write(mut sink: SplitSink<Socket, Frame>, outgoing: &mut Outgoing) -> Ending {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        let frame = tokio::select! {
            line = outgoing.next() => match line.map(Utf8Bytes::try_from) {
                Some(Ok(text)) => Frame::Text(text),
                Some(Err(_)) => continue, // no line of ours is anything but UTF-8
                None => break,
            },
            _ = pings.tick() => Frame::Ping(Bytes::new()),
        };
        if sink.send(frame).await.is_err() {
            return Ending::Lost(RemoteFailure::SocketClosed);
        }
    }
    let _ = tokio::time::timeout(CLOSE_TIME, sink.close()).await;
    Ending::Closed
}
