//! A server that forgot the session, and one that was gone for a while.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::pair::{end_sessions, log, mock_at, near_the_mock, record, record_until, to};
use super::relay::Relay;
use super::scripted::{Scripted, polite, result, status};
use crate::support::Gateway;
use crate::wire::listener::Modern;
use crate::wire::peer::{Peer, call};

const WATCHED: &str = "test://watched-resource";

#[tokio::test]
async fn a_session_that_is_unknown_is_opened_again_and_nobody_notices() {
    let near = near_the_mock("session");
    let gateway = to(&mock_at(near.address()), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    peer.request("logging/setLevel", json!({ "level": "error" }))
        .await;
    peer.request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    let before = peer.text("pid", json!({})).await;
    assert_eq!(end_sessions(&near).await, 1);
    let texts = join_all((0..10).map(|number| peer.text("echo", json!({ "n": number }))));
    for (number, text) in texts.await.iter().enumerate() {
        assert_eq!(*text, format!("{{\"n\":{number}}}"));
    }
    let after = peer.state().await;
    assert_eq!(
        (&after["logLevel"], &after["subscriptions"]),
        (&json!("error"), &json!([WATCHED]))
    );
    assert_ne!(peer.text("pid", json!({})).await, before, "it is another process");
    assert_eq!(end_sessions(&near).await, 1, "they shared one new session");
    let record = record(&gateway).await;
    assert_eq!(
        (&record["generation"], &record["restarts"]),
        (&json!(1), &json!(0)),
        "{record}"
    );
    assert!(log(&gateway).await.contains("another one is opened"));
    gateway.stop().await;
    near.stop().await;
}

#[tokio::test]
async fn what_the_server_says_on_its_own_still_comes_after_the_session_was_opened_again() {
    let near = near_the_mock("shared");
    let gateway = to(&mock_at(near.address()), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    let mut listening = peer.listen().await;
    assert_eq!(end_sessions(&near).await, 1);
    // The stream ended with the session; whoever opens it again finds out, and tells that everything may have changed.
    let changed = listening.message().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed", "{changed}");
    let other = Peer::open(&near, "mock").await;
    while listening.message().await["method"] != "notifications/prompts/list_changed" {}
    other.ask(&call(1, "change", json!({ "kind": "prompts" }))).await;
    let told = listening.message().await;
    assert_eq!(told["method"], "notifications/prompts/list_changed", "{told}");
    gateway.stop().await;
    near.stop().await;
}

#[tokio::test]
async fn a_second_unknown_session_is_an_error_and_not_a_loop() {
    let server = Scripted::start(|seen, _| polite(seen).unwrap_or_else(|| status(404))).await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    let answer = peer.ask(&call(1, "echo", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32003);
    let message = answer["error"]["message"].as_str().expect("text");
    assert!(
        message.contains("its session ended, and so did the next one"),
        "{message}"
    );
    assert_eq!(server.count("tools/call"), 2);
    assert_eq!(record(&gateway).await["phase"], "ready");
    gateway.stop().await;
}

#[tokio::test]
async fn a_400_that_speaks_of_the_session_means_the_same() {
    let server = Scripted::start(|seen, before| {
        polite(seen).unwrap_or_else(|| {
            if before > 0 {
                return result(seen, json!({ "content": [{ "type": "text", "text": "here" }] }));
            }
            let error = json!({ "code": -32000, "message": "Bad Request: No valid session ID provided" });
            let text = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
            vec![
                super::scripted::head(400, "application/json", ""),
                super::scripted::Step::Send(text),
            ]
        })
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(peer.text("echo", json!({})).await, "here");
    let seen = server.seen();
    let opened: Vec<_> = seen
        .iter()
        .filter(|seen| seen.message["method"] == "initialize")
        .collect();
    assert_eq!(
        opened[1].message["params"], opened[0].message["params"],
        "the same as before"
    );
    assert!(!opened[1].headers.contains_key("mcp-session-id"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_waited_for_and_sessions_of_clients_go_on() {
    let near = near_the_mock("shared");
    let relay = Relay::to(near.address()).await;
    let more = "sharing = \"shared\"\nrestart-attempts-max = 1000";
    let gateway = to(&mock_at(relay.address()), more);
    let peer = Peer::open(&gateway, "far").await;
    peer.text("echo", json!({})).await;
    let address = relay.close().await;
    let gone = record_until(&gateway, "it is gone", |record| {
        record["connectionState"] == "error"
    })
    .await;
    let error = gone["lastError"].as_str().expect("a reason");
    assert!(error.contains("cannot be reached: connection refused"), "{error}");
    // Another one comes to the same place, which knows nothing of the session.
    let other = near_the_mock("shared");
    near.stop().await;
    let relay = Relay::at(address, other.address()).await;
    record_until(&gateway, "it is back", |record| record["phase"] == "ready").await;
    assert_eq!(peer.text("echo", json!({ "a": 1 })).await, "{\"a\":1}");
    gateway.stop().await;
    relay.close().await;
    other.stop().await;
}

#[tokio::test]
async fn a_classic_stream_that_breaks_is_opened_again_with_its_settings() {
    let near = near_the_mock("session");
    let relay = Relay::to(near.address()).await;
    let more = "type = \"sse\"\nsharing = \"session\"\nrestart-attempts-max = 1000";
    let gateway = to(&mock_at(relay.address()), more);
    let peer = Peer::open(&gateway, "far").await;
    peer.request("logging/setLevel", json!({ "level": "error" }))
        .await;
    let address = relay.close().await;
    record_until(&gateway, "it is gone", |record| record["phase"] != "ready").await;
    let relay = Relay::at(address, near.address()).await;
    record_until(&gateway, "it is back", |record| record["phase"] == "ready").await;
    assert_eq!(peer.state().await["logLevel"], "error");
    gateway.stop().await;
    relay.close().await;
    near.stop().await;
}

#[tokio::test]
async fn a_server_that_nobody_was_at_when_it_was_asked_may_speak_either_era() {
    let near = near_the_mock("shared");
    let relay = Relay::to(near.address()).await;
    let address = relay.close().await;
    let far = Gateway::start(&format!(
        "[servers.far]\nurl = \"{}\"\nsharing = \"shared\"\nbackoff-initial = \"1s\"\n",
        mock_at(address)
    ));
    let calling = async { Modern::at(&far, "far").text("echo", json!({ "a": 1 })).await };
    let coming = async {
        record_until(&far, "it cannot be reached", |record| {
            record["connectionState"] == "error"
        })
        .await;
        Relay::at(address, near.address()).await
    };
    let (answer, relay) = join(calling, coming).await;
    assert_eq!(answer, "{\"a\":1}");
    let list = near.admin("sessions").await;
    let sessions = list["sessions"].as_array().expect("a list");
    let is_stateless = |session: &Value| session["transport"] == "stateless";
    assert!(
        sessions.iter().all(is_stateless),
        "there was no handshake: {list}"
    );
    far.stop().await;
    relay.close().await;
    near.stop().await;
}
