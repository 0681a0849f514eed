//! Event streams: what waits for them, who reads them, how an interrupted one goes on.

use http::StatusCode;
use serde_json::json;

use super::peer::{BOTH, Peer, call_with_token, until};
use super::raw::Raw;
use crate::support::Gateway;

const MOCK: &str = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n";

/// Makes the server say that its tools have changed.
async fn change(peer: &Peer) {
    assert_eq!(peer.text("change", json!({ "kind": "tools" })).await, "changed");
}

/// Makes the server say that a resource, to which this session subscribes, has changed.
async fn touch(peer: &Peer, number: usize) -> String {
    let uri = format!("test://template/{number}/data");
    let answer = peer.request("resources/subscribe", json!({ "uri": uri })).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    assert_eq!(peer.text("touch", json!({ "uri": uri })).await, "updated");
    uri
}

#[tokio::test]
async fn messages_wait_for_a_stream_and_leave_in_one_write() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let mut uris = Vec::new();
    for number in 0..5 {
        uris.push(touch(&peer, number).await);
    }
    let address = gateway.address();
    let get = format!(
        "GET /mcp/mock HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}\r\n\r\n",
        peer.id()
    );
    let mut raw = Raw::send(address, &get).await;
    let text = raw.until(&uris[4]).await;
    let places: Vec<usize> = uris
        .iter()
        .map(|uri| text.find(uri).expect("it waited"))
        .collect();
    assert!(places.is_sorted(), "in order");
    assert!(
        !text[places[0]..places[4]].contains("\r\n"),
        "no boundary of a chunk between them: {text}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_is_alive() {
    let gateway = Gateway::start(&format!("[http]\nkeep-alive = \"30ms\"\n{MOCK}"));
    let peer = Peer::open(&gateway, "mock").await;
    let address = gateway.address();
    let get = format!(
        "GET /mcp/mock HTTP/1.1\r\nHost: {address}\r\nAccept: {BOTH}\r\nMcp-Session-Id: {}\r\n\r\n",
        peer.id()
    );
    let mut raw = Raw::send(address, &get).await;
    raw.until(": keep-alive\n\n").await;
    change(&peer).await;
    raw.until("notifications/tools/list_changed").await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_second_stream_takes_over_and_a_later_one_goes_on() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let mut first = peer.listen().await;
    let mut second = peer.listen().await;
    assert!(first.event().await.is_none(), "the first one ends");
    let one = touch(&peer, 1).await;
    let event = second.event().await.expect("the second one goes on");
    assert_eq!(event.json()["params"]["uri"], one);
    drop(second);
    let two = touch(&peer, 2).await;
    let three = touch(&peer, 3).await;
    let mut third = peer.listen_after(event.id.as_deref()).await.expect("known");
    for uri in [two, three] {
        assert_eq!(
            third.message().await["params"]["uri"],
            uri,
            "held across the reconnect"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_broken_stream_of_an_answer_goes_on_with_its_own_messages_only() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let mut listening = peer.listen().await;
    let slow = |id, token| call_with_token(id, token, "progress", json!({ "steps": 20, "ms": 10 }));
    let mut broken = peer.post_for_stream(&slow("broken", "b")).await;
    let mut whole = peer.post_for_stream(&slow("whole", "w")).await;
    let priming = broken.any_event().await.expect("a priming event");
    assert!(priming.data.is_empty());
    let event = broken.event().await.expect("progress");
    drop(broken);
    for (after, count) in [(&event.id, 20), (&priming.id, 21)] {
        let mut resumed = peer.listen_after(after.as_deref()).await.expect("known");
        let messages = resumed.rest().await;
        assert_eq!(messages.len(), count, "{messages:?}");
        let (answer, progress) = messages.split_last().expect("there are some");
        assert_eq!(answer["id"], "broken");
        for (number, message) in progress.iter().enumerate() {
            assert_eq!(message["params"]["progressToken"], "b", "{message}");
            assert_eq!(
                message["params"]["progress"],
                number + 22 - count,
                "none is lost, none comes twice"
            );
        }
    }
    let messages = whole.rest().await;
    assert_eq!((messages.len(), &messages[20]["id"]), (21, &json!("whole")));
    let uri = touch(&peer, 9).await;
    assert_eq!(
        listening.message().await["params"]["uri"],
        uri,
        "nothing of the others came here"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_too_old_or_never_was_is_400() {
    let gateway = Gateway::start(&format!("[sessions]\nstreams-max = 2\n{MOCK}"));
    let peer = Peer::open(&gateway, "mock").await;
    let finished = async || {
        let call = call_with_token(1, 1, "progress", json!({}));
        let mut stream = peer.post_for_stream(&call).await;
        let first = stream.any_event().await.expect("a priming event");
        assert!(!stream.rest().await.is_empty());
        first.id
    };
    let oldest = finished().await;
    assert_eq!(
        peer.listen_after(oldest.as_deref())
            .await
            .expect("known")
            .rest()
            .await
            .len(),
        2,
        "a finished stream can be read again"
    );
    until("two further streams", async || {
        finished().await;
        peer.listen_after(oldest.as_deref()).await.err()
    })
    .await;
    for unknown in ["999-0", "0-1", "0-999", "nonsense", ""] {
        let status = peer.listen_after(Some(unknown)).await.expect_err(unknown);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{unknown}");
    }
    let other = Peer::open(&gateway, "mock").await;
    other
        .listen_after(Some("1-0"))
        .await
        .expect_err("streams are a session's own");
    gateway.stop().await;
}

#[tokio::test]
async fn beyond_the_most_streams_an_answer_is_json() {
    let gateway = Gateway::start(&format!("[sessions]\nstreams-max = 1\n{MOCK}"));
    let peer = Peer::open(&gateway, "mock").await;
    let endless = call_with_token("e", 1, "progress", json!({ "steps": 100_000, "ms": 20 }));
    let mut stream = peer.post_for_stream(&endless).await;
    stream.message().await;
    let (answer, _connection) = peer
        .post(&call_with_token("j", 2, "progress", json!({ "steps": 3 })))
        .await;
    assert!(!answer.is_stream());
    assert_eq!(answer.json().await["id"], "j");
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}
