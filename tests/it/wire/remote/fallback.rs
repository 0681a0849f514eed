//! Which transport a server speaks, where nobody says so; and what its configuration does not give away.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::pair::{log, record, record_until, to};
use super::scripted::{Scripted, Seen, Step, answer, events, polite, result, status};
use crate::support::Gateway;
use crate::wire::peer::{Peer, call};

/// A server of 2024-11-05, in as far as it refuses what came later and answers `initialize`.
fn old() -> impl Fn(&Seen, usize) -> Vec<Step> + Send + Sync + 'static {
    let said = watch::Sender::new(String::new());
    move |seen, _| match (&*seen.method, &*seen.path) {
        ("POST", "/mcp") => status(405),
        ("GET", _) => {
            said.send_replace(String::new());
            let endpoint = events("event: endpoint\ndata: /messages?session=1\n\n");
            [endpoint, vec![Step::Later(said.subscribe()), Step::Hold]].concat()
        }
        _ if seen.message["method"] == "initialize" => {
            let result = json!({
                "protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": { "name": "old", "version": "1" },
            });
            said.send_replace(format!("event: message\ndata: {}\n\n", answer(seen, result)));
            status(202)
        }
        _ => status(202),
    }
}

/// Returns how and where requests were made, repetitions once.
fn methods(server: &Scripted) -> Vec<String> {
    let seen = server.seen();
    let mut methods: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect();
    methods.dedup();
    methods
}

#[tokio::test]
async fn a_server_without_streamable_http_is_spoken_to_over_sse_and_that_is_remembered() {
    let server = Scripted::start(old()).await;
    let gateway = to(
        &server.url(),
        "autostart = true\nheaders = { X-Key = \"secret1\" }",
    );
    record_until(&gateway, "it is ready", |record| record["phase"] == "ready").await;
    assert_eq!(methods(&server)[..2], ["POST /mcp", "GET /mcp"]);
    let posts: Vec<Seen> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.path == "/messages?session=1")
        .collect();
    assert_eq!(posts[0].message["method"], "initialize");
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.headers["x-key"] == "secret1")
    );
    assert!(log(&gateway).await.contains("trying HTTP+SSE"));
    let before = methods(&server).len();
    gateway.order(http::Method::POST, "servers/far/restart").await;
    record_until(&gateway, "it is ready again", |record| {
        record["generation"] == 2 && record["phase"] == "ready"
    })
    .await;
    assert_eq!(methods(&server)[before], "GET /mcp", "it is known by now");
    gateway.stop().await;
}

#[tokio::test]
async fn a_pinned_transport_is_not_left() {
    let server = Scripted::start(old()).await;
    let gateway = to(
        &server.url(),
        "type = \"http\"\nautostart = true\nrestart-attempts-max = 2",
    );
    let record = record_until(&gateway, "it failed", |record| record["phase"] == "failed").await;
    let error = record["lastError"].as_str().expect("a reason");
    assert!(error.contains("HTTP status 405"), "{error}");
    assert!(
        methods(&server).iter().all(|method| method == "POST /mcp"),
        "{:?}",
        methods(&server)
    );
    gateway.stop().await;
}

#[tokio::test]
async fn who_refuses_the_credentials_is_not_asked_for_ever_and_nothing_is_given_away() {
    let server = Scripted::start(|_, _| status(401)).await;
    let url = server.url().replace("http://", "http://me:secret1@") + "?key=secret2";
    let more = "headers = { X-Key = \"secret3\" }\nrestart-attempts-max = 2\nautostart = true";
    let gateway = to(&url, more);
    let record = record_until(&gateway, "it failed", |record| record["phase"] == "failed").await;
    assert_eq!(server.count("initialize"), 3);
    let basic = "Basic bWU6c2VjcmV0MQ==";
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.headers["authorization"] == basic && seen.headers["x-key"] == "secret3")
    );
    let answer = refused_at(&gateway).await;
    let text = answer["error"]["message"].as_str().expect("text");
    assert!(
        text.contains("refuses the credentials of the gateway (HTTP status 401)"),
        "{text}"
    );
    assert_eq!(
        record["config"]["url"],
        server.url().replace("http://", "http://***@") + "?***"
    );
    let everything = format!("{record} {answer} {} {}", log(&gateway).await, gateway.output());
    for hidden in ["secret", "bWU6"] {
        assert!(!everything.contains(hidden), "{hidden} in {everything}");
    }
    gateway.stop().await;
}

