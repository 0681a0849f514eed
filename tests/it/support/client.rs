//! An MCP client of the handshake era over Streamable HTTP, strict about what it is owed.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Connection, EventStream, Gateway};

const VERSION: &str = "2025-11-25";

/// One session through one connection, with one request in flight. [`Client::fork`] gives the session another.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    address: SocketAddr,
    path: String,
    session: Option<String>,
    last_id: u64,
}

impl Client {
    /// Opens a session with this server: `initialize`, then `notifications/initialized`.
    pub(crate) async fn open(gateway: &Gateway, server: &str) -> Self {
        Self::open_as(gateway, server, json!({})).await
    }

    /// Opens a session as a client that can do this.
    pub(crate) async fn open_as(gateway: &Gateway, server: &str, capabilities: Value) -> Self {
        let address = gateway.address();
        Self::open_at(Connection::open(address).await, address, server, capabilities).await
    }

    /// Opens a further session through the same connection and forgets this one, without a word to the gateway.
    pub(crate) async fn abandon_and_reopen(self, server: &str) -> Self {
        Self::open_at(self.connection, self.address, server, json!({})).await
    }

    async fn open_at(connection: Connection, address: SocketAddr, server: &str, capabilities: Value) -> Self {
        let mut client = Self {
            connection,
            address,
            path: format!("/mcp/{server}"),
            session: None,
            last_id: 0,
        };
        let params = json!({
            "protocolVersion": VERSION,
            "capabilities": capabilities,
            "clientInfo": { "name": "it", "version": "1.0.0" },
        });
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let answer = client.post(&request).await;
        client.session = answer.header("mcp-session-id").map(str::to_owned);
        let message = sole_message(answer).await;
        assert_eq!(message["result"]["protocolVersion"], VERSION, "{message}");
        assert!(client.session.is_some(), "initialize opens a session");
        client.notify("notifications/initialized").await;
        client
    }

    /// Returns the same session through a connection of its own, for a request in flight beside others.
    pub(crate) async fn fork(&self) -> Self {
        let connection = Connection::open(self.address).await;
        Self {
            connection,
            path: self.path.clone(),
            session: self.session.clone(),
            ..*self
        }
    }

    /// Returns the session's id.
    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().expect("an open client has a session")
    }

    /// Calls a tool under an id of the client's own, and returns the whole message that answers it.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
            .await
    }

    /// Sends a request and returns the one message that answers it; panics unless it is exactly one, with the
    /// very id, and either a result or an error.
    pub(crate) async fn request(&mut self, id: Value, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = self.post(&request).await;
        let status = answer.status();
        let message = sole_message(answer).await;
        assert_eq!(message["id"], id, "{status}: {}", shortened(&message));
        let (result, error) = (message.get("result"), message.get("error"));
        assert!(
            result.is_some() != error.is_some(),
            "{status}: {}",
            shortened(&message)
        );
        assert!(
            status == StatusCode::OK || error.is_some(),
            "{status} with a result"
        );
        message
    }

    /// Sends a notification, which must be accepted.
    pub(crate) async fn notify(&mut self, method: &str) {
        let answer = self.post(&json!({ "jsonrpc": "2.0", "method": method })).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{method}");
        assert!(answer.bytes().await.is_empty(), "a notification has no answer");
    }

    /// Posts any message and returns the answer, whatever it is.
    pub(crate) async fn post(&mut self, message: &Value) -> Answer {
        self.send(
            Method::POST,
            "application/json, text/event-stream",
            Bytes::from(message.to_string()),
        )
        .await
    }

    /// Opens the session's stream of server messages; the client is used up by it.
    pub(crate) async fn listen(mut self) -> (EventStream, Connection) {
        let answer = self.send(Method::GET, "text/event-stream", Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        (answer.events(), self.connection)
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) {
        let answer = self.send(Method::DELETE, "application/json", Bytes::new()).await;
        assert!(answer.status().is_success(), "DELETE: {}", answer.status());
    }

    async fn send(&mut self, method: Method, accept: &str, body: Bytes) -> Answer {
        let mut headers = vec![("accept", accept)];
        if method == Method::POST {
            headers.push(("content-type", "application/json"));
        }
        if let Some(session) = &self.session {
            headers.extend([
                ("mcp-session-id", session.as_str()),
                ("mcp-protocol-version", VERSION),
            ]);
        }
        self.connection.send(method, &self.path, &headers, body).await
    }
}

/// Returns the text that a tool answered with; panics if it answered anything else.
pub(crate) fn text_of(message: &Value) -> &str {
    let text = message["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text in {}", shortened(message)))
}

/// Reads an answer to its end; panics unless it holds exactly one response, as JSON or at the end of a stream.
async fn sole_message(answer: Answer) -> Value {
    if !answer.is_stream() {
        return answer.json().await;
    }
    let mut events = answer.events();
    let mut responses = Vec::new();
    while let Some(event) = events.next().await {
        if !event.data.is_empty() {
            responses.extend(Some(event.json()).filter(|message| message.get("method").is_none()));
        }
    }
    assert_eq!(
        responses.len(),
        1,
        "a request is answered exactly once: {responses:?}"
    );
    responses.remove(0)
}

fn shortened(message: &Value) -> String {
    message.to_string().chars().take(500).collect()
}
