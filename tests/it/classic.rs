//! The two failures that well-known gateways show: a deadlock when messages are larger than a pipe, and the
//! answer of another client that chose the same id.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Gateway, text_of};

/// A server that does not read while it writes: when its answers pile up, only a gateway that reads while it
/// writes can go on. The mock reads always, and would forgive a gateway that does not.
fn gateway_with_stubborn_server() -> Gateway {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/one_at_a_time.sh");
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"/bin/sh\"\nargs = [{script:?}]\nsharing = \"shared\"\nrequest-timeout = \"60s\"\n"
    ))
}

/// Returns a text of this many bytes that no other call sends.
fn payload(who: &str, call: usize, bytes: usize) -> String {
    let start = format!("{who}.{call}.");
    format!("{start}{}", "x".repeat(bytes.saturating_sub(start.len())))
}

async fn echo(client: &mut Client, text: String) {
    let message = client.call("echo", json!({ "text": text })).await;
    assert!(
        text_of(&message).contains(&text),
        "the answer of another call: {:.200}",
        text_of(&message)
    );
}

/// Sends `calls` calls of `bytes` each way at once on one session.
async fn flood_one_session(gateway: Gateway, calls: usize, bytes: usize) {
    let client = Client::open(&gateway, "mock").await;
    let clients = join_all((0..calls).map(|_| client.fork())).await;
    let calls = clients.into_iter().enumerate().map(async |(call, mut client)| {
        echo(&mut client, payload("one", call, bytes)).await;
    });
    join_all(calls).await;
    client.close().await;
    gateway.stop().await;
}

/// Sends calls of `bytes` each way from many sessions at once, `calls` on each, one after the other.
async fn flood_from_sessions(gateway: Gateway, sessions: usize, calls: usize, bytes: usize) {
    let clients = join_all((0..sessions).map(|_| Client::open(&gateway, "mock"))).await;
    let work = clients
        .into_iter()
        .enumerate()
        .map(async |(session, mut client)| {
            for call in 0..calls {
                echo(&mut client, payload(&format!("session{session}"), call, bytes)).await;
            }
            client.close().await;
        });
    join_all(work).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_calls_of_200_kb_on_one_session_do_not_deadlock() {
    flood_one_session(gateway_with_stubborn_server(), 16, 200_000).await;
    flood_one_session(Gateway::with_mock(&[], ""), 16, 200_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_with_100_kb_do_not_deadlock() {
    flood_from_sessions(gateway_with_stubborn_server(), 10, 1, 100_000).await;
    flood_from_sessions(Gateway::with_mock(&[], ""), 10, 20, 100_000).await;
}

/// Answers come late and in any order, so that many requests with one id are in flight together.
fn gateway_with_shuffled_answers() -> Gateway {
    Gateway::with_mock(&["--delay", "5", "--delay-jitter", "20"], "")
}

/// Calls again and again under one id, and checks that each answer is the client's own.
async fn insist_on_id(mut client: Client, who: &str, id: Value) -> Client {
    for call in 0..50 {
        let text = payload(who, call, 64);
        let params = json!({ "name": "echo", "arguments": { "text": text } });
        let message = client.request(id.clone(), "tools/call", params).await;
        assert!(
            text_of(&message).contains(&text),
            "{who} got another's answer: {message}"
        );
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_with_the_same_id_get_their_own_answers() {
    let gateway = gateway_with_shuffled_answers();
    let (one, two) = (
        Client::open(&gateway, "mock").await,
        Client::open(&gateway, "mock").await,
    );
    let (one, two) = tokio::join!(
        insist_on_id(one, "one", json!(1)),
        insist_on_id(two, "two", json!(1))
    );
    one.close().await;
    two.close().await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_that_always_says_1_gets_each_answer_on_its_stream() {
    let gateway = gateway_with_shuffled_answers();
    let client = Client::open(&gateway, "mock").await;
    let ids = [json!(1), json!(1), json!("1"), json!("1"), json!(1)];
    let work = ids.into_iter().enumerate().map(async |(number, id)| {
        insist_on_id(client.fork().await, &format!("fork{number}"), id).await;
    });
    join_all(work).await;
    client.close().await;
    gateway.stop().await;
}
