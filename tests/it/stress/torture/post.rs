//! A client of Streamable HTTP, of either era: each exchange is one POST, on a connection of its own or among others on one
//! of HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::door::{Era, MODERN};
use super::exchange::Exchange;
use crate::support::{Answer, Connection, within};

/// A client.
#[derive(Debug)]
pub(super) struct Post {
    wire: Wire,
    path: String,
    /// The headers of all its requests.
    headers: Vec<(&'static str, String)>,
    era: Era,
}

/// What its requests go through.
#[derive(Debug)]
pub(super) enum Wire {
    /// Its own connection, where one request follows the other.
    Own(Connection),
    /// One that others use at the same time.
    Shared(Http2),
}

/// A connection of HTTP/2; its clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Http2 {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> Self {
        let stream = within("connecting", TcpStream::connect(address)).await;
        let io = TokioIo::new(stream.expect("the gateway listens"));
        let opened = handshake(TokioExecutor::new(), io).await;
        let (sender, connection) = opened.expect("nothing is sent yet");
        // It ends with the last of the senders, and what breaks it is seen by the requests on it.
        tokio::spawn(connection);
        Self { sender, address }
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("valid headers");
        let mut sender = self.sender.clone();
        let answer = within("an answer by HTTP/2", async {
            sender.ready().await?;
            sender.send_request(request).await
        });
        answer.await.expect("it is answered").into()
    }
}

impl Post {
    /// Opens a client; one of the handshake era shakes hands.
    pub(super) async fn open(wire: Wire, server: &str, era: Era) -> Self {
        let mut post = Self {
            wire,
            path: format!("/mcp/{server}"),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json, text/event-stream".to_owned()),
            ],
            era,
        };
        match era {
            Era::Modern => post.headers.push(("mcp-protocol-version", MODERN.to_owned())),
            Era::Legacy(version) => post.shake_hands(version).await,
        }
        post
    }

    async fn shake_hands(&mut self, version: &'static str) {
        let answer = self.send(&super::door::initialize(version), &[]).await;
        let session = answer.header("mcp-session-id").map(str::to_owned);
        assert_eq!(answer.json().await["result"]["protocolVersion"], version);
        let session = session.expect("initialize opens a session");
        self.headers.extend([
            ("mcp-session-id", session),
            ("mcp-protocol-version", version.to_owned()),
        ]);
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer = self.send(&initialized, &[]).await;
        assert_eq!(answer.status(), 202);
        answer.bytes().await;
    }

    async fn send(&mut self, message: &Value, more: &[(&str, &str)]) -> Answer {
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        let body = Bytes::from(message.to_string());
        match &mut self.wire {
            Wire::Own(connection) => connection.send(Method::POST, &self.path, &headers, body).await,
            Wire::Shared(connection) => connection.send(&self.path, &headers, body).await,
        }
    }

    /// Makes an exchange; returns all that came back, to the end of the answer.
    pub(super) async fn make(&mut self, exchange: &Exchange) -> Vec<Value> {
        let request = exchange.request(&self.era.meta());
        let params = &request["params"];
        let name = params["name"]
            .as_str()
            .or(params["uri"].as_str())
            .expect("either");
        let mirrored = [("mcp-method", exchange.method()), ("mcp-name", name)];
        let answer = match self.era {
            Era::Modern => self.send(&request, &mirrored).await,
            Era::Legacy(_) => self.send(&request, &[]).await,
        };
        assert_eq!(answer.status(), 200, "{request}");
        if !answer.is_stream() {
            return vec![answer.json().await];
        }
        let mut events = answer.events();
        let mut messages = Vec::new();
        while let Some(event) = events.next().await {
            messages.extend((!event.data.is_empty()).then(|| event.json()));
        }
        messages
    }
}
