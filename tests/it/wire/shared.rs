//! What a server says on its own where sessions share it: everyone hears what concerns everyone, once, subscribers
//! their updates, and nobody is asked anything.

use serde_json::{Value, json};

use super::peer::{LATEST, Listening, Peer, call, until};
use crate::support::Gateway;

const WATCHED: &str = "test://watched-resource";

async fn subscribe(peer: &Peer, method: &str) {
    let answer = peer.request(method, json!({ "uri": WATCHED })).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
}

async fn touch(peer: &Peer) {
    peer.text("touch", json!({ "uri": WATCHED, "force": true })).await;
}

async fn change(peer: &Peer, kind: &str) {
    peer.text("change", json!({ "kind": kind, "name": "added" }))
        .await;
}

#[track_caller]
fn expect(message: &Value, method: &str) {
    assert_eq!(message["method"], method, "{message}");
}

async fn next(listening: &mut Listening) -> Value {
    listening.message().await
}

#[tokio::test]
async fn a_changed_list_reaches_every_session_once() {
    let gateway = Gateway::with_mock(&[], "");
    let (one, two, old) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
        Peer::open_as(&gateway, "mock", "2025-03-26", json!({})).await.0,
    );
    let mut streams = [one.listen().await, two.listen().await];
    for kind in ["tools", "resources", "prompts"] {
        change(&one, kind).await;
    }
    for stream in &mut streams {
        for kind in ["tools", "resources", "prompts"] {
            expect(&next(stream).await, &format!("notifications/{kind}/list_changed"));
        }
    }
    change(&one, "tools").await;
    change(&one, "tools").await;
    let mut late = old.listen().await;
    for kind in ["tools", "resources", "prompts"] {
        expect(
            &next(&mut late).await,
            &format!("notifications/{kind}/list_changed"),
        );
    }
    subscribe(&old, "resources/subscribe").await;
    touch(&one).await;
    expect(&next(&mut late).await, "notifications/resources/updated"); // and not tools again: that waited already
    gateway.stop().await;
}

/// A server that registers its tools one by one says so for each of them.
#[tokio::test]
async fn a_list_that_changes_in_bursts_is_not_read_for_each_change() {
    const TIMES: u64 = 3000;
    let gateway = Gateway::with_mock(&["--delay", "20"], "");
    let peer = Peer::open(&gateway, "mock").await;
    let burst = json!({ "count": TIMES, "method": "notifications/tools/list_changed" });
    peer.text("notify", burst).await;
    change(&peer, "tools").await;
    until("the last change is known", async || {
        let tools = gateway.admin("servers/mock").await["capabilities"]["tools"].to_string();
        tools.contains("\"added\"").then_some(())
    })
    .await;
    let asked = peer.state().await["asked"]["tools/list"].as_u64();
    assert!(asked.is_some_and(|asked| asked < TIMES / 20), "{asked:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn updates_reach_subscribers_only_and_one_end_is_not_anothers() {
    let gateway = Gateway::with_mock(&[], "");
    let (one, two) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let (mut to_one, mut to_two) = (one.listen().await, two.listen().await);
    subscribe(&one, "resources/subscribe").await;
    touch(&two).await;
    change(&two, "tools").await;
    expect(&next(&mut to_one).await, "notifications/resources/updated");
    expect(&next(&mut to_one).await, "notifications/tools/list_changed");
    expect(&next(&mut to_two).await, "notifications/tools/list_changed"); // no update before it
    subscribe(&two, "resources/subscribe").await;
    subscribe(&one, "resources/unsubscribe").await;
    assert_eq!(
        one.state().await["subscriptions"],
        json!([WATCHED]),
        "two still listens"
    );
    touch(&one).await;
    change(&one, "prompts").await;
    expect(&next(&mut to_two).await, "notifications/resources/updated");
    expect(&next(&mut to_one).await, "notifications/prompts/list_changed");
    assert_eq!(two.delete().await, 204);
    one.state_until("the last subscriber's end is told", |state| {
        state["subscriptions"] == json!([])
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_refused_subscription_is_none() {
    let gateway = Gateway::with_mock(&[], "");
    let (peer, mut listening) = {
        let peer = Peer::open(&gateway, "mock").await;
        let listening = peer.listen().await;
        (peer, listening)
    };
    let uri = "test://nobody";
    let answer = peer.request("resources/subscribe", json!({ "uri": uri })).await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    peer.text("touch", json!({ "uri": uri, "force": true })).await;
    change(&peer, "tools").await;
    expect(&next(&mut listening).await, "notifications/tools/list_changed");
    gateway.stop().await;
}

#[tokio::test]
async fn logging_is_neither_announced_nor_available() {
    let gateway = Gateway::with_mock(&[], "");
    let everything = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (peer, result) = Peer::open_as(&gateway, "mock", LATEST, everything).await;
    assert_eq!(result["capabilities"]["logging"], Value::Null, "{result}");
    assert!(result["capabilities"]["tools"].is_object() && result["serverInfo"].is_object());
    let answer = peer
        .request("logging/setLevel", json!({ "level": "debug" }))
        .await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let mut listening = peer.listen().await;
    peer.text("log", json!({ "text": "to nobody", "level": "error" }))
        .await;
    change(&peer, "tools").await;
    expect(&next(&mut listening).await, "notifications/tools/list_changed");
    let state = peer.state().await;
    assert_eq!(
        state["clientCapabilities"],
        json!({}),
        "a shared server has nobody to ask"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_asks_all_the_same_is_refused() {
    let gateway = Gateway::with_mock(&[], "");
    let everything = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (peer, _) = Peer::open_as(&gateway, "mock", LATEST, everything).await;
    let mut listening = peer.listen().await;
    let answer = peer
        .ask(&call(
            1,
            "ask",
            json!({ "method": "custom/question", "params": {} }),
        ))
        .await;
    let text = crate::support::text_of(&answer);
    assert!(
        text.contains("custom/question failed") && text.contains("-32601"),
        "{text}"
    );
    change(&peer, "tools").await;
    expect(&next(&mut listening).await, "notifications/tools/list_changed");
    gateway.stop().await;
}

#[tokio::test]
async fn subscribers_hear_of_updates_although_their_server_was_changed_meanwhile() {
    let gateway = Gateway::with_mock(&[], "");
    let silent = Peer::open(&gateway, "mock").await;
    let mut listening = silent.listen().await;
    subscribe(&silent, "resources/subscribe").await;
    let before = gateway.admin("servers/mock").await["pid"].clone();
    assert_eq!(
        gateway.patch("servers/mock", &json!({ "linger": "29s" })).await,
        200
    );
    // Nobody asks anything: the new process is there for the subscriber alone.
    until("the new process", async || {
        let record = gateway.admin("servers/mock").await;
        (record["phase"] == "ready" && record["pid"] != before).then_some(())
    })
    .await;
    let other = Peer::open(&gateway, "mock").await;
    assert_eq!(other.state().await["subscriptions"], json!([WATCHED]));
    touch(&other).await;
    // Lists that were still being read when the first process ended are news.
    let mut heard = next(&mut listening).await;
    while heard["method"]
        .as_str()
        .is_some_and(|method| method.ends_with("/list_changed"))
    {
        heard = next(&mut listening).await;
    }
    expect(&heard, "notifications/resources/updated");
    gateway.stop().await;
}
