//! Everything that a client may do with a server, through each transport.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::pair::{end_sessions, mock_at, near_the_mock, record, record_until, to};
use super::sockets::Sockets;
use crate::support::{Gateway, text_of};
use crate::wire::peer::{LATEST, Listening, Peer, call, call_with_token, until};

const WATCHED: &str = "test://watched-resource";

async fn through_each_transport(sharing: &str, check: impl AsyncFn(&Gateway)) {
    let near = near_the_mock(sharing);
    for kind in ["http", "sse"] {
        let more = format!("type = \"{kind}\"\nsharing = \"{sharing}\"");
        let gateway = to(&mock_at(near.address()), &more);
        check(&gateway).await;
        gateway.stop().await;
        end_sessions(&near).await;
    }
    let sockets = Sockets::start().await;
    let gateway = to(&sockets.url(), &format!("sharing = \"{sharing}\""));
    check(&gateway).await;
    gateway.stop().await;
    near.stop().await;
}

async fn last(stream: &mut Listening) -> Value {
    stream.rest().await.pop().expect("a stream ends with the answer")
}

#[tokio::test]
async fn calls_progress_and_lists() {
    through_each_transport("shared", async |gateway| {
        let peer = Peer::open(gateway, "far").await;
        assert_eq!(peer.text("echo", json!({ "a": 1 })).await, "{\"a\":1}");
        let tools = peer.request("tools/list", json!({})).await;
        assert!(
            tools["result"]["tools"]
                .as_array()
                .is_some_and(|tools| !tools.is_empty()),
            "{tools}"
        );
        let stepping = call_with_token("p", "token", "progress", json!({ "steps": 3, "ms": 1 }));
        let messages = peer.post_for_stream(&stepping).await.rest().await;
        let tokens: Vec<&Value> = messages
            .iter()
            .map(|message| &message["params"]["progressToken"])
            .collect();
        assert_eq!(
            tokens,
            [&json!("token"), &json!("token"), &json!("token"), &json!(null)],
            "{messages:?}"
        );
        let big = peer.text("big", json!({ "bytes": 3_000_000 })).await;
        assert_eq!(big.len(), 3_000_000);
        let error = peer.request("tools/call", json!({ "name": "none" })).await;
        assert!(error["error"]["code"].is_i64(), "{error}");
        assert_eq!(record(gateway).await["pid"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn questions_reach_the_client_and_its_answers_get_back() {
    through_each_transport("session", async |gateway| {
        let everything = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
        let (peer, _) = Peer::open_as(gateway, "far", LATEST, everything).await;
        for (method, answer, expected) in [
            (
                "sampling/createMessage",
                json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "hi" } }),
                "LLM response: hi",
            ),
            (
                "elicitation/create",
                json!({ "action": "accept", "content": { "answer": "42" } }),
                "action=accept, content={\"answer\":\"42\"}",
            ),
            ("roots/list", json!({ "roots": [] }), "{\"roots\":[]}"),
        ] {
            let mut stream = peer
                .post_for_stream(&call("q", "ask", json!({ "method": method })))
                .await;
            let question = stream.message().await;
            assert_eq!(question["method"], method, "{question}");
            peer.answer(&question["id"], answer).await;
            assert_eq!(text_of(&last(&mut stream).await), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn logs_subscriptions_and_cancellations() {
    through_each_transport("session", async |gateway| {
        let peer = Peer::open(gateway, "far").await;
        let mut listening = peer.listen().await;
        peer.request("logging/setLevel", json!({ "level": "warning" }))
            .await;
        peer.request("resources/subscribe", json!({ "uri": WATCHED }))
            .await;
        let state = peer.state().await;
        assert_eq!(
            (&state["logLevel"], &state["subscriptions"]),
            (&json!("warning"), &json!([WATCHED]))
        );
        assert!(
            !peer
                .post(&call(1, "log", json!({ "text": "t", "level": "info" })))
                .await
                .0
                .is_stream()
        );
        let (answer, _connection) = peer.post(&call(1, "touch", json!({ "uri": WATCHED }))).await;
        let update = if answer.is_stream() {
            answer.events().next().await.expect("an event").json()
        } else {
            listening.message().await
        };
        assert_eq!(
            (&update["method"], &update["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!(WATCHED))
        );
        let hanging = async {
            let message = call("h", "hang", json!({}));
            peer.post(&message).await.0.bytes().await
        };
        let cancelling = async {
            peer.state_until("it hangs", |state| state["running"] == 1).await;
            peer.notify("notifications/cancelled", json!({ "requestId": "h" }))
                .await;
            peer.state_until("it is cancelled", |state| {
                state["running"] == 0 && state["cancelled"] == 1
            })
            .await;
        };
        tokio::join!(hanging, cancelling);
    })
    .await;
}

#[tokio::test]
async fn the_same_id_from_many_clients_is_answered_to_each() {
    through_each_transport("shared", async |gateway| {
        let peers = join_all((0..40).map(|_| Peer::open(gateway, "far"))).await;
        let rounds = peers.iter().enumerate().map(async |(number, peer)| {
            for round in 0..5 {
                let text = peer.text("echo", json!({ "from": number, "round": round })).await;
                assert_eq!(text, format!("{{\"from\":{number},\"round\":{round}}}"));
            }
        });
        join_all(rounds).await;
        assert_eq!(record(gateway).await["instances"][0]["unknownAnswers"], 0);
    })
    .await;
}

#[tokio::test]
async fn an_idle_server_is_left_and_comes_back_on_demand() {
    let near = near_the_mock("shared");
    let gateway = to(
        &mock_at(near.address()),
        "idle-timeout = \"1s\"\nsharing = \"shared\"",
    );
    let peer = Peer::open(&gateway, "far").await;
    peer.text("echo", json!({})).await;
    assert_eq!(
        near.admin("sessions").await["sessions"].as_array().map(Vec::len),
        Some(1)
    );
    let record = record_until(&gateway, "it is idle", |record| record["phase"] == "stopped").await;
    assert_eq!(record["lastExit"], "connection closed");
    until("its session is ended", async || {
        let list = near.admin("sessions").await;
        (list["sessions"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(peer.text("echo", json!({ "a": 1 })).await, "{\"a\":1}");
    gateway.stop().await;
    near.stop().await;
}
