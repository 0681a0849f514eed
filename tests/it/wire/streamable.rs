//! Streamable HTTP: when an answer is JSON and when a stream, batches, the end of a session.

use http::StatusCode;
use serde_json::{Value, json};

use super::peer::{LATEST, Peer, call, call_with_token, request};
use crate::support::{Gateway, text_of};

#[tokio::test]
async fn an_answer_alone_is_json_and_progress_makes_it_a_stream() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let (answer, _connection) = peer.post(&call("a", "progress", json!({ "steps": 3 }))).await;
    assert!(!answer.is_stream(), "nobody asked for progress");
    assert_eq!(answer.json().await["id"], "a");
    let mut stream = peer
        .post_for_stream(&call_with_token("b", "t", "progress", json!({ "steps": 3 })))
        .await;
    let messages = stream.rest().await;
    for (number, message) in messages[..3].iter().enumerate() {
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(
            message["params"],
            json!({ "progressToken": "t", "progress": number + 1, "total": 3 })
        );
    }
    assert_eq!(
        (messages.len(), &messages[3]["id"]),
        (4, &json!("b")),
        "{messages:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_slow_answer_becomes_a_stream() {
    let gateway = Gateway::start(
        "[http]\nsse-after = \"20ms\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let peer = Peer::open(&gateway, "mock").await;
    let mut stream = peer
        .post_for_stream(&call(1, "sleep", json!({ "ms": 3_000 })))
        .await;
    let messages = stream.rest().await;
    assert_eq!((messages.len(), text_of(&messages[0])), (1, "slept 3000 ms"));
    gateway.stop().await;
}

#[tokio::test]
async fn streams_are_primed_for_the_version_that_knows_it() {
    let gateway = Gateway::with_mock(&[], "");
    for (version, is_primed) in [
        (LATEST, true),
        ("2025-06-18", false),
        ("2025-03-26", false),
        ("2024-11-05", false),
    ] {
        let (peer, _) = Peer::open_as(&gateway, "mock", version, json!({})).await;
        let mut stream = peer
            .post_for_stream(&call_with_token(1, 1, "progress", json!({})))
            .await;
        let first = stream.any_event().await.expect("an event");
        let get = peer
            .send(http::Method::GET, &[("accept", "text/event-stream")], "".into())
            .await
            .0;
        if is_primed {
            assert_eq!((&*first.data, first.retry), ("", Some(1000)), "{first:?}");
            let first_of_get = get.events().next().await.expect("a priming event");
            assert_eq!(
                (&*first_of_get.data, first_of_get.id.as_deref()),
                ("", Some("0-0"))
            );
        } else {
            assert!(
                !first.data.is_empty() && first.retry.is_none(),
                "{version}: {first:?}"
            );
        }
        assert!(first.id.is_some(), "every event has an id");
        let mut ids = vec![first.id];
        while let Some(event) = stream.any_event().await {
            assert!(
                event.retry.is_none() && !ids.contains(&event.id),
                "{event:?} after {ids:?}"
            );
            ids.push(event.id);
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn batches_are_for_one_version_only() {
    let gateway = Gateway::with_mock(&[], "");
    let (peer, _) = Peer::open_as(&gateway, "mock", "2025-03-26", json!({})).await;
    let batch = json!([
        request(1, "ping", json!({})),
        { "jsonrpc": "2.0", "method": "notifications/x" },
        call(1, "echo", json!({ "text": "one" })),
        call("1", "echo", json!({ "text": "two" })),
        request(2, "no/such/method", json!({})),
    ]);
    let messages = peer.post_for_stream(&batch).await.rest().await;
    let mut ids: Vec<String> = messages.iter().map(|message| message["id"].to_string()).collect();
    ids.sort();
    assert_eq!(
        ids,
        ["\"1\"", "1", "1", "2"],
        "each request is answered once: {messages:?}"
    );
    let unanswered = json!([{ "jsonrpc": "2.0", "method": "notifications/x" }, { "jsonrpc": "2.0", "id": 5, "result": {} }]);
    let (answer, _connection) = peer.post(&unanswered).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let refused = async |peer: &Peer, batch: Value| {
        let (answer, _connection) = peer.post(&batch).await;
        let status = answer.status();
        assert_eq!(
            (status, &answer.json().await["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(-32600))
        );
    };
    let opening = super::peer::initialize("2025-03-26", json!({}));
    refused(&peer, json!([request(1, "ping", json!({})), opening])).await;
    refused(&peer, json!([])).await;
    refused(&peer, json!([request(1, "ping", json!({})), 7])).await;
    refused(&peer, Value::Array(vec![request(1, "ping", json!({})); 101])).await;
    for version in [LATEST, "2025-06-18", "2024-11-05"] {
        let (other, _) = Peer::open_as(&gateway, "mock", version, json!({})).await;
        refused(&other, json!([request(1, "ping", json!({}))])).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn delete_ends_the_session_its_streams_and_its_requests() {
    let gateway = Gateway::with_mock(&[], "");
    let (peer, witness) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let mut listening = peer.listen().await;
    let slow = call_with_token("slow", 1, "progress", json!({ "steps": 100_000, "ms": 20 }));
    let mut stream = peer.post_for_stream(&slow).await;
    assert_eq!(stream.message().await["method"], "notifications/progress");
    assert_eq!(peer.delete().await, 204);
    let last = stream.rest().await.pop().expect("an answer");
    assert_eq!(
        (&last["id"], &last["error"]["code"]),
        (&json!("slow"), &json!(-32001)),
        "{last}"
    );
    assert!(listening.event().await.is_none());
    assert_eq!(peer.delete().await, 404);
    witness
        .state_until("the server is told", |state| {
            state["cancelled"] == 1 && state["running"] == 0
        })
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_has_not_taken_its_request_back() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let address = gateway.address();
    let body = call(1, "sleep", json!({ "ms": 300 })).to_string();
    let more = format!(
        "Accept: {}\r\nMcp-Session-Id: {}\r\n",
        super::peer::BOTH,
        peer.id()
    );
    let head = super::raw::head_of_post(address, body.len(), &more);
    let gone = super::raw::Raw::send(address, &(head + &body)).await;
    peer.state_until("it is under way", |state| state["running"] == 1)
        .await;
    drop(gone);
    let state = peer
        .state_until("it is over", |state| state["running"] == 0)
        .await;
    assert_eq!(state["cancelled"], 0, "{state}");
    gateway.stop().await;
}
