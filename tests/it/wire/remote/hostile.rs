//! Servers that mean harm, or are broken beyond measure: each request gets an answer, and nothing grows.

use serde_json::{Value, json};

use super::pair::{record, record_until, to};
use super::scripted::{Scripted, Seen, Step, answer, events, head, polite, result, status, text};
use crate::support::Gateway;
use crate::wire::peer::{Peer, call};

const SMALL: &str = "sharing = \"shared\"\nline-max = \"64KiB\"\nrequest-timeout = \"2s\"";

/// Returns what the tool called `good` answers, which every server here has.
fn good(seen: &Seen) -> Option<Vec<Step>> {
    let is_good = seen.message["params"]["name"] == "good";
    polite(seen)
        .or_else(|| is_good.then(|| result(seen, json!({ "content": [{ "type": "text", "text": "good" }] }))))
}

/// Calls a tool of a server that answers it so, and returns what the client is told; then looks whether everything else
/// still works.
async fn told(bad: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Value {
    let server = Scripted::start(move |seen, _| good(seen).unwrap_or_else(|| bad(seen))).await;
    let gateway = to(&server.url(), SMALL);
    let peer = Peer::open(&gateway, "far").await;
    let (answer, other) = tokio::join!(
        async { peer.ask(&call("bad", "bad", json!({}))).await },
        peer.text("good", json!({})),
    );
    assert_eq!((&answer["id"], &*other), (&json!("bad"), "good"));
    assert_eq!(peer.text("good", json!({})).await, "good");
    still_itself(&gateway).await;
    gateway.stop().await;
    answer
}

async fn still_itself(gateway: &Gateway) {
    let record = record(gateway).await;
    assert_eq!(
        (&record["phase"], &record["generation"]),
        (&json!("ready"), &json!(1)),
        "{record}"
    );
    let memory = gateway.process().footprint().memory;
    assert!(memory < 400 << 20, "{memory} bytes");
}

#[track_caller]
fn says(answer: &Value, expect: &str) {
    let message = answer["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("no error in {answer}"));
    assert!(message.contains(expect), "{expect:?} in {message:?}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let garbage = told(|_| text("application/json", "{not json")).await;
    says(&garbage, "is not the answer to the request");
    let empty = told(|_| text("application/json", "")).await;
    says(&empty, "is not the answer to the request");
    let of_another = told(|_| text("application/json", r#"{"jsonrpc":"2.0","id":424242,"result":{}}"#)).await;
    says(&of_another, "is not the answer to the request");
    let accepted = told(|_| status(202)).await;
    says(&accepted, "is not the answer to the request");
    let page = told(|_| text("text/html", "<html>")).await;
    says(&page, "neither JSON nor an event stream");
    let no_http = told(|_| vec![Step::Send("220 smtp.example ESMTP\r\n".to_owned())]).await;
    says(&no_http, "the connection broke");
}

#[tokio::test]
async fn answers_without_an_end() {
    let body = told(|_| {
        vec![
            head(200, "application/json", ""),
            Step::Forever("aaaaaaaaaaaaaaaa"),
        ]
    })
    .await;
    says(&body, "longer than its limit line-max");
    let head_lines = told(|_| {
        vec![
            Step::Send("HTTP/1.1 200 OK\r\n".to_owned()),
            Step::Forever("x-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
        ]
    })
    .await;
    says(&head_lines, "the connection broke");
    let line = told(|_| [events("data: "), vec![Step::Forever("aaaaaaaaaaaaaaaaaaaaaaaa")]].concat()).await;
    says(&line, "no answer within");
    let comments = told(|_| [events(""), vec![Step::Forever(": nothing\n")]].concat()).await;
    says(&comments, "no answer within");
    let lines = told(|_| {
        [
            events(""),
            vec![Step::Forever("data: aaaaaaaaaaaaaaaaaaaaaaaa\n")],
        ]
        .concat()
    })
    .await;
    says(&lines, "no answer within");
}

#[tokio::test]
async fn answers_that_come_too_slowly() {
    let nothing = told(|_| vec![Step::Hold]).await;
    says(&nothing, "no answer within");
    let half_a_head = told(|_| vec![Step::Send("HTTP/1.1 200 OK\r\ncontent-".to_owned()), Step::Hold]).await;
    says(&half_a_head, "no answer within");
    let half_a_body = told(|_| [text("application/json", "{\"jsonrpc\""), vec![Step::Hold]].concat()).await;
    says(&half_a_body, "no answer within");
}

#[tokio::test]
async fn an_event_over_the_limit_is_told_and_the_stream_goes_on() {
    let huge = told(|seen| {
        let answer = answer(
            seen,
            json!({ "content": [{ "type": "text", "text": "x".repeat(200_000) }] }),
        );
        [events(&format!("data: {answer}\n\n")), vec![Step::Hold]].concat()
    })
    .await;
    says(&huge, "longer than its limit line-max");
    let before = told(|seen| {
        let notice = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "x".repeat(200_000) } });
        events(&format!("data: {notice}\n\nevent: other\ndata: x\n\ndata: {}\n\n", answer(seen, json!({ "content": [] }))))
    })
    .await;
    assert_eq!(before["result"], json!({ "content": [] }), "{before}");
}

#[tokio::test]
async fn texts_over_several_lines_are_one_message() {
    let pretty = told(|seen| {
        let text = serde_json::to_string_pretty(&answer(seen, json!({ "content": ["a\nb"] }))).expect("JSON");
        text_of_lines("application/json", &text)
    })
    .await;
    assert_eq!(pretty["result"], json!({ "content": ["a\nb"] }), "{pretty}");
    let events = told(|seen| {
        let text = serde_json::to_string_pretty(&answer(seen, json!({ "content": ["a\nb"] }))).expect("JSON");
        let lines: String = text.lines().map(|line| format!("data: {line}\r\n")).collect();
        text_of_lines("text/event-stream; charset=utf-8", &format!("{lines}\r\n"))
    })
    .await;
    assert_eq!(events["result"], json!({ "content": ["a\nb"] }), "{events}");
}

fn text_of_lines(kind: &str, lines: &str) -> Vec<Step> {
    text(kind, lines)
}

#[tokio::test]
async fn a_batch_is_taken_apart() {
    let batch = told(|seen| {
        let notice = json!({ "jsonrpc": "2.0", "method": "notifications/x" });
        text(
            "application/json",
            &json!([notice, answer(seen, json!({ "content": [] }))]).to_string(),
        )
    })
    .await;
    assert_eq!(batch["result"], json!({ "content": [] }), "{batch}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_no_server_by_https() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            // Who leaves early has seen enough.
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let gateway = to(
        &format!("https://{address}/mcp"),
        "autostart = true\nrestart-attempts-max = 1",
    );
    let record = record_until(&gateway, "it failed", |record| record["phase"] == "failed").await;
    let error = record["lastError"].as_str().expect("a reason");
    assert_eq!(error, "it cannot be reached: TLS failed");
    gateway.stop().await;
    serving.abort();
}

#[tokio::test]
async fn a_websocket_that_is_none_is_refused_and_one_that_says_too_much_is_left() {
    let plain = Scripted::start(|_, _| text("text/html", "<html>")).await;
    let url = format!("ws://{}/mcp", plain.address());
    let gateway = to(&url, "autostart = true\nrestart-attempts-max = 1");
    let record = record_until(&gateway, "it failed", |record| record["phase"] == "failed").await;
    assert_eq!(record["lastError"], "it does not speak WebSocket as it should");
    assert_eq!(plain.seen()[0].headers["sec-websocket-protocol"], "mcp");
    gateway.stop().await;
    let sockets = super::sockets::Sockets::start().await;
    let gateway = to(&sockets.url(), "line-max = \"64KiB\"\nsharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    let answer = peer.ask(&call(1, "big", json!({ "bytes": 200_000 }))).await;
    says(&answer, "its WebSocket was closed");
    assert_eq!(peer.text("echo", json!({})).await, "{}", "another one was opened");
    gateway.stop().await;
}
