//! The ways into the gateway: one client that speaks through any of them.

use bytes::Bytes;
use http::{Method, StatusCode};
use portcullis::protocol::modern::encode;
use portcullis::protocol::modern::meta::{CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION};
use portcullis::protocol::modern::mirror::named_by;
use serde_json::{Value, json};

use crate::support::{Answer, Channel, Connection, EventStream, Gateway};

/// A transport and an era, in one of the shapes that its answers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Streamable HTTP.
    Streamable,
    /// Streamable HTTP of 2025-03-26: a batch, whose answers come as a stream.
    Batch,
    /// A session by `x-session-id`: answers are plain JSON.
    Plain,
    /// HTTP+SSE of 2024-11-05.
    Sse,
    /// A WebSocket.
    Socket,
    /// `portcullis stdio` with the same configuration.
    Stdio,
    /// A request without a session.
    OneShot,
    /// A request of the era that has none (2026-07-28).
    Modern,
    /// The same on a WebSocket.
    ModernSocket,
    /// The same on the pipes of `portcullis stdio`.
    ModernStdio,
}

impl Door {
    pub(super) const ALL: [Self; 10] = [
        Self::Streamable,
        Self::Batch,
        Self::Plain,
        Self::Sse,
        Self::Socket,
        Self::Stdio,
        Self::OneShot,
        Self::Modern,
        Self::ModernSocket,
        Self::ModernStdio,
    ];
    /// Those of the era without sessions.
    pub(super) const MODERN: [Self; 3] = [Self::Modern, Self::ModernSocket, Self::ModernStdio];

    /// Returns whether there is a session, which a client opens.
    pub(super) fn has_session(self) -> bool {
        !self.is_modern() && self != Self::OneShot
    }

    /// Returns whether each request says itself who its client is.
    pub(super) fn is_modern(self) -> bool {
        Self::MODERN.contains(&self)
    }

    /// Returns whether messages go both ways on one channel.
    pub(super) fn is_channel(self) -> bool {
        matches!(
            self,
            Self::Socket | Self::Stdio | Self::ModernSocket | Self::ModernStdio
        )
    }

    fn version(self) -> &'static str {
        match self {
            Self::Batch => "2025-03-26",
            Self::Sse => "2024-11-05",
            Self::Streamable | Self::Plain | Self::Socket | Self::Stdio | Self::OneShot => "2025-11-25",
            Self::Modern | Self::ModernSocket | Self::ModernStdio => "2026-07-28",
        }
    }
}

/// A client at a door.
pub(super) struct Visitor<'a> {
    gateway: &'a Gateway,
    pub(super) door: Door,
    session: Option<String>,
    /// The stream of HTTP+SSE, where to post, and what holds it open.
    old: Option<(EventStream, String, Connection)>,
    channel: Option<Channel>,
    last_id: u64,
    capabilities: Value,
}

impl<'a> Visitor<'a> {
    /// Opens a session where the door has one; returns what `initialize` was answered, too.
    pub(super) async fn enter(gateway: &'a Gateway, door: Door, capabilities: Value) -> (Self, Value) {
        let channel = channel(gateway, door).await;
        Self::enter_through(channel, gateway, door, capabilities).await
    }

    /// Does the same through pipes to a program with the configuration of a gateway, and a server elsewhere behind it.
    pub(super) async fn enter_before(url: &str, gateway: &'a Gateway, door: Door) -> (Self, Value) {
        let configuration = gateway.directory().join("portcullis.toml");
        let pipes = Channel::pipes(&configuration, &["--url", url]);
        Self::enter_through(Some(pipes), gateway, door, json!({})).await
    }