async fn refused_at(gateway: &Gateway) -> Value {
    let mut connection = crate::support::Connection::open(gateway.address()).await;
    let headers = [
        ("accept", crate::wire::peer::BOTH),
        ("content-type", "application/json"),
    ];
    let body = crate::wire::peer::initialize("2025-11-25", json!({})).to_string();
    connection
        .send(http::Method::POST, "/mcp/far", &headers, body.into())
        .await
        .json()
        .await
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin_only() {
    let elsewhere = Scripted::start(|_, _| status(500)).await;
    let target = elsewhere.url();
    let server = Scripted::start(move |seen, _| {
        let to = |place: &str| {
            vec![Step::Send(format!(
                "HTTP/1.1 307 x\r\nconnection: close\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
            ))]
        };
        match (&*seen.path, seen.message["params"]["name"].as_str()) {
            ("/mcp", _) => to("/mcp/"),
            (_, Some("away")) => to(&target),
            (_, Some("round")) => to("/mcp/?again"),
            _ => polite(seen)
                .unwrap_or_else(|| result(seen, json!({ "content": [{ "type": "text", "text": "here" }] }))),
        }
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"\nheaders = { X-Key = \"k\" }");
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(peer.text("echo", json!({})).await, "here");
    for tool in ["away", "round"] {
        let answer = peer.ask(&call(1, tool, json!({}))).await;
        let text = answer["error"]["message"].as_str().expect("text");
        assert!(text.contains("redirects to another place"), "{tool}: {text}");
    }
    assert!(
        elsewhere.seen().is_empty(),
        "nobody was sent there with credentials"
    );
    assert_eq!(record(&gateway).await["phase"], "ready");
    gateway.stop().await;
}

#[tokio::test]
async fn an_endpoint_of_another_origin_is_refused() {
    let elsewhere = Scripted::start(|seen, _| polite(seen).unwrap_or_else(|| status(500))).await;
    let target = elsewhere.address();
    let server = Scripted::start(move |_, _| {
        [
            events(&format!("event: endpoint\ndata: http://{target}/messages\n\n")),
            vec![Step::Hold],
        ]
        .concat()
    })
    .await;
    let gateway = to(
        &server.url(),
        "type = \"sse\"\nautostart = true\nrestart-attempts-max = 1",
    );
    let record = record_until(&gateway, "it failed", |record| record["phase"] == "failed").await;
    let error = record["lastError"].as_str().expect("a reason");
    assert!(error.contains("names no endpoint of its own origin"), "{error}");
    assert!(elsewhere.seen().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn the_session_and_the_version_are_said_with_every_request_after_the_handshake() {
    let server = Scripted::start(|seen, _| {
        polite(seen).unwrap_or_else(|| {
            super::scripted::text(
                "application/json",
                &answer(seen, json!({ "content": [] })).to_string(),
            )
        })
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    peer.ask(&call(1, "echo", json!({}))).await;
    gateway.stop().await;
    let seen = server.seen();
    let first = seen
        .iter()
        .position(|seen| seen.message["method"] == "initialize")
        .expect("a handshake");
    for (index, seen) in seen.iter().enumerate() {
        let (session, version) = (
            seen.headers.get("mcp-session-id"),
            seen.headers.get("mcp-protocol-version"),
        );
        if index <= first {
            assert_eq!(session, None, "{seen:?}");
        } else {
            assert_eq!(
                (session.map(String::as_str), version.map(String::as_str)),
                (Some("s1"), Some("2025-11-25")),
                "{seen:?}"
            );
        }
        if seen.method == "POST" {
            assert_eq!(seen.headers["accept"], "application/json, text/event-stream");
        }
    }
    assert_eq!(
        seen.last().map(|seen| &*seen.method),
        Some("DELETE"),
        "it took its leave"
    );
}
