//! A remote server as its instances know it: where it is, with which credentials, and how it turned out to speak.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::client::RemoteClient;
use super::conversation::Conversation;
use super::failure::RemoteFailure;
use super::mirrors::Mirrors;
use super::process::RemoteProcess;
use super::strings::{INCOMING_LINES, LOG_LINES, LineReader, Log, OUTGOING_BYTES, Outgoing};
use super::wire::{Ending, Shape, Wire};
use super::{classic, websocket};
use crate::config::{RemoteSpec, RemoteTransport, ServerSpec};
use crate::upstream::launch::{Exit, LaunchError, Launched};

/// A remote server.
pub struct RemoteServer {
    spec: RemoteSpec,
    url: Url,
    line_max: usize,
    in_flight_max: usize,
    handshake_timeout: Duration,
    client: OnceLock<Result<RemoteClient, String>>,
    /// How a server turned out to speak whose transport is not pinned.
    found: Mutex<Option<Shape>>,
    mirrors: Mirrors,
}

impl fmt::Debug for RemoteServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteServer")
            .field("transport", &self.spec.transport)
            .finish_non_exhaustive()
    }
}

impl RemoteServer {
    /// Returns a server that nothing has been asked of yet.
    pub(in crate::upstream) fn new(remote: &RemoteSpec, spec: &ServerSpec) -> Self {
        let mut url = Url::parse(remote.url.value()).expect("the configuration was checked");
        // A WebSocket begins as HTTP.
        let scheme = match url.scheme() {
            "ws" => "http",
            "wss" => "https",
            other => other,
        };
        let scheme = scheme.to_owned();
        url.set_scheme(&scheme)
            .expect("each of them is as special as the other");
        Self {
            spec: remote.clone(),
            url,
            line_max: spec.line_max,
            in_flight_max: spec.in_flight_max,
            handshake_timeout: spec.handshake_timeout,
            client: OnceLock::new(),
            found: Mutex::default(),
            mirrors: Mirrors::default(),
        }
    }

    /// Returns what stands in for a process: its pipes, and a task that translates.
    ///
    /// # Errors
    /// There is no client for it: the platform's roots could not be read.
    #[expect(clippy::unused_async, reason = "the supervisor opens every door alike")]
    pub(in crate::upstream) async fn open(self: &Arc<Self>) -> Result<Launched, LaunchError> {
        let client = self.client.get_or_init(|| RemoteClient::new(&self.spec));
        if let Err(what) = client {
            return Err(LaunchError::Invalid { what: what.clone() });
        }
        let (stdin, pipe) = tokio::io::duplex(OUTGOING_BYTES);
        let (incoming, stdout) = LineReader::pipe(INCOMING_LINES);
        let (log, stderr) = LineReader::pipe(LOG_LINES);
        let task = translate(self.clone(), Outgoing::new(pipe), incoming.clone(), Log(log));
        let process = RemoteProcess::new(tokio::spawn(task.instrument(Span::current())), incoming);
        Ok(Launched {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            process: Box::new(process),
        })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn client(&self) -> &RemoteClient {
        let client = self.client.get().and_then(|client| client.as_ref().ok());
        client.expect("nothing is translated without a client")
    }

    /// Returns what is known of its tools over HTTP.
    pub(super) fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// Returns the most bytes of one message.
    pub(super) fn line_max(&self) -> usize {
        self.line_max
    }

    /// Returns the most requests at once.
    pub(super) fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// Returns how long it may take until a session is open.
    pub(super) fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// Returns whether all that it says comes by one connection, which it may close.
    pub(in crate::upstream) fn has_one_stream(&self) -> bool {
        self.spec.transport == RemoteTransport::WebSocket || self.first_shape() == Shape::Classic
    }

    /// Remembers how the server speaks.
    pub(super) fn remember(&self, shape: Shape) {
        *self.found.lock().expect("no holder panics") = Some(shape);
    }

    /// Returns whether HTTP+SSE may be tried after Streamable HTTP was refused.
    pub(super) fn may_fall_back(&self, shape: Shape) -> bool {
        shape == Shape::Streamable && self.spec.transport == RemoteTransport::Auto
    }

    /// Returns how to begin.
    fn first_shape(&self) -> Shape {
        match self.spec.transport {
            RemoteTransport::HttpSse => Shape::Classic,
            RemoteTransport::Auto => {
                let found = *self.found.lock().expect("no holder panics");
                found.unwrap_or(Shape::Streamable)
            }
            RemoteTransport::StreamableHttp | RemoteTransport::WebSocket => Shape::Streamable,
        }
    }

    /// A server that is not as it was remembered is tried from the beginning the next time.
    fn forget(&self) {
        *self.found.lock().expect("no holder panics") = None;
    }
}

/// Brings lines to the server and back until it is over; says why it is, and gives the pipe back.
async fn translate(
    server: Arc<RemoteServer>,
    mut outgoing: Outgoing,
    incoming: mpsc::Sender<Bytes>,
    log: Log,
) -> (Exit, Outgoing) {
    let ending = match (server.spec.transport, server.first_shape()) {
        (RemoteTransport::WebSocket, _) => websocket::speak(&server, &mut outgoing, incoming, &log).await,
        (_, Shape::Classic) => {
            let ending = classic::speak(&server, &mut outgoing, incoming, &log).await;
            if matches!(
                ending,
                Ending::Lost(RemoteFailure::Status(_) | RemoteFailure::ContentType)
            ) {
                server.forget();
            }
            ending
        }
        (_, Shape::Streamable) => {
            let target = (Shape::Streamable, server.url.clone());
            let (wire, endings) = Wire::new(server.clone(), target, incoming.clone(), log.clone());
            let conversation = Conversation::new(wire, &mut outgoing, JoinSet::new());
            match conversation.run(endings).await {
                Ending::FallBack(initialize, failure) => {
                    log.say(format_args!("no Streamable HTTP ({failure}): trying HTTP+SSE"));
                    outgoing.put_back(initialize);
                    match classic::speak(&server, &mut outgoing, incoming, &log).await {
                        // Nor is it HTTP+SSE: the first refusal says more.
                        Ending::Lost(_) if server.first_shape() != Shape::Classic => Ending::Lost(failure),
                        ending => ending,
                    }
                }
                ending => ending,
            }
        }
    };
    let exit = match ending {
        Ending::Closed => Exit::Closed,
        Ending::Lost(failure) | Ending::FallBack(_, failure) => Exit::Lost(failure),
    };
    (exit, outgoing)
}
