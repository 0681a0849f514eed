//! The life of sessions: idle ones end, the least recently used makes room, forgotten ones cost little.

use http::StatusCode;
use serde_json::json;

use super::peer::{Peer, call_with_token, request, until};
use crate::support::{Client, Gateway};

const MOCK: &str = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n";

async fn is_there(peer: &Peer) -> bool {
    let (answer, _connection) = peer.post(&request(1, "ping", json!({}))).await;
    match answer.status() {
        StatusCode::OK => true,
        StatusCode::NOT_FOUND => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_idle_session_ends_but_one_with_a_stream_or_a_request_does_not() {
    let gateway = Gateway::start(&format!("[sessions]\nidle-timeout = \"1s\"\n{MOCK}"));
    let (idle, listening, busy) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let stream = listening.listen().await;
    let endless = call_with_token("e", 1, "progress", json!({ "steps": 1_000_000, "ms": 50 }));
    let broken = busy.post_for_stream(&endless).await;
    drop(broken);
    let ended = || gateway.output().matches("session ended").count();
    until("one session ends", async || (ended() == 1).then_some(())).await;
    assert!(!is_there(&idle).await);
    assert!(is_there(&listening).await && is_there(&busy).await);
    busy.notify("notifications/cancelled", json!({ "requestId": "e" }))
        .await;
    drop(stream);
    until("the others end, too", async || (ended() == 3).then_some(())).await;
    assert!(!is_there(&listening).await && !is_there(&busy).await);
    gateway.stop().await;
}

#[tokio::test]
async fn beyond_the_cap_the_least_recently_used_session_ends() {
    let gateway = Gateway::start(&format!("[sessions]\nmax = 3\n{MOCK}"));
    let (one, two, three) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let _stream = one.listen().await;
    let endless = call_with_token("e", 1, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut busy = two.post_for_stream(&endless).await;
    busy.message().await;
    let four = Peer::open(&gateway, "mock").await;
    assert!(!is_there(&three).await, "the others are in use");
    assert!(is_there(&one).await && is_there(&two).await && is_there(&four).await);
    busy.message().await;
    let five = Peer::open(&gateway, "mock").await;
    assert!(!is_there(&four).await && is_there(&five).await);
    assert_eq!(two.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_that_must_go_answers_what_it_had_in_flight() {
    let gateway = Gateway::start(&format!("[sessions]\nmax = 1\n{MOCK}"));
    let one = Peer::open(&gateway, "mock").await;
    let endless = call_with_token("e", 1, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut busy = one.post_for_stream(&endless).await;
    busy.message().await;
    let two = Peer::open(&gateway, "mock").await;
    let last = busy.rest().await.pop().expect("an answer");
    assert_eq!(
        (&last["id"], &last["error"]["code"]),
        (&json!("e"), &json!(-32001)),
        "{last}"
    );
    assert!(!is_there(&one).await && is_there(&two).await);
    two.state_until("the server is told", |state| state["running"] == 0)
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn an_abandoned_session_costs_less_than_10_kib() {
    let gateway = Gateway::start(&format!("[sessions]\nmax = 20000\n{MOCK}"));
    let mut client = Client::open(&gateway, "mock").await;
    let abandon = async |mut client: Client, count: usize| {
        for _ in 0..count {
            client.call("echo", json!({ "text": "hello" })).await;
            client = client.abandon_and_reopen("mock").await;
        }
        client
    };
    client = abandon(client, 500).await;
    client.call("change", json!({ "kind": "tools" })).await;
    let before = gateway.process().footprint().memory;
    client = abandon(client, 3_000).await;
    for _ in 0..100 {
        client.call("change", json!({ "kind": "tools" })).await;
    }
    let after = gateway.process().footprint().memory;
    let each = after.saturating_sub(before) / 3_000;
    assert!(each < 10 * 1024, "{each} bytes for each abandoned session");
    gateway.stop().await;
}
