//! One session of a client that says exactly what a test wants, each request on a connection of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Connection, EventStream, Gateway, text_of};

pub(super) const LATEST: &str = "2025-11-25";
pub(super) const BOTH: &str = "application/json, text/event-stream";

/// A session.
#[derive(Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    path: String,
    version: &'static str,
    session: String,
    token: Option<&'static str>,
}

/// An event stream and the connection that it comes through.
#[derive(Debug)]
pub(super) struct Listening {
    events: EventStream,
    _connection: Connection,
}

impl Listening {
    /// Returns the next event that has data.
    pub(super) async fn event(&mut self) -> Option<crate::support::Event> {
        // All in all: the comments that keep a stream alive are no reason to go on waiting.
        crate::support::within("an event with data", async {
            loop {
                let event = self.events.next().await?;
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
        })
        .await
    }

    /// Returns the next event, whatever it holds.
    pub(super) async fn any_event(&mut self) -> Option<crate::support::Event> {
        self.events.next().await
    }

    /// Returns the next message; panics when the stream ends instead.
    pub(super) async fn message(&mut self) -> Value {
        self.event().await.expect("the stream goes on").json()
    }

    /// Returns the messages up to the end of the stream.
    pub(super) async fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(event) = self.event().await {
            messages.push(event.json());
        }
        messages
    }
}

/// Returns a request.
pub(super) fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// Returns a call of a tool.
pub(super) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// Returns a call of a tool that wants progress.
pub(super) fn call_with_token(
    id: impl Into<Value>,
    token: impl Into<Value>,
    tool: &str,
    arguments: Value,
) -> Value {
    let meta = json!({ "progressToken": token.into() });
    request(
        id,
        "tools/call",
        json!({ "name": tool, "arguments": arguments, "_meta": meta }),
    )
}

/// Returns a request to initialize.
pub(super) fn initialize(version: &str, capabilities: Value) -> Value {
    let info = json!({ "name": "it", "version": "1.0.0" });
    request(
        0,
        "initialize",
        json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": info }),
    )
}

impl Peer {
    /// Opens a session of the latest version without capabilities.
    pub(super) async fn open(gateway: &Gateway, server: &str) -> Self {
        Self::open_as(gateway, server, LATEST, json!({})).await.0
    }

    /// Opens a session; returns what the server said of itself, too.
    pub(super) async fn open_as(
        gateway: &Gateway,
        server: &str,
        version: &'static str,
        capabilities: Value,
    ) -> (Self, Value) {
        Self::open_for(gateway, server, version, capabilities, None).await
    }

    /// Opens a session with a principal's token.
    pub(super) async fn open_for(
        gateway: &Gateway,
        server: &str,
        version: &'static str,
        capabilities: Value,
        token: Option<&'static str>,
    ) -> (Self, Value) {
        let mut peer = Self {
            address: gateway.address(),
            path: format!("/mcp/{server}"),
            version,
            session: String::new(),
            token,
        };
        let (answer, _connection) = peer.post(&initialize(version, capabilities)).await;
        let session = answer.header("mcp-session-id").map(str::to_owned);
        let message = answer.json().await;
        assert_eq!(message["result"]["protocolVersion"], version, "{message}");
        peer.session = session.expect("initialize opens a session");
        peer.notify("notifications/initialized", json!({})).await;
        (peer, message["result"].clone())
    }

    /// Returns the session's id.
    pub(super) fn id(&self) -> &str {
        &self.session
    }

    /// Sends any request.
    pub(super) async fn send(
        &self,
        method: Method,
        more: &[(&str, &str)],
        body: Bytes,
    ) -> (Answer, Connection) {
        let mut connection = Connection::open(self.address).await;
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let mut headers: Vec<(&str, &str)> = more.to_vec();
        if !self.session.is_empty() {
            headers.extend([
                ("mcp-session-id", self.id()),
                ("mcp-protocol-version", self.version),
            ]);
        }
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let answer = connection.send(method, &self.path, &headers, body).await;
        (answer, connection)
    }

    /// Posts any message.
    pub(super) async fn post(&self, message: &Value) -> (Answer, Connection) {
        let headers = [("accept", BOTH), ("content-type", "application/json")];
        self.send(Method::POST, &headers, message.to_string().into())
            .await
    }

    /// Posts a message that is answered by a stream.
    pub(super) async fn post_for_stream(&self, message: &Value) -> Listening {
        let (answer, connection) = self.post(message).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Listening {
            events: answer.events(),
            _connection: connection,
        }
    }

    /// Opens the session's own stream.
    pub(super) async fn listen(&self) -> Listening {
        self.listen_after(None).await.expect("the stream opens")
    }

    /// Opens a stream that goes on after an event.
    pub(super) async fn listen_after(&self, last: Option<&str>) -> Result<Listening, StatusCode> {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let (answer, connection) = self.send(Method::GET, &headers, Bytes::new()).await;
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        Ok(Listening {
            events: answer.events(),
            _connection: connection,
        })
    }

    /// Sends a request and returns its answer, the last message of a stream or the only one.
    pub(super) async fn ask(&self, message: &Value) -> Value {
        let (answer, connection) = self.post(message).await;
        if !answer.is_stream() {
            return answer.json().await;
        }
        let mut listening = Listening {
            events: answer.events(),
            _connection: connection,
        };
        listening
            .rest()
            .await
            .pop()
            .expect("a stream ends with the answer")
    }

    /// Sends a request of any method.
    pub(super) async fn request(&self, method: &str, params: Value) -> Value {
        self.ask(&request(1, method, params)).await
    }

    /// Calls a tool and returns the text that it answers with.
    pub(super) async fn text(&self, tool: &str, arguments: Value) -> String {
        text_of(&self.ask(&call(1, tool, arguments)).await).to_owned()
    }

    /// Looks inside the mock.
    pub(super) async fn state(&self) -> Value {
        let text = self.text("state", json!({})).await;
        serde_json::from_str(&text).expect("the state is JSON")
    }

    /// Looks inside the mock until it is as wanted.
    pub(super) async fn state_until(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let state = self.state().await;
            accept(&state).then_some(state)
        })
        .await
    }

    /// Sends a notification, which must be accepted.
    pub(super) async fn notify(&self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.tell(&message).await;
    }

    /// Answers a request of the server.
    pub(super) async fn answer(&self, id: &Value, result: Value) {
        self.tell(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            .await;
    }

    async fn tell(&self, message: &Value) {
        let (answer, _connection) = self.post(message).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{message}");
        assert!(answer.bytes().await.is_empty(), "what needs no answer gets none");
    }

    /// Ends the session and returns the status of that.
    pub(super) async fn delete(&self) -> StatusCode {
        self.send(Method::DELETE, &[], Bytes::new()).await.0.status()
    }
}

/// Looks again and again until there is something to see: for states that nothing announces.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(10));
    crate::support::within(what, async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
    .await
}
