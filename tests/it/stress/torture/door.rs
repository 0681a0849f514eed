//! The ways in, and who comes through them. A further one is a line of [`DOORS`].

use serde_json::{Value, json};

use super::exchange::Exchange;
use super::old::Old;
use super::post::{Http2, Post, Wire};
use crate::support::{Channel, Connection, Gateway};

pub(super) const MODERN: &str = "2026-07-28";

/// An era, and of the first one a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy(&'static str),
    Modern,
}

/// How a client comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Streamable HTTP on connections of their own.
    Http,
    /// The same on connections that many share.
    Http2,
    /// HTTP+SSE.
    Sse,
    WebSocket,
    /// `portcullis stdio --url`: a process for each client, so only a few come this way.
    Pipes,
}

/// A way in for clients of one era.
pub(super) type Door = (Era, Way);

pub(super) const DOORS: &[Door] = &[
    (Era::Legacy("2025-11-25"), Way::Http),
    (Era::Modern, Way::Http),
    (Era::Legacy("2024-11-05"), Way::Sse),
    (Era::Legacy("2025-03-26"), Way::WebSocket),
    (Era::Legacy("2025-06-18"), Way::Http2),
    (Era::Modern, Way::Http2),
    (Era::Modern, Way::WebSocket),
    (Era::Legacy("2025-11-25"), Way::Pipes),
    (Era::Modern, Way::Pipes),
];

/// A client that came in.
pub(super) enum Client {
    Post(Post),
    Old(Old),
    Channel(Channel, Era),
}

impl Era {
    /// Returns what each request says in its `_meta`.
    pub(super) fn meta(self) -> Value {
        match self {
            Self::Legacy(_) => json!({}),
            Self::Modern => json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "1.0.0" },
            }),
        }
    }
}

/// Returns the request that opens a session.
pub(super) fn initialize(version: &str) -> Value {
    let info = json!({ "name": "it", "version": "1.0.0" });
    let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": info });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

impl Client {
    /// Comes in. `shared` is the connection for those who share one.
    pub(super) async fn open((era, way): Door, gateway: &Gateway, server: &str, shared: &Http2) -> Self {
        match (way, era) {
            (Way::Http, _) => {
                let own = Wire::Own(Connection::open(gateway.address()).await);
                Self::Post(Post::open(own, server, era).await)
            }
            (Way::Http2, _) => Self::Post(Post::open(Wire::Shared(shared.clone()), server, era).await),
            (Way::Sse, Era::Legacy(version)) => Self::Old(Old::open(gateway, server, version).await),
            (Way::Sse, Era::Modern) => panic!("HTTP+SSE has the handshake era alone"),
            (Way::WebSocket, _) => {
                let channel = Channel::socket(gateway, &format!("/mcp/{server}")).await;
                Self::on(channel, era).await
            }
            (Way::Pipes, _) => {
                let url = format!("http://{}/mcp/{server}", gateway.address());
                Self::on(Channel::bridge(&url, &[], &[]), era).await
            }
        }
    }

    async fn on(mut channel: Channel, era: Era) -> Self {
        if let Era::Legacy(version) = era {
            let opened = channel.open(version, json!({})).await;
            assert_eq!(opened["result"]["protocolVersion"], version, "{opened}");
        }
        Self::Channel(channel, era)
    }

    /// Makes an exchange; returns everything that came up to the next answer.
    pub(super) async fn make(&mut self, exchange: &Exchange) -> Vec<Value> {
        match self {
            Self::Post(post) => post.make(exchange).await,
            Self::Old(old) => old.ask(&exchange.request(&json!({}))).await,
            Self::Channel(channel, era) => channel.ask(&exchange.request(&era.meta())).await,
        }
    }

    /// Goes; what runs for this client alone ends.
    pub(super) async fn leave(self) {
        if let Self::Channel(channel, _) = self {
            channel.end().await;
        }
    }
}
