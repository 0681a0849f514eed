//! The status of every answer of the endpoint, and what stands in it.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::peer::{BOTH, LATEST, Peer, call, initialize};
use super::raw::{Raw, head_of_post};
use crate::support::{Connection, Gateway};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// One request, to be changed by each case.
#[derive(Clone)]
struct Case<'a> {
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: String,
}

impl<'a> Case<'a> {
    /// A ping in a session.
    fn ping(session: &'a str) -> Self {
        let headers = vec![
            ("accept", BOTH),
            ("content-type", "application/json"),
            ("mcp-session-id", session),
            ("mcp-protocol-version", LATEST),
        ];
        Self {
            method: Method::POST,
            path: "/mcp/mock",
            headers,
            body: PING.to_owned(),
        }
    }

    fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self = self.without(name);
        self.headers.push((name, value));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn body(self, body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    fn at(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// Sends it; panics unless the answer has this status. Returns the body and the headers asked for.
    async fn check<const N: usize>(
        self,
        gateway: &Gateway,
        status: u16,
        wanted: [&str; N],
    ) -> (Bytes, [String; N]) {
        let mut connection = Connection::open(gateway.address()).await;
        let answer = connection
            .send(
                self.method.clone(),
                self.path,
                &self.headers,
                self.body.clone().into(),
            )
            .await;
        let seen = answer.status().as_u16();
        let headers = wanted.map(|name| answer.header(name).unwrap_or_default().to_owned());
        let body = if answer.is_stream() {
            Bytes::new()
        } else {
            answer.bytes().await
        };
        assert_eq!(
            seen, status,
            "{} {} {:?} {:.200}: {body:?}",
            self.method, self.path, self.headers, self.body
        );
        (body, headers)
    }

    /// Sends it; panics unless it is refused with this status and JSON-RPC error. Returns the error's whole message.
    async fn refused(self, gateway: &Gateway, status: u16, code: i64) -> Value {
        let (body, [kind]) = self.check(gateway, status, ["content-type"]).await;
        assert_eq!(kind, "application/json");
        let message: Value = serde_json::from_slice(&body).expect("a JSON-RPC error");
        assert_eq!(message["error"]["code"], code, "{message}");
        message
    }
}

fn two_servers() -> Gateway {
    let server = "command = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"";
    Gateway::start(&format!(
        "[http]\nbody-max = \"64KiB\"\nallowed-origins = [\"https://app.example\"]\n\
         [servers.mock]\n{server}\n[servers.other]\n{server}\n"
    ))
}

#[tokio::test]
async fn what_is_taken_has_its_status() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let ping = || Case::ping(peer.id());
    let (body, [kind]) = ping().check(&gateway, 200, ["content-type"]).await;
    assert_eq!(
        (&body[..], &*kind),
        (
            &br#"{"jsonrpc":"2.0","id":1,"result":{}}"#[..],
            "application/json"
        )
    );
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/x" }).to_string();
    let answer = json!({ "jsonrpc": "2.0", "id": 77, "result": {} }).to_string();
    for body in [notification, answer] {
        let (body, []) = ping().body(body).check(&gateway, 202, []).await;
        assert!(body.is_empty(), "nothing is said to what needs no answer");
    }
    let unknown = json!({ "jsonrpc": "2.0", "id": "u", "method": "no/such/method" }).to_string();
    ping().body(unknown).refused(&gateway, 200, -32601).await;
    ping()
        .without("mcp-protocol-version")
        .check(&gateway, 200, [])
        .await;
    ping()
        .with("content-type", "application/json; charset=utf-8")
        .check(&gateway, 200, [])
        .await;
    ping().with("accept", "*/*").check(&gateway, 200, []).await;
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_messages_are_400() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let bad = async |body: &str, code| {
        Case::ping(peer.id())
            .body(body)
            .refused(&gateway, 400, code)
            .await
    };
    for text in ["", "{", "nonsense", r#"{"a":}"#, "{} {}"] {
        assert_eq!(bad(text, -32700).await["id"], Value::Null, "{text}");
    }
    let message = bad(r#"{"jsonrpc":"1.0","id":"x","method":"ping"}"#, -32600).await;
    assert_eq!(message["id"], "x", "the answer finds its request");
    let deep = |depth: usize| {
        let arguments = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":{arguments}}}}}}}"#
        )
    };
    for text in [
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":[{"x":1,"\u0078":2}]}}}"#,
        "[]",
        "7",
        &deep(126),
        &format!("[{PING}]"), // no batches in this version
    ] {
        bad(text, -32600).await;
    }
    Case::ping(peer.id())
        .body(deep(125))
        .check(&gateway, 200, [])
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn sessions_that_are_not_the_senders_are_404_and_none_is_400() {
    let gateway = two_servers();
    let (peer, ended) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    assert_eq!(ended.delete().await, 204);
    let unknown = "6f1d3c0e-6d0e-4c51-9f2b-0a8f1d2b3c4d";
    for session in [unknown, "x", "", ended.id()] {
        let case = Case::ping(session);
        case.clone().refused(&gateway, 404, -32001).await;
        case.clone()
            .method(Method::DELETE)
            .refused(&gateway, 404, -32001)
            .await;
        case.method(Method::GET).refused(&gateway, 404, -32001).await;
    }
    let ping = || Case::ping(peer.id());
    ping().at("/mcp/other").refused(&gateway, 404, -32001).await;
    ping().at("/mcp/nobody").refused(&gateway, 404, -32000).await;
    ping().at("/elsewhere").refused(&gateway, 404, -32000).await;
    ping()
        .without("mcp-session-id")
        .refused(&gateway, 400, -32000)
        .await;
    ping()
        .without("mcp-session-id")
        .method(Method::DELETE)
        .refused(&gateway, 400, -32000)
        .await;
    ping()
        .without("mcp-session-id")
        .method(Method::GET)
        .refused(&gateway, 400, -32000)
        .await;
    // Whoever claims to be of the era without sessions is held to its rules.
    let modern = || ping().with("mcp-protocol-version", "2026-07-28");
    modern().refused(&gateway, 400, -32602).await;
    modern().method(Method::GET).refused(&gateway, 405, -32000).await;
    for version in ["1.0", "nonsense"] {
        ping()
            .with("mcp-protocol-version", version)
            .refused(&gateway, 400, -32000)
            .await;
        let get = ping().with("mcp-protocol-version", version).method(Method::GET);
        get.refused(&gateway, 400, -32000).await;
    }
    ping().check(&gateway, 200, []).await;
    gateway.stop().await;
}

#[tokio::test]
async fn methods_and_media_types() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let ping = || Case::ping(peer.id());
    for method in [Method::PUT, Method::PATCH] {
        let (_, [allow]) = ping().method(method).check(&gateway, 405, ["allow"]).await;
        assert_eq!(allow, "GET, POST, DELETE, OPTIONS");
    }
    for accept in [
        "application/json",
        "text/event-stream",
        "text/html",
        "application/json, text/event-stream;q=0",
    ] {
        ping().with("accept", accept).refused(&gateway, 406, -32000).await;
        let opening = Case::ping("").without("mcp-session-id").with("accept", accept);
        opening
            .body(initialize(LATEST, json!({})).to_string())
            .refused(&gateway, 406, -32000)
            .await;
    }
    ping().without("accept").refused(&gateway, 406, -32000).await;
    let get = || ping().method(Method::GET);
    get()
        .with("accept", "application/json")
        .refused(&gateway, 406, -32000)
        .await;
    get().without("accept").refused(&gateway, 406, -32000).await;
    for kind in [
        "text/plain",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
    ] {
        ping()
            .with("content-type", kind)
            .refused(&gateway, 415, -32000)
            .await;
    }
    ping()
        .with("content-encoding", "gzip")
        .refused(&gateway, 415, -32000)
        .await;
    ping()
        .without("content-type")
        .refused(&gateway, 415, -32000)
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_may_have_so_many_bytes() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let of_length = |length: usize| {
        let empty = call(1, "echo", json!({ "text": "" })).to_string();
        call(1, "echo", json!({ "text": "x".repeat(length - empty.len()) })).to_string()
    };
    let ping = || Case::ping(peer.id());
    ping().body(of_length(64 * 1024)).check(&gateway, 200, []).await;
    ping()
        .body(of_length(64 * 1024 + 1))
        .refused(&gateway, 413, -32000)
        .await;
    ping()
        .body(of_length(120 * 1024))
        .refused(&gateway, 413, -32000)
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn hosts_and_origins_that_are_not_ours_are_403() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let ping = || Case::ping(peer.id());
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        let (_, [allowed]) = ping()
            .with("origin", origin)
            .check(&gateway, 403, ["access-control-allow-origin"])
            .await;
        assert_eq!(allowed, "", "a page of {origin} does not even read the refusal");
        ping()
            .with("origin", origin)
            .method(Method::OPTIONS)
            .refused(&gateway, 403, -32000)
            .await;
    }
    let address = gateway.address();
    let more = format!(
        "Accept: {BOTH}\r\nMcp-Session-Id: {}\r\nConnection: close\r\n",
        peer.id()
    );
    let good = head_of_post(address, PING.len(), &more) + PING;
    for (from, to, status) in [
        ("", "", "200"),
        (&*format!("Host: {address}"), "Host: localhost:1", "200"),
        (&*format!("Host: {address}"), "Host: evil.example", "403"),
        (&*format!("Host: {address}"), "X-Host: none", "403"),
        (
            &*format!("Host: {address}"),
            "Host: localhost\r\nHost: localhost",
            "403",
        ),
        ("POST /mcp", &*format!("POST http://{address}/mcp"), "200"),
        ("POST /mcp", "POST http://evil.example/mcp", "403"),
    ] {
        let text = if from.is_empty() {
            good.clone()
        } else {
            good.replacen(from, to, 1)
        };
        let answer = Raw::send(address, &text).await.until_closed().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{to}: {answer}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn pages_of_accepted_origins_are_told_what_they_may() {
    let gateway = two_servers();
    let peer = Peer::open(&gateway, "mock").await;
    let cors = [
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-expose-headers",
        "vary",
    ];
    for origin in ["https://app.example", "http://localhost:3000"] {
        let preflight = Case::ping(peer.id())
            .method(Method::OPTIONS)
            .with("origin", origin)
            .body("");
        let preflight = preflight.without("mcp-session-id").without("content-type");
        let (_, [allowed, methods, headers, ..]) = preflight.check(&gateway, 204, cors).await;
        assert_eq!(allowed, origin);
        for method in ["GET", "POST", "DELETE"] {
            assert!(methods.contains(method), "{methods}");
        }
        for header in [
            "mcp-session-id",
            "mcp-protocol-version",
            "last-event-id",
            "authorization",
            "content-type",
        ] {
            assert!(headers.to_ascii_lowercase().contains(header), "{headers}");
        }
        let ping = Case::ping(peer.id()).with("origin", origin);
        let (_, [allowed, _, _, exposed, vary]) = ping.check(&gateway, 200, cors).await;
        assert_eq!((&*allowed, &*vary), (origin, "Origin"));
        assert!(
            exposed.contains("Mcp-Session-Id") && exposed.contains("WWW-Authenticate"),
            "{exposed}"
        );
    }
    let (_, [allowed]) = Case::ping(peer.id())
        .check(&gateway, 200, ["access-control-allow-origin"])
        .await;
    assert_eq!(allowed, "", "nobody asked");
    gateway.stop().await;
}

#[tokio::test]
async fn slow_and_large_heads_and_bodies_end() {
    let gateway = Gateway::start(
        "[http]\nheader-timeout = \"300ms\"\nbody-timeout = \"300ms\"\nheader-max = \"8KiB\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let address = gateway.address();
    let answer = Raw::send(address, &head_of_post(address, 100, ""))
        .await
        .until_closed()
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 408 "),
        "a body that does not come: {answer}"
    );
    let half = head_of_post(address, 0, "");
    let answer = Raw::send(address, &half[..half.len() - 2])
        .await
        .until_closed()
        .await;
    assert!(!answer.contains("200"), "a head that does not end: {answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_ends_its_connection() {
    let gateway = Gateway::start(
        "[http]\nheader-timeout = \"1h\"\nheader-max = \"8KiB\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let address = gateway.address();
    let of_length = |length: usize| {
        let head = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-Padding: ");
        let padding = "x".repeat(length - head.len() - 4);
        format!("{head}{padding}\r\n\r\n")
    };
    for (length, status) in [(8_000, 200), (9_000, 431), (100_000, 431), (2_000_000, 431)] {
        let answer = Raw::send(address, &of_length(length)).await.until_closed().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{length}: {answer}"
        );
        assert_eq!(
            answer.contains("http.header-max"),
            status == 431,
            "{length}: {answer}"
        );
    }
    let lines = "X-Line: x\r\n".repeat(101);
    let answer = Raw::send(address, &format!("GET /healthz HTTP/1.1\r\n{lines}\r\n")).await;
    assert!(answer.until_closed().await.starts_with("HTTP/1.1 431 "));
    gateway.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let gateway = Gateway::start(
        "[http]\nconnections-max = 2\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let healthz = async |connection: &mut Connection| {
        connection
            .send(Method::GET, "/healthz", &[], Bytes::new())
            .await
            .bytes()
            .await
    };
    let (mut one, mut two) = (
        Connection::open(gateway.address()).await,
        Connection::open(gateway.address()).await,
    );
    healthz(&mut one).await;
    healthz(&mut two).await;
    let address = gateway.address();
    let mut third = tokio::spawn(async move { healthz(&mut Connection::open(address).await).await });
    for _ in 0..20 {
        healthz(&mut one).await;
        healthz(&mut two).await;
    }
    assert!(!third.is_finished(), "two are served, the third one waits");
    drop(one);
    let body = crate::support::within("the third one's turn", &mut third).await;
    assert_eq!(&body.expect("it did not panic")[..], br#"{"status":"ok"}"#);
    drop(two);
    gateway.stop().await;
}
