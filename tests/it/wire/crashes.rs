//! A process that ends under its sessions: who waits is told at once, who comes later finds another one.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::peer::{LATEST, Peer, call, call_with_token};
use crate::support::{Gateway, text_of};

const WATCHED: &str = "test://watched-resource";

fn gateway(sharing: &str) -> Gateway {
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"{sharing}\"\nbackoff-initial = \"10ms\"\n"
    ))
}

#[track_caller]
fn told_why(message: &Value) {
    let error = &message["error"];
    assert_eq!(
        (&error["code"], &error["data"]["reason"]),
        (&json!(-32003), &json!("ended")),
        "{message}"
    );
    let text = error["message"].as_str().expect("a message");
    assert!(
        text.contains("exit") && text.contains('7'),
        "how it ended: {text}"
    );
}

async fn crash_under(gateway: Gateway, is_shared: bool) {
    let (peer, other) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let before = peer.state().await;
    let subscribed = peer
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(subscribed["result"], json!({}));
    if !is_shared {
        let set = peer
            .request("logging/setLevel", json!({ "level": "warning" }))
            .await;
        assert_eq!(set["result"], json!({}));
    }
    let mut listening = peer.listen().await;
    let endless = call_with_token("e", 1, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut stream = peer.post_for_stream(&endless).await;
    stream.message().await;
    let waiting = (0..5).map(|number| {
        let peer = &peer;
        async move { peer.ask(&call(number, "hang", json!({}))).await }
    });
    let crashing = async {
        peer.state_until("all are in flight", |state| state["running"] == 6)
            .await;
        peer.ask(&call("crash", "crash", json!({ "code": 7 }))).await
    };
    let (answers, crash) = tokio::join!(join_all(waiting), crashing);
    for (number, answer) in answers.iter().enumerate() {
        told_why(answer);
        assert_eq!(answer["id"], number);
    }
    told_why(&crash);
    told_why(&stream.rest().await.pop().expect("an answer"));
    let after = peer
        .state_until("the session goes on, as it was", |state| {
            state["subscriptions"] == json!([WATCHED])
        })
        .await;
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["logLevel"], if is_shared { "info" } else { "warning" });
    assert!(text_of(&other.ask(&call(1, "echo", json!({ "a": 1 }))).await).contains("\"a\":1"));
    peer.text("touch", json!({ "uri": WATCHED })).await;
    assert_eq!(
        listening.message().await["params"]["uri"],
        WATCHED,
        "its stream goes on, too"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_shared_process_crashes_under_its_sessions() {
    crash_under(gateway("shared"), true).await;
}

#[tokio::test]
async fn a_sessions_own_process_crashes_under_it() {
    crash_under(gateway("session"), false).await;
}

#[tokio::test]
async fn an_idle_process_stops_under_an_open_stream_and_comes_back() {
    for sharing in ["shared", "session"] {
        let gateway = Gateway::start(&format!(
            "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"{sharing}\"\nidle-timeout = \"200ms\"\n"
        ));
        let (peer, _) = Peer::open_as(&gateway, "mock", LATEST, json!({ "roots": {} })).await;
        let mut listening = peer.listen().await;
        if sharing == "session" {
            peer.request("logging/setLevel", json!({ "level": "error" }))
                .await;
        }
        let before = peer.text("pid", json!({})).await;
        let pid: u32 = before.parse().expect("a number");
        let is_gone = || crate::support::Process::find(pid).is_none();
        crate::support::eventually("the idle process stops", is_gone, |gone| *gone).await;
        let state = peer.state().await;
        assert_ne!(state["pid"].to_string(), before, "another one came on demand");
        assert_eq!(
            state["logLevel"],
            if sharing == "session" { "error" } else { "info" }
        );
        peer.text("change", json!({ "kind": "tools", "name": "x" })).await;
        assert_eq!(
            listening.message().await["method"],
            "notifications/tools/list_changed",
            "the stream stayed"
        );
        gateway.stop().await;
    }
}
