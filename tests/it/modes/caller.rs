//! A client with a token, a URL and perhaps a header that chooses.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Connection, EventStream, Gateway, Guarded};

/// May use `chat`, its own, and `code`.
pub(super) const ALICE: &str = "alice-token-0123456789";
/// May use `chat` and `code`, and has none of its own.
pub(super) const BOB: &str = "bob-token-0123456789abc";
/// Says nothing of modes.
pub(super) const CAROL: &str = "carol-token-0123456789";

/// Starts a gateway with three modes that allow everything, in front of the mock server.
pub(super) fn gateway(top: &str, http: &str) -> Guarded {
    let mode =
        |name: &str| format!("[modes.{name}]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n");
    let modes: String = ["chat", "code", "admin"].map(mode).concat();
    Guarded::start(
        &["mode-access"],
        top,
        &format!(
            "[[plugins]]\nname = \"mode-access\"\n{modes}[http]\n{http}\n\
             [principals.alice]\ntoken = \"{ALICE}\"\nmodes = [\"chat\", \"code\"]\nmode = \"chat\"\n\
             [principals.bob]\ntoken = \"{BOB}\"\nmodes = [\"chat\", \"code\"]\n\
             [principals.carol]\ntoken = \"{CAROL}\"\n\
             [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n"
        ),
    )
}

/// Who asks, where, and what the header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) token: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) header: Option<&'a str>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(token: &'a str, path: &'a str) -> Self {
        Self {
            token: Some(token),
            path,
            header: None,
        }
    }

    /// Sends a request, in a session if there is one.
    pub(super) async fn send(
        self,
        gateway: &Gateway,
        method: Method,
        more: &[(&str, &str)],
        body: &Value,
    ) -> (Answer, Connection) {
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let mut headers = more.to_vec();
        headers.push(("content-type", "application/json"));
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        headers.extend(self.header.map(|mode| ("x-portcullis-mode", mode)));
        let mut connection = Connection::open(gateway.address()).await;
        let body = Bytes::from(body.to_string());
        let answer = connection.send(method, self.path, &headers, body).await;
        (answer, connection)
    }

    /// Sends a request without a body.
    pub(super) async fn send_nothing(self, gateway: &Gateway, method: Method) -> (Answer, Connection) {
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let headers = [
            bearer.as_deref().map(|bearer| ("authorization", bearer)),
            self.header.map(|mode| ("x-portcullis-mode", mode)),
        ];
        let headers: Vec<_> = headers.into_iter().flatten().collect();
        let mut connection = Connection::open(gateway.address()).await;
        let answer = connection.send(method, self.path, &headers, Bytes::new()).await;
        (answer, connection)
    }

    /// Opens a session and returns its id.
    pub(super) async fn open(self, gateway: &Gateway) -> Result<String, (StatusCode, String)> {
        let (answer, _connection) = self
            .send(gateway, Method::POST, &[("accept", BOTH)], &initialize())
            .await;
        let (status, session) = (
            answer.status(),
            answer.header("mcp-session-id").map(str::to_owned),
        );
        match session {
            Some(session) => Ok(session),
            None => Err((status, error_text(&answer.json().await))),
        }
    }

    /// Uses a session by each of the methods, DELETE last, and returns the statuses.
    pub(super) async fn use_session(self, gateway: &Gateway, session: &str) -> [StatusCode; 3] {
        let headers = [("accept", BOTH), ("mcp-session-id", session)];
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let mut statuses = Vec::new();
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let (answer, _connection) = self.send(gateway, method, &headers, &ping).await;
            statuses.push(answer.status());
        }
        statuses.try_into().expect("three methods")
    }

    /// Opens an HTTP+SSE session; returns where it is to post, and the stream.
    pub(super) async fn listen(self, gateway: &Gateway) -> (String, EventStream, Connection) {
        let headers = [("accept", "text/event-stream")];
        let (answer, connection) = self.send(gateway, Method::GET, &headers, &json!({})).await;
        assert_eq!(answer.status(), StatusCode::OK, "{self:?}");
        let mut events = answer.events();
        let endpoint = events.next().await.expect("the endpoint").data;
        (endpoint, events, connection)
    }
}

pub(super) const BOTH: &str = "application/json, text/event-stream";

pub(super) fn initialize() -> Value {
    let info = json!({ "name": "it", "version": "1.0.0" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

fn error_text(answer: &Value) -> String {
    answer["error"]["message"].as_str().unwrap_or_default().to_owned()
}
