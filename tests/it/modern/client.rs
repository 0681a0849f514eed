//! A client of the modern era: each request says who it is, and its headers mirror its body.

use std::sync::Mutex;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Connection, Gateway, within};

pub(super) const VERSION: &str = "2026-07-28";

/// A client of one server.
#[derive(Debug)]
pub(super) struct Client<'a> {
    gateway: &'a Gateway,
    path: String,
    token: Option<&'static str>,
    capabilities: Value,
    /// Each request has its own, which lives until the client is dropped or its answer is.
    connections: Mutex<Vec<Connection>>,
}

impl<'a> Client<'a> {
    pub(super) fn of(gateway: &'a Gateway, server: &str, capabilities: Value) -> Self {
        Self {
            gateway,
            path: format!("/mcp/{server}"),
            token: None,
            capabilities,
            connections: Mutex::default(),
        }
    }

    /// Returns the same in a mode.
    pub(super) fn in_mode(self, mode: &str) -> Self {
        let path = format!("/modes/{mode}{}", self.path);
        Self { path, ..self }
    }

    /// Returns the same with a token.
    pub(super) fn with_token(self, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Returns a request as it goes over the wire, and its headers.
    pub(super) fn request(
        &self,
        id: Value,
        method: &str,
        mut params: Value,
    ) -> (Value, Vec<(String, String)>) {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(VERSION);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "it", "version": "1" });
        let mut headers = vec![
            ("mcp-protocol-version".to_owned(), VERSION.to_owned()),
            ("mcp-method".to_owned(), method.to_owned()),
        ];
        if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
            headers.push(("mcp-name".to_owned(), name.to_owned()));
        }
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        (body, headers)
    }

    /// Sends a message with these headers besides those that every client sends.
    pub(super) async fn send(&self, body: &Value, headers: &[(String, String)]) -> Answer {
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let mut connection = Connection::open(self.gateway.address()).await;
        let body = body.to_string().into();
        let answer = connection.send(Method::POST, &self.path, &all, body).await;
        self.connections
            .lock()
            .expect("no test panics here")
            .push(connection);
        answer
    }

    /// Makes a request; returns its status and what it is answered, on a stream or not.
    pub(super) async fn ask(&self, method: &str, params: Value) -> (u16, Value) {
        let (body, headers) = self.request(json!("a"), method, params);
        let answer = self.send(&body, &headers).await;
        let status = answer.status().as_u16();
        if !answer.is_stream() {
            return (status, answer.json().await);
        }
        let mut events = answer.events();
        loop {
            let message = events.next().await.expect("an answer").json();
            if message.get("id").is_some() {
                return (status, message);
            }
        }
    }

    /// Calls a tool; returns the result.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let (status, answer) = self
            .ask("tools/call", json!({ "name": tool, "arguments": arguments }))
            .await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }
}

/// Returns the text of a tool's result.
pub(super) fn text(result: &Value) -> &str {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {result}"))
}

/// Starts a gateway with a mock that speaks `era`, with these further lines for its table. Who shares a process is left to
/// the gateway.
pub(super) fn gateway(era: &str, more: &str) -> Gateway {
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"{era}\"]\n{more}\n"
    ))
}

/// Asks again and again until `holds` says yes.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
