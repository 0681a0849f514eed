//! Limits of requests: time, and how many at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::peer::{Peer, call, call_with_token};
use crate::support::{Gateway, text_of};

#[track_caller]
fn refused(message: &Value, code: i32, reason: &str) {
    let error = &message["error"];
    assert_eq!(error["code"], code, "{message}");
    assert!(
        reason.is_empty() || error["data"]["reason"] == reason,
        "{message}"
    );
}

#[tokio::test]
async fn a_request_may_take_so_long_and_progress_extends_it_up_to_the_maximum() {
    let gateway = Gateway::start(
        "[requests]\ntimeout = \"500ms\"\ntimeout-max = \"3s\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let peer = Peer::open(&gateway, "mock").await;
    let start = Instant::now();
    refused(&peer.ask(&call(1, "hang", json!({}))).await, -32001, "timeout");
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(500) && took < Duration::from_secs(10),
        "{took:?}"
    );
    peer.state_until("the server is told", |state| state["cancelled"] == 1)
        .await;
    let steps = |steps: u32| call_with_token("p", "p", "progress", json!({ "steps": steps, "ms": 100 }));
    let answer = peer.ask(&steps(15)).await;
    assert_eq!(
        text_of(&answer),
        "made 15 steps",
        "1.5 s, but never 500 ms without a word"
    );
    let start = Instant::now();
    refused(&peer.ask(&steps(10_000)).await, -32001, "timeout");
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(30),
        "{took:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_may_have_so_many_requests_in_flight() {
    let gateway = Gateway::start(
        "[requests]\nin-flight-max = 2\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let (peer, other) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let endless = |id| call_with_token(id, id, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut streams = [
        peer.post_for_stream(&endless(1)).await,
        peer.post_for_stream(&endless(2)).await,
    ];
    for stream in &mut streams {
        stream.message().await;
    }
    refused(&peer.ask(&call(3, "echo", json!({}))).await, -32004, "");
    assert_eq!(
        text_of(&other.ask(&call(3, "echo", json!({}))).await),
        "{}",
        "others are not concerned"
    );
    peer.notify("notifications/cancelled", json!({ "requestId": 1 }))
        .await;
    streams[0].rest().await;
    assert_eq!(
        text_of(&peer.ask(&call(3, "echo", json!({}))).await),
        "{}",
        "there is room again"
    );
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_may_have_so_many_requests_in_flight() {
    let gateway = Gateway::with_mock(&[], "in-flight-max = 2");
    let (one, two) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let endless = call_with_token("e", "e", "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut streams = [
        one.post_for_stream(&endless).await,
        two.post_for_stream(&endless).await,
    ];
    for stream in &mut streams {
        stream.message().await;
    }
    refused(&one.ask(&call(3, "echo", json!({}))).await, -32004, "overloaded");
    two.notify("notifications/cancelled", json!({ "requestId": "e" }))
        .await;
    streams[1].rest().await;
    assert_eq!(text_of(&one.ask(&call(3, "echo", json!({}))).await), "{}");
    assert_eq!(one.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_is_overloaded_at_once() {
    let gateway = Gateway::with_mock(
        &["--stop-reading-after", "2"],
        "queue-max = 4\nqueue-bytes-max = \"1MiB\"\nrequest-timeout = \"60s\"\nstop-grace = \"100ms\"",
    );
    let peer = Peer::open(&gateway, "mock").await;
    // Requests: initialize, and then one that it still reads. The pipe holds some, the queue some more.
    let text = "x".repeat(300_000);
    let message = call(1, "echo", json!({ "text": text }));
    let flood = (0..12).map(|_| peer.ask(&message)).collect::<Vec<_>>();
    let mut refusals = 0;
    let mut flood = futures_util::stream::FuturesUnordered::from_iter(flood);
    use futures_util::StreamExt;
    while refusals == 0 {
        let answer = crate::support::within("a refusal", flood.next())
            .await
            .expect("some are refused");
        if answer.get("error").is_some() {
            refused(&answer, -32004, "overloaded");
            refusals += 1;
        }
    }
    drop(flood);
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}
