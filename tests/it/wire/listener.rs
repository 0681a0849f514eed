//! A client of 2026-07-28 that listens, and servers of either era for it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::peer::{BOTH, Listening, Peer};
use crate::support::{Answer, Connection, EventStream, Gateway, text_of, within};

pub(in crate::wire) const WATCHED: &str = "test://watched-resource";
pub(in crate::wire) const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What a server speaks.
pub(in crate::wire) const ERAS: [&str; 2] = ["legacy", "modern"];

/// Starts a gateway whose shared mock speaks one era.
pub(in crate::wire) fn gateway(era: &str, more: &str) -> Gateway {
    Gateway::with_mock(&["--era", era], &format!("protocol-era = {era:?}\n{more}"))
}

/// Returns a client of each era, the stream of the one with a handshake, which has subscribed to what is watched, too.
pub(in crate::wire) async fn one_of_each_era(gateway: &Gateway) -> (Modern<'_>, Peer, Listening) {
    let peer = Peer::open(gateway, "mock").await;
    let stream = peer.listen().await;
    let answer = peer
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    (Modern::of(gateway), peer, stream)
}

/// A client, which says with each request who it is.
pub(in crate::wire) struct Modern<'a> {
    gateway: &'a Gateway,
    path: String,
    capabilities: Value,
}

/// A stream of `subscriptions/listen` that is open.
pub(in crate::wire) struct Heard {
    id: Value,
    events: EventStream,
    _connection: Connection,
}

impl<'a> Modern<'a> {
    pub(in crate::wire) fn of(gateway: &'a Gateway) -> Self {
        Self::with(gateway, json!({}))
    }

    pub(in crate::wire) fn with(gateway: &'a Gateway, capabilities: Value) -> Self {
        Self {
            gateway,
            path: "/mcp/mock".to_owned(),
            capabilities,
        }
    }

    /// Returns a client of this server.
    pub(in crate::wire) fn at(gateway: &'a Gateway, server: &str) -> Self {
        Self {
            path: format!("/mcp/{server}"),
            ..Self::of(gateway)
        }
    }

    /// Sends a request.
    pub(in crate::wire) async fn post(
        &self,
        id: Value,
        method: &str,
        mut params: Value,
    ) -> (Answer, Connection) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        let name = params["name"].as_str().or(params["taskId"].as_str());
        let name = name.map(str::to_owned);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let mut headers = vec![
            ("accept", BOTH),
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        let mut connection = Connection::open(self.gateway.address()).await;
        let answer = connection
            .send(Method::POST, &self.path, &headers, body.into())
            .await;
        (answer, connection)
    }

    /// Calls a tool and returns the text that it answers with.
    pub(in crate::wire) async fn text(&self, tool: &str, arguments: Value) -> String {
        let params = json!({ "name": tool, "arguments": arguments });
        let (answer, _connection) = self.post(json!(1), "tools/call", params).await;
        text_of(&answer.json().await).to_owned()
    }

    /// Says that a list changed, which it does if a name is given.
    pub(in crate::wire) async fn change(&self, kind: &str, name: Option<&str>) {
        let arguments = match name {
            Some(name) => json!({ "kind": kind, "name": name }),
            None => json!({ "kind": kind }),
        };
        self.text("change", arguments).await;
    }

    /// Says that the watched resource changed, to those who asked for that.
    pub(in crate::wire) async fn touch(&self) -> String {
        self.text("touch", json!({ "uri": WATCHED })).await
    }

    /// Looks inside the mock until it is as wanted.
    pub(in crate::wire) async fn state_until(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
        super::peer::until(what, async || {
            let text = self.text("state", json!({})).await;
            let state = serde_json::from_str(&text).expect("the state is JSON");
            accept(&state).then_some(state)
        })
        .await
    }

    /// Begins to listen; returns what is honoured, too.
    pub(in crate::wire) async fn listen(&self, id: Value, notifications: Value) -> (Heard, Value) {
        let params = json!({ "notifications": notifications });
        let (answer, connection) = self.post(id.clone(), "subscriptions/listen", params).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        assert!(answer.header("mcp-session-id").is_none(), "there is no session");
        let mut heard = Heard {
            id,
            events: answer.events(),
            _connection: connection,
        };
        let first = heard.next().await;
        assert_eq!(
            first["method"], "notifications/subscriptions/acknowledged",
            "{first}"
        );
        let honoured = first["params"]["notifications"].clone();
        (heard, honoured)
    }

    /// Asks to listen in vain; returns the error.
    pub(in crate::wire) async fn refused(&self, params: Value) -> Value {
        let (answer, _connection) = self.post(json!(1), "subscriptions/listen", params).await;
        assert!(!answer.is_stream(), "it is refused");
        answer.json().await["error"].clone()
    }
}

impl Heard {
    /// Returns the next notification, which must name the stream.
    pub(in crate::wire) async fn next(&mut self) -> Value {
        let event = within("a notification", self.events.next()).await;
        let event = event.expect("the stream goes on");
        assert_eq!(event.id, None, "there is no resumption");
        let message = event.json();
        assert_eq!(message["params"]["_meta"][ID], self.id, "{message}");
        message
    }

    /// Expects the next notification to be of this method.
    pub(in crate::wire) async fn expect(&mut self, method: &str) {
        let message = self.next().await;
        assert_eq!(message["method"], format!("notifications/{method}"), "{message}");
    }

    /// Skips the notifications that are there, up to the complete result, and expects the end of the stream.
    pub(in crate::wire) async fn expect_end_some_time(mut self) {
        loop {
            let event = within("the result", self.events.next()).await;
            let message = event.expect("the result comes first").json();
            if message["method"].is_null() {
                assert_eq!(message["result"]["resultType"], "complete", "{message}");
                break;
            }
        }
        let end = within("the end", self.events.next()).await;
        assert_eq!(end, None);
    }

    /// Expects the complete result, and then the end of the stream.
    pub(in crate::wire) async fn expect_end(mut self) {
        let event = within("the result", self.events.next()).await;
        let result = event.expect("the stream goes on").json();
        assert_eq!(result["id"], self.id, "{result}");
        assert_eq!(result["result"]["resultType"], "complete", "{result}");
        assert_eq!(result["result"]["_meta"][ID], self.id, "{result}");
        assert_eq!(
            result["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "portcullis-mock",
            "{result}"
        );
        let end = within("the end", self.events.next()).await;
        assert_eq!(end, None);
    }
}
