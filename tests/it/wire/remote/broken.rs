//! Streams and connections that break: what is asked again, what is resumed, and what is told to have failed.

use std::time::Instant;

use serde_json::{Value, json};

use super::pair::{record, to};
use super::scripted::{Scripted, Seen, Step, answer, events, polite, result, status};
use crate::wire::peer::{Peer, call, until};

fn text_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

#[track_caller]
fn failure(answer: &Value) -> &str {
    assert_eq!(answer["error"]["code"], -32003, "{answer}");
    answer["error"]["message"].as_str().expect("text")
}

#[tokio::test]
async fn what_only_reads_is_asked_once_more_and_a_call_never() {
    let server = Scripted::start(|seen, before| {
        polite(seen).unwrap_or_else(|| match seen.message["method"].as_str() {
            Some("resources/read") if before == 1 => result(seen, json!({ "contents": [] })),
            _ => Vec::new(),
        })
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    let answer = peer.ask(&call(1, "echo", json!({}))).await;
    assert!(failure(&answer).contains("may have been carried out"), "{answer}");
    assert_eq!(server.count("tools/call"), 1);
    let answer = peer.request("resources/read", json!({ "uri": "a://b" })).await;
    assert_eq!(answer["result"], json!({ "contents": [] }), "{answer}");
    assert_eq!(server.count("resources/read"), 2);
    let answer = peer.request("prompts/get", json!({ "name": "a" })).await;
    failure(&answer);
    assert_eq!(server.count("prompts/get"), 2, "once more, and no more");
    assert_eq!(record(&gateway).await["phase"], "ready");
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed_after_the_time_that_the_server_wants() {
    let server = Scripted::start(|seen, _| match (&*seen.method, seen.headers.get("last-event-id").map(String::as_str)) {
        ("GET", Some("e1")) => {
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } });
            events(&format!("id: e2\ndata: {message}\n\ndata: half"))
        }
        ("GET", Some("e2")) => {
            let id = resumed_id();
            let message = json!({ "jsonrpc": "2.0", "id": id, "result": text_result("resumed") });
            events(&format!("data: {message}\n\n"))
        }
        _ => polite(seen).unwrap_or_else(|| {
            LAST_ID.store(seen.message["id"].as_i64().expect("a number"), std::sync::atomic::Ordering::Relaxed);
            events("id: e1\nretry: 400\ndata:\n\n")
        }),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    let begin = Instant::now();
    assert_eq!(peer.text("echo", json!({})).await, "resumed");
    assert!(
        begin.elapsed().as_millis() >= 800,
        "twice the time that it wanted: {:?}",
        begin.elapsed()
    );
    assert_eq!(server.count("tools/call"), 1);
    gateway.stop().await;
}

static LAST_ID: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);

fn resumed_id() -> i64 {
    LAST_ID.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn a_stream_without_ids_that_breaks_is_not_waited_for() {
    let server = Scripted::start(|seen, _| polite(seen).unwrap_or_else(|| events(": nothing\n\n"))).await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    let answer = peer.ask(&call(1, "echo", json!({}))).await;
    assert!(
        failure(&answer).contains("the connection broke before the answer"),
        "{answer}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_cannot_be_resumed_is_given_up() {
    let server = Scripted::start(|seen, _| match &*seen.method {
        "GET" if seen.headers.contains_key("last-event-id") => events(""),
        _ => polite(seen).unwrap_or_else(|| events("id: e1\nretry: 1\ndata:\n\n")),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    failure(&peer.ask(&call(1, "echo", json!({}))).await);
    let attempts = |seen: &Seen| seen.headers.contains_key("last-event-id");
    assert_eq!(server.seen().iter().filter(|seen| attempts(seen)).count(), 5);
    gateway.stop().await;
}

#[tokio::test]
async fn the_stream_of_its_own_messages_is_opened_after_the_handshake_and_resumed() {
    let server = Scripted::start(|seen, before| match (&*seen.method, before) {
        ("GET", 0) => {
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
            events(&format!("id: g1\nretry: 1\ndata: {message}\n\n"))
        }
        ("GET", 1) => {
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/prompts/list_changed" });
            [events(&format!("data: {message}\n\n")), vec![Step::Hold]].concat()
        }
        ("GET", _) => status(500),
        _ => polite(seen).unwrap_or_else(|| result(seen, text_result("x"))),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    let mut listening = peer.listen().await;
    peer.text("echo", json!({})).await;
    while listening.message().await["method"] != "notifications/prompts/list_changed" {}
    let seen = server.seen();
    let gets: Vec<&Seen> = seen.iter().filter(|seen| seen.method == "GET").collect();
    assert_eq!(gets[0].headers.get("last-event-id"), None);
    assert_eq!(
        gets[1].headers.get("last-event-id").map(String::as_str),
        Some("g1")
    );
    let told = seen
        .iter()
        .position(|seen| seen.message["method"] == "notifications/initialized");
    let first = seen.iter().position(|seen| seen.method == "GET");
    assert!(told < first, "after the handshake");
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_wants_its_stream_opened_at_once_for_ever_is_asked_less_and_less_often() {
    let server = Scripted::start(|seen, _| match &*seen.method {
        "GET" => events("retry: 0\n\n"),
        _ => polite(seen).unwrap_or_else(|| result(seen, text_result("x"))),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"session\"");
    let _peer = Peer::open(&gateway, "far").await;
    let begin = Instant::now();
    until("it was asked some times", async || {
        let gets = server.seen().iter().filter(|seen| seen.method == "GET").count();
        (gets >= 6).then_some(())
    })
    .await;
    let pauses = [20, 40, 80, 160, 320];
    assert!(begin.elapsed().as_millis() >= pauses.iter().sum::<u128>() - 50);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_error_is_told_and_the_next_request_is_made() {
    let server = Scripted::start(|seen, before| {
        polite(seen).unwrap_or_else(|| match before {
            0 => status(503),
            1 => super::scripted::text("application/json", &json!({
                "jsonrpc": "2.0", "id": seen.message["id"], "error": { "code": -32602, "message": "wrong" },
            }).to_string()),
            2 => {
                let error = json!({ "code": -32603, "message": "inside", "data": { "a": [1] } });
                let text = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
                vec![super::scripted::head(500, "application/json", ""), Step::Send(text)]
            }
            _ => super::scripted::text("application/json; charset=utf-8", &answer(seen, text_result("at last")).to_string()),
        })
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    let ask = async || peer.ask(&call(1, "echo", json!({}))).await;
    assert!(failure(&ask().await).contains("it answered with HTTP status 503"));
    assert_eq!(
        ask().await["error"],
        json!({ "code": -32602, "message": "wrong" })
    );
    assert_eq!(
        ask().await["error"],
        json!({ "code": -32603, "message": "inside", "data": { "a": [1] } })
    );
    assert_eq!(ask().await["result"], text_result("at last"));
    gateway.stop().await;
}
