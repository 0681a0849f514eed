//! What goes over the socket: text messages both ways, pings that tell whether the client is there, and the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use crate::config::HttpConfig;
use crate::gateway::Link;
use crate::http::mcp::pin;
use crate::session::OutboxReader;

/// Bytes that are read at once, and of a message that are written at once: a long one leaves in fragments, so that no
/// buffer grows with it.
const READ_BYTES: usize = 16 * 1024;
const FRAGMENT_BYTES: usize = 64 * 1024;
/// How long the last messages of a session may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long, and for how many bytes, the rest of what a client sends is read at the end, so that it gets the close frame.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How messages are carried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    message_max: usize,
    /// Time between pings.
    pub(super) keep_alive: Duration,
}

impl Carrier {
    pub(super) fn of(config: &HttpConfig) -> Self {
        Self {
            message_max: config.body_max,
            keep_alive: config.keep_alive,
        }
    }

    /// Returns the WebSocket on a connection from which some bytes have been read already.
    pub(super) async fn open<S: Stream>(self, stream: S, read: Bytes) -> WebSocketStream<S> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(FRAGMENT_BYTES)
            .max_message_size(Some(self.message_max))
            .max_frame_size(Some(self.message_max));
        WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await
    }
}

/// What a connection is.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client closed, or the connection broke.
    Left,
    /// It did not answer a ping, or did not take the last messages.
    Silent,
    /// The client is told this; what it still sends is read as before.
    Told(CloseCode, &'static str),
    /// The client is told this; what it still sends can no longer be understood.
    Lost(CloseCode, &'static str),
}

/// A session on a socket. Dropping it ends the session.
#[derive(Debug)]
pub(super) struct Talk {
    link: Link,
    /// Those of the upgrade: policies see them with every message.
    headers: HeaderMap,
    heard: AtomicBool,
    busy: AtomicBool,
}

impl Talk {
    pub(super) fn new(link: Link, headers: HeaderMap) -> Self {
        Self {
            link,
            headers,
            heard: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    /// Talks until the client or the session is gone, and then ends both.
    pub(super) async fn hold<S: Stream>(
        self,
        socket: WebSocketStream<S>,
        reader: OutboxReader,
        keep_alive: Duration,
    ) {
        let (mut sink, mut source) = socket.split();
        let end = tokio::select! {
            end = self.listen(&mut source) => end,
            end = self.speak(&mut sink, reader, keep_alive) => end,
            end = self.outlive() => end,
        };
        debug!(?end, "a WebSocket ends");
        drop(self);
        let socket = sink.reunite(source).expect("they are of one socket");
        let _ = timeout(FAREWELL, farewell(socket, end)).await;
    }

    /// Waits until a client that does not read has had its time for the last messages of an ended session.
    async fn outlive(&self) -> End {
        self.link.ended().await;
        tokio::time::sleep(LAST_WORDS).await;
        End::Silent
    }

    async fn listen<S: Stream>(&self, source: &mut SplitStream<WebSocketStream<S>>) -> End {
        loop {
            self.link.room().await;
            let message = match source.next().await {
                None => return End::Left,
                Some(Err(error)) => return End::of(&error),
                Some(Ok(message)) => message,
            };
            self.heard.store(true, Ordering::Relaxed);
            match message {
                Message::Text(text) => {
                    // While the gateway works it does not hear the client.
                    self.busy.store(true, Ordering::Relaxed);
                    let pinned = pin(self.link.gateway(), &self.headers);
                    self.link.take(text.into(), pinned).await;
                    self.busy.store(false, Ordering::Relaxed);
                    self.heard.store(true, Ordering::Relaxed);
                }
                Message::Binary(_) => {
                    return End::Told(CloseCode::Unsupported, "messages are text, not binary");
                }
                Message::Close(_) => return End::Left,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn speak<S: Stream>(
        &self,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
        mut reader: OutboxReader,
        keep_alive: Duration,
    ) -> End {
        let mut ticks = interval_at(Instant::now() + keep_alive, keep_alive);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_pinged = false;
        loop {
            let written = tokio::select! {
                events = reader.next() => match events {
                    None => return End::Told(CloseCode::Away, "the session has ended"),
                    Some(events) => write(sink, events.into_iter().map(|event| event.data)).await,
                },
                _ = ticks.tick() => {
                    let is_there = self.heard.swap(false, Ordering::Relaxed) || self.busy.load(Ordering::Relaxed);
                    if has_pinged && !is_there {
                        return End::Silent;
                    }
                    has_pinged = true;
                    sink.send(Message::Ping(Bytes::new())).await
                }
            };
            if written.is_err() {
                return End::Left;
            }
        }
    }
}

/// Writes messages, and waits until they have left.
async fn write<S: Stream>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    messages: impl Iterator<Item = Bytes>,
) -> Result<(), Error> {
    for mut rest in messages {
        let mut kind = Data::Text;
        loop {
            let fragment = rest.split_to(rest.len().min(FRAGMENT_BYTES));
            let is_last = rest.is_empty();
            let frame = Frame::message(fragment, OpCode::Data(kind), is_last);
            sink.feed(Message::Frame(frame)).await?;
            if is_last {
                break;
            }
            kind = Data::Continue;
        }
    }
    sink.flush().await
}

impl End {
    fn of(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::Lost(CloseCode::Size, "the message is longer than http.body-max"),
            Error::Utf8(_) => Self::Lost(CloseCode::Invalid, "the text is not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Left,
            Error::Protocol(_) => Self::Lost(CloseCode::Protocol, "this is not RFC 6455"),
            _ => Self::Left,
        }
    }
}

/// Tells the client why it is over, where there is something to tell, and lets it read that.
async fn farewell<S: Stream>(mut socket: WebSocketStream<S>, end: End) {
    let (code, reason) = match end {
        End::Silent => return,
        // Reading on answers its close frame.
        End::Left => return while let Some(Ok(_)) = socket.next().await {},
        End::Told(code, reason) | End::Lost(code, reason) => (code, reason),
    };
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if socket.close(Some(frame)).await.is_err() {
        return;
    }
    if let End::Told(..) = end {
        return while let Some(Ok(_)) = socket.next().await {};
    }
    // To close while bytes arrive that nobody reads would reset the connection, and the frame would be lost.
    let mut stream = socket.into_inner();
    let mut discarded = 0;
    let mut space = [0; 4096];
    if stream.shutdown().await.is_ok() {
        while discarded < FAREWELL_BYTES_MAX
            && let Ok(count @ 1..) = stream.read(&mut space).await
        {
            discarded += count;
        }
    }
}
