//! A client without a handshake on a channel: each request says who it is.

use serde_json::{Map, Value, json};

use super::ends::Kind;
use crate::support::{Channel, Gateway, text_of, within};

pub(super) const VERSION: &str = "2026-07-28";
pub(super) const ID: &str = "io.modelcontextprotocol/subscriptionId";
/// What servers speak.
pub(super) const ERAS: [&str; 2] = ["legacy", "modern"];

/// Returns a request as it goes over the channel.
pub(super) fn request(id: impl Into<Value>, method: &str, mut params: Value, capabilities: &Value) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "1" },
    });
    let Value::Object(meta) = meta else { unreachable!() };
    let own = params.as_object_mut().expect("an object").entry("_meta");
    let own = own
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .expect("an object");
    own.extend(meta);
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A client.
pub(super) struct Speaker {
    pub(super) channel: Channel,
    pub(super) capabilities: Value,
    last_id: u64,
}

impl Speaker {
    pub(super) async fn enter(kind: Kind, gateway: &Gateway) -> Self {
        Self::on(kind.connect(gateway).await, json!({}))
    }

    pub(super) fn on(channel: Channel, capabilities: Value) -> Self {
        Self {
            channel,
            capabilities,
            last_id: 0,
        }
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let request = request(id, method, params, &self.capabilities);
        self.channel.say(&request).await;
    }

    /// Sends a call of a tool, which asks for progress by this token if there is one.
    pub(super) async fn send_call(
        &mut self,
        id: impl Into<Value>,
        tool: &str,
        arguments: Value,
        token: Option<&str>,
    ) {
        let mut params = json!({ "name": tool, "arguments": arguments });
        if let Some(token) = token {
            params["_meta"]["progressToken"] = json!(token);
        }
        self.send(id, "tools/call", params).await;
    }

    /// Makes a request and returns every message up to its answer, which is the last.
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Vec<Value> {
        self.last_id += 1;
        let id = json!(format!("asked {}", self.last_id));
        self.send(id.clone(), method, params).await;
        self.channel.up_to(&id).await
    }

    /// Makes a request and returns its answer.
    pub(super) async fn answer(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params).await.pop().expect("an answer")
    }

    /// Calls a tool and returns the answer.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.answer("tools/call", json!({ "name": tool, "arguments": arguments }))
            .await
    }

    /// Takes a request back.
    pub(super) async fn cancel(&mut self, id: impl Into<Value>) {
        let params = json!({ "requestId": id.into(), "reason": "enough" });
        let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        self.channel.say(&cancelled).await;
    }

    /// Looks inside the mock.
    pub(super) async fn state(&mut self) -> Value {
        let answer = self.call("state", json!({})).await;
        serde_json::from_str(text_of(&answer)).expect("the state is JSON")
    }

    /// Looks inside the mock until it is as wanted; returns what else came meanwhile.
    pub(super) async fn state_until(&mut self, what: &str, accept: impl Fn(&Value) -> bool) -> Vec<Value> {
        within(what, async {
            let mut others = Vec::new();
            loop {
                let params = json!({ "name": "state", "arguments": {} });
                let mut messages = self.ask("tools/call", params).await;
                let answer = messages.pop().expect("an answer");
                others.extend(messages);
                let state = serde_json::from_str(text_of(&answer)).expect("the state is JSON");
                if accept(&state) {
                    return others;
                }
            }
        })
        .await
    }

    /// Begins to listen; returns what is honoured. What comes before that is of other requests, and is dropped.
    pub(super) async fn listen(&mut self, id: impl Into<Value>, notifications: Value) -> Value {
        let id = id.into();
        let params = json!({ "notifications": notifications });
        self.send(id.clone(), "subscriptions/listen", params).await;
        loop {
            let message = self.channel.message().await;
            assert_ne!(message["id"], id, "it is refused: {message}");
            if message["params"]["_meta"][ID] == id {
                assert_eq!(
                    message["method"], "notifications/subscriptions/acknowledged",
                    "{message}"
                );
                return message["params"]["notifications"].clone();
            }
        }
    }
}

/// Returns the request that goes on with a call of a tool which has asked for something: each answer is `response`.
pub(super) fn again(tool: &str, arguments: &Value, asked: &Value, response: &Value) -> Value {
    let asked = &asked["result"];
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let keys = asked["inputRequests"].as_object().expect("requests").keys();
    let responses: Map<_, _> = keys.map(|key| (key.clone(), response.clone())).collect();
    json!({
        "name": tool, "arguments": arguments, "inputResponses": responses, "requestState": asked["requestState"],
    })
}
