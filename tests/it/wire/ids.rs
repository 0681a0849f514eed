//! Ids, progress tokens and cancellations: each belongs to one exchange and comes back as it was.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::peer::{LATEST, Peer, call, call_with_token, request};
use crate::support::{Gateway, text_of};

fn endless(id: impl Into<Value>, token: impl Into<Value>) -> Value {
    call_with_token(id, token, "progress", json!({ "steps": 1_000_000, "ms": 20 }))
}

async fn cancel(peer: &Peer, id: impl Into<Value>) {
    let params = json!({ "requestId": id.into(), "reason": "enough" });
    peer.notify("notifications/cancelled", params).await;
}

#[tokio::test]
async fn ids_come_back_with_their_type() {
    let gateway = Gateway::with_mock(&["--delay", "5", "--delay-jitter", "20"], "");
    let peer = Peer::open(&gateway, "mock").await;
    let ids = [
        ("1", "1"),
        ("\"1\"", "\"1\""),
        ("1.0", "1"),
        ("-7", "-7"),
        ("0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("\"\"", "\"\""),
        ("\"caf\\u00e9 \\\"x\\\"\"", "\"café \\\"x\\\"\""),
    ];
    let work = ids.into_iter().enumerate().map(async |(number, (id, expected))| {
        let text = format!("call {number}");
        let mut message = call(0, "echo", json!({ "text": text })).to_string();
        message = message.replacen("\"id\":0", &format!("\"id\":{id}"), 1);
        let headers = [
            ("accept", super::peer::BOTH),
            ("content-type", "application/json"),
        ];
        let (answer, _connection) = peer.send(http::Method::POST, &headers, message.into()).await;
        let body = String::from_utf8(answer.bytes().await.to_vec()).expect("JSON");
        assert!(body.contains(&format!("\"id\":{expected},")), "{id}: {body}");
        assert!(body.contains(&text), "{id} got another's answer: {body}");
    });
    join_all(work).await;
    gateway.stop().await;
}

#[tokio::test]
async fn one_token_in_two_sessions_stays_with_each() {
    let gateway = Gateway::with_mock(&[], "");
    let sessions = join_all((0..2).map(|_| Peer::open(&gateway, "mock"))).await;
    let work = sessions.iter().zip([30, 40]).map(async |(peer, steps)| {
        for token in [json!("t"), json!(1), json!("1")] {
            let message = call_with_token(1, token.clone(), "progress", json!({ "steps": steps, "ms": 2 }));
            let messages = peer.post_for_stream(&message).await.rest().await;
            assert_eq!(messages.len(), steps + 1, "its own progress and its own answer");
            for progress in &messages[..steps] {
                assert_eq!(progress["params"]["progressToken"], token, "{progress}");
                assert_eq!(progress["params"]["total"], steps, "{progress}");
            }
        }
    });
    join_all(work).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_cancellation_reaches_the_server_and_ends_the_stream() {
    let gateway = Gateway::with_mock(&[], "");
    let (peer, witness) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let mut stream = peer.post_for_stream(&endless("long", 1)).await;
    stream.message().await;
    cancel(&witness, "long").await;
    stream.message().await;
    cancel(&peer, "other").await;
    stream.message().await;
    assert_eq!(peer.state().await["cancelled"], 0, "neither was its session's");
    cancel(&peer, "long").await;
    for message in stream.rest().await {
        assert_eq!(
            message["method"], "notifications/progress",
            "no answer: {message}"
        );
    }
    peer.state_until("the server is told", |state| {
        state["cancelled"] == 1 && state["running"] == 0
    })
    .await;
    cancel(&peer, "long").await;
    assert_eq!(peer.state().await["cancelled"], 1, "it was over");
    gateway.stop().await;
}

#[tokio::test]
async fn a_cancellation_of_an_id_that_two_requests_carry_is_refused() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let mut one = peer.post_for_stream(&endless(1, "a")).await;
    let mut two = peer.post_for_stream(&endless(1, "b")).await;
    one.message().await;
    two.message().await;
    cancel(&peer, 1).await;
    assert_eq!(peer.state().await["cancelled"], 0, "it cannot be known which");
    one.message().await;
    two.message().await;
    let mut text = peer.post_for_stream(&endless("1", "c")).await;
    text.message().await;
    cancel(&peer, "1").await;
    text.rest().await;
    peer.state_until("the string was the only one", |state| state["cancelled"] == 1)
        .await;
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_server_can_be_taken_back() {
    let gateway = Gateway::start(
        "[http]\nsse-after = \"1ms\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--slow-start\", \"1000\"]\n\
         sharing = \"shared\"\nbackoff-initial = \"10ms\"\n",
    );
    let peer = Peer::open(&gateway, "mock").await;
    let crash = peer.ask(&call(1, "crash", json!({}))).await;
    assert!(crash["error"].is_object(), "{crash}");
    let mut waiting = peer
        .post_for_stream(&call("w", "touch", json!({ "uri": "test://x" })))
        .await;
    cancel(&peer, "w").await;
    assert!(waiting.rest().await.is_empty(), "no answer");
    let state = peer.state().await;
    assert_eq!(
        (&state["requests"], &state["cancelled"]),
        (&state["requests"], &json!(0)),
        "it was never sent"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_taken_back_is_answered_where_only_json_is_taken() {
    let gateway = Gateway::with_mock(&[], "");
    let (peer, witness) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let headers = [("x-session-id", peer.id()), ("content-type", "application/json")];
    let mut connection = crate::support::Connection::open(gateway.address()).await;
    let body = call("j", "hang", json!({})).to_string();
    let waiting = connection.send(http::Method::POST, "/mcp/mock", &headers, body.into());
    let cancelling = async {
        witness
            .state_until("it is under way", |state| state["running"] == 1)
            .await;
        cancel(&peer, "j").await;
    };
    let (answer, ()) = tokio::join!(waiting, cancelling);
    assert_eq!(answer.json().await["error"]["code"], -32005);
    gateway.stop().await;
}

#[tokio::test]
async fn repeated_and_unknown_answers_reach_nobody() {
    let gateway = Gateway::with_mock(&["--duplicate-answers", "--unknown-ids", "--garbage"], "");
    let (peer, _) = Peer::open_as(&gateway, "mock", LATEST, json!({})).await;
    let mut listening = peer.listen().await;
    for number in 0..50 {
        let text = format!("{number}.");
        let answer = peer.ask(&call(1, "echo", json!({ "text": text }))).await;
        assert!(text_of(&answer).contains(&text), "{answer}");
    }
    let unsupported = peer.ask(&request(1, "no/such/method", json!({}))).await;
    assert_eq!(unsupported["error"]["code"], -32601);
    peer.text("change", json!({ "kind": "prompts" })).await;
    let message = listening.message().await;
    assert_eq!(
        message["method"], "notifications/prompts/list_changed",
        "nothing before it: {message}"
    );
    let record = gateway.admin("servers/mock").await;
    let count = |name: &str| record["instances"][0][name].as_u64().unwrap_or_default();
    assert!(
        count("unknownAnswers") >= 100 && count("garbageLines") >= 50,
        "they are counted: {record}"
    );
    gateway.stop().await;
}
