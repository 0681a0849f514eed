//! A client of HTTP+SSE: it posts to one place, and everything comes by its one stream.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Connection, EventStream, Gateway};

/// A client.
#[derive(Debug)]
pub(super) struct Old {
    posts: Connection,
    endpoint: String,
    events: EventStream,
    _stream: Connection,
}

impl Old {
    /// Opens its stream and shakes hands.
    pub(super) async fn open(gateway: &Gateway, server: &str, version: &str) -> Self {
        let mut stream = Connection::open(gateway.address()).await;
        let headers = [("accept", "text/event-stream")];
        let path = format!("/mcp/{server}");
        let answer = stream.send(Method::GET, &path, &headers, Bytes::new()).await;
        let mut events = answer.events();
        let endpoint = events.next().await.expect("the endpoint");
        assert_eq!(endpoint.kind, "endpoint");
        let mut old = Self {
            posts: Connection::open(gateway.address()).await,
            endpoint: endpoint.data,
            events,
            _stream: stream,
        };
        old.tell(&super::door::initialize(version)).await;
        assert_eq!(old.message().await["result"]["protocolVersion"], version);
        old.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        old
    }

    async fn tell(&mut self, message: &Value) {
        let headers = [("content-type", "application/json")];
        let body = message.to_string().into();
        let answer = self
            .posts
            .send(Method::POST, &self.endpoint, &headers, body)
            .await;
        assert_eq!(answer.status(), 202, "{message}");
        answer.bytes().await;
    }

    async fn message(&mut self) -> Value {
        self.events.next().await.expect("the stream goes on").json()
    }

    /// Sends a request and returns everything up to the next answer.
    pub(super) async fn ask(&mut self, request: &Value) -> Vec<Value> {
        self.tell(request).await;
        let mut messages = vec![self.message().await];
        while messages.last().is_some_and(|last| last.get("method").is_some()) {
            messages.push(self.message().await);
        }
        messages
    }
}