    async fn enter_through(
        channel: Option<Channel>,
        gateway: &'a Gateway,
        door: Door,
        capabilities: Value,
    ) -> (Self, Value) {
        let mut visitor = Self {
            gateway,
            door,
            session: None,
            old: None,
            channel,
            last_id: 0,
            capabilities: capabilities.clone(),
        };
        if door == Door::OneShot {
            return (visitor, Value::Null);
        }
        if door.is_modern() {
            let found = visitor.ask(r#""method":"server/discover""#).await.pop();
            return (visitor, found.expect("an answer"));
        }
        if let Some(channel) = &mut visitor.channel {
            let answer = channel.open(door.version(), capabilities).await;
            return (visitor, answer);
        }
        let info = json!({ "name": "it", "version": "1.0.0" });
        let params =
            json!({ "protocolVersion": door.version(), "capabilities": capabilities, "clientInfo": info });
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let text = request.to_string();
        let answer = if door == Door::Sse {
            visitor.listen_as_of_old().await;
            visitor.ask_old(&text, &json!(0)).await.pop().expect("an answer")
        } else {
            let accept = ("accept", "application/json, text/event-stream");
            let (answer, _connection) = visitor.post("/mcp/mock", &[accept], text).await;
            visitor.session = answer.header("mcp-session-id").map(str::to_owned);
            answer.json().await
        };
        if answer.get("result").is_some() {
            visitor.tell(r#""method":"notifications/initialized""#).await;
        }
        (visitor, answer)
    }

    /// Sends a request, given as the text of its method and params, and returns every message up to its answer, which is
    /// the last.
    pub(super) async fn ask(&mut self, rest: &str) -> Vec<Value> {
        self.last_id += 1;
        let id = json!(self.last_id);
        let text = self.written(&format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#));
        if let Some(channel) = &mut self.channel {
            channel.send(&text).await;
            return channel.up_to(&id).await;
        }
        let messages = match self.door {
            Door::Sse => self.ask_old(&text, &id).await,
            Door::Batch => self.post_in_session(format!("[{text}]")).await,
            Door::Modern => self.post_modern(&text).await,
            _ => self.post_in_session(text).await,
        };
        let answer = messages.last().unwrap_or_else(|| panic!("{rest} has no answer"));
        assert_eq!(answer["id"], id, "{messages:?}");
        messages
    }

    /// Sends a notification or an answer.
    pub(super) async fn tell(&mut self, rest: &str) {
        let text = self.written(&format!(r#"{{"jsonrpc":"2.0",{rest}}}"#));
        if let Some(channel) = &mut self.channel {
            return channel.send(&text).await;
        }
        let (answer, _connection) = match &self.old {
            Some((_, endpoint, _)) => self.post(endpoint, &[], text).await,
            None => self.post("/mcp/mock", &self.headers(), text).await,
        };
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{rest}");
    }

    /// Returns a message as a client at this door writes it.
    fn written(&self, text: &str) -> String {
        match self.door.is_modern() {
            true => with_meta(text, &self.capabilities),
            false => text.to_owned(),
        }
    }

    /// Sends a request on a channel, and returns its id.
    pub(super) async fn send(&mut self, rest: &str) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        let text = self.written(&format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#));
        let channel = self.channel.as_mut().expect("the door is a channel");
        channel.send(&text).await;
        id
    }

    /// Returns the next message of a channel.
    pub(super) async fn hear(&mut self) -> Value {
        let channel = self.channel.as_mut().expect("the door is a channel");
        channel.message().await
    }

    /// Sends a request and returns its answer while it is still under way.
    pub(super) async fn begin(&self, rest: &str) -> (EventStream, Connection) {
        let mut connection = Connection::open(self.gateway.address()).await;
        let headers = [&self.headers()[..], &[("content-type", "application/json")]].concat();
        let text = format!(r#"{{"jsonrpc":"2.0","id":"begun",{rest}}}"#);
        let answer = connection
            .send(Method::POST, "/mcp/mock", &headers, text.into())
            .await;
        (answer.events(), connection)
    }

    /// Opens the session's stream of server messages.
    pub(super) async fn listen(&self) -> (EventStream, Connection) {
        let mut connection = Connection::open(self.gateway.address()).await;
        let headers = self.headers();
        let answer = connection
            .send(Method::GET, "/mcp/mock", &headers, Bytes::new())
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        (answer.events(), connection)
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let both = ("accept", "application/json, text/event-stream");
        let json = ("accept", "application/json");
        match (self.door, self.session.as_deref()) {
            (Door::Plain, Some(session)) => vec![json, ("x-session-id", session)],
            (door, Some(session)) => vec![
                both,
                ("mcp-session-id", session),
                ("mcp-protocol-version", door.version()),
            ],
            (_, None) => vec![json],
        }
    }

    /// Posts a request that says itself who its client is, with the headers that mirror it.
    async fn post_modern(&self, text: &str) -> Vec<Value> {
        let plain: Value = serde_json::from_str(text).expect("a request");
        let method = plain["method"].as_str().expect("a method").to_owned();
        let name = named_by(&method).and_then(|key| plain["params"][key].as_str());
        let name = name.map(|name| encode(name).into_owned());
        let mut headers = vec![
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", Door::Modern.version()),
            ("mcp-method", &method),
        ];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        self.messages_of("/mcp/mock", &headers, text.to_owned()).await
    }

    /// Posts a body to the session and returns every message that comes back.
    pub(super) async fn post_in_session(&self, text: String) -> Vec<Value> {
        self.messages_of("/mcp/mock", &self.headers(), text).await
    }

    async fn messages_of(&self, path: &str, headers: &[(&str, &str)], text: String) -> Vec<Value> {
        let (answer, _connection) = self.post(path, headers, text).await;
        if !answer.is_stream() {
            return match answer.json().await {
                Value::Array(answers) => answers,
                answer => vec![answer],
            };
        }
        let mut events = answer.events();
        let mut messages = Vec::new();
        while let Some(event) = events.next().await {
            messages.extend((!event.data.is_empty()).then(|| event.json()));
        }
        messages
    }

    /// Returns the answer, and the connection that its body still comes through.
    async fn post(&self, path: &str, headers: &[(&str, &str)], text: String) -> (Answer, Connection) {
        let mut connection = Connection::open(self.gateway.address()).await;
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let answer = connection.send(Method::POST, path, &headers, text.into()).await;
        (answer, connection)
    }

    async fn listen_as_of_old(&mut self) {
        let mut connection = Connection::open(self.gateway.address()).await;
        let headers = [("accept", "text/event-stream")];
        let answer = connection
            .send(Method::GET, "/mcp/mock", &headers, Bytes::new())
            .await;
        let mut events = answer.events();
        let endpoint = events.next().await.expect("the endpoint").data;
        self.old = Some((events, endpoint, connection));
    }

    async fn ask_old(&mut self, text: &str, id: &Value) -> Vec<Value> {
        let endpoint = self.old.as_ref().expect("it listens").1.clone();
        let (taken, _connection) = self.post(&endpoint, &[], text.to_owned()).await;
        assert_eq!(taken.status(), StatusCode::ACCEPTED, "{text}");
        let (events, ..) = self.old.as_mut().expect("it listens");
        let mut messages: Vec<Value> = Vec::new();
        while messages
            .last()
            .is_none_or(|last| last["id"] != *id || last.get("method").is_some())
        {
            messages.push(events.next().await.expect("the stream goes on").json());
        }
        messages
    }
}

/// Puts what the client says of itself into a request, which otherwise stays as it is written.
fn with_meta(text: &str, capabilities: &Value) -> String {
    let meta = json!({
        PROTOCOL_VERSION: Door::Modern.version(),
        CLIENT_CAPABILITIES: capabilities,
        CLIENT_INFO: { "name": "it", "version": "1.0.0" },
    });
    let member = format!(r#""_meta":{meta}"#);
    let opening = r#""params":{"#;
    let Some(at) = text.find(opening).map(|at| at + opening.len()) else {
        let open = text.strip_suffix('}').expect("an object");
        return format!(r#"{open},"params":{{{member}}}}}"#);
    };
    let (before, after) = text.split_at(at);
    let comma = if after.starts_with('}') { "" } else { "," };
    format!("{before}{member}{comma}{after}")
}

/// Returns the channel that a door is, if it is one.
async fn channel(gateway: &Gateway, door: Door) -> Option<Channel> {
    let configuration = gateway.directory().join("portcullis.toml");
    match door {
        Door::Socket | Door::ModernSocket => Some(Channel::socket(gateway, "/mcp/mock").await),
        Door::Stdio | Door::ModernStdio => Some(Channel::pipes(&configuration, &["--server", "mock"])),
        _ => None,
    }
}

/// Returns the next message of a stream.
pub(super) async fn message(events: &mut EventStream) -> Value {
    loop {
        let event = events.next().await.expect("the stream goes on");
        if !event.data.is_empty() {
            return event.json();
        }
    }
}
