//! Processes that are kept for a client's next call, and who gets them instead.

use serde_json::{Value, json};

use super::client::{Client, gateway, text};
use super::questions::round;
use crate::support::{self, EventStream, Gateway, text_of};

/// Room for one process besides that of the shared pool.
fn cramped() -> Gateway {
    gateway("legacy", "instances-max = 2\nlinger = \"1h\"")
}

fn sampled() -> Value {
    json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" })
}

/// Calls a tool that has its client sample; returns what came of it.
async fn sample(client: &mut support::Client) -> Value {
    let params = json!({ "name": "test_sampling", "arguments": { "prompt": "capital?" } });
    let call = json!({ "jsonrpc": "2.0", "id": "s", "method": "tools/call", "params": params });
    let mut second = client.fork().await;
    let answer = client.post(&call).await;
    if !answer.is_stream() {
        return answer.json().await;
    }
    let mut events = answer.events();
    let question = message(&mut events).await;
    assert_eq!(question["method"], "sampling/createMessage", "{question}");
    let response = json!({ "jsonrpc": "2.0", "id": question["id"], "result": sampled() });
    assert_eq!(second.post(&response).await.status(), 202);
    message(&mut events).await
}

/// Returns the next message; the first event of a stream has none.
async fn message(events: &mut EventStream) -> Value {
    loop {
        let event = events.next().await.expect("a message");
        if !event.data.is_empty() {
            return event.json();
        }
    }
}

#[tokio::test]
async fn a_process_that_only_stands_by_gives_way_to_who_needs_one() {
    let gateway = cramped();
    let modern = Client::of(&gateway, "mock", json!({ "sampling": {} }));
    let kept = text(&modern.call("pid", json!({})).await).to_owned();
    assert_eq!(text(&modern.call("pid", json!({})).await), kept, "it stands by");
    let mut legacy = support::Client::open_as(&gateway, "mock", json!({ "sampling": {} })).await;
    assert_eq!(text_of(&sample(&mut legacy).await), "LLM response: Paris");
    let its = legacy.call("pid", json!({})).await;
    assert_ne!(text_of(&its), kept);
    // A session is no bystander: now it is the modern client that shares.
    let shared = modern.call("pid", json!({})).await;
    assert!(text(&shared) != kept && text(&shared) != text_of(&its));
    legacy.close().await;
    let answer = round(
        &modern,
        "test_sampling",
        json!({ "prompt": "capital?" }),
        sampled(),
    )
    .await;
    assert_eq!(text(&answer["result"]), "LLM response: Paris");
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_keeps_its_process() {
    let gateway = cramped();
    let modern = Client::of(&gateway, "mock", json!({ "sampling": {} }));
    let arguments = json!({ "prompt": "capital?" });
    let asked = modern.call("test_sampling", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let mut legacy = support::Client::open_as(&gateway, "mock", json!({ "sampling": {} })).await;
    let answer = sample(&mut legacy).await;
    assert!(
        text_of(&answer).contains("did not declare"),
        "it shares: {answer}"
    );
    let keys = asked["inputRequests"].as_object().expect("requests").keys();
    let responses: serde_json::Map<_, _> = keys.map(|key| (key.clone(), sampled())).collect();
    let again = json!({
        "name": "test_sampling", "arguments": arguments, "inputResponses": responses, "requestState": asked["requestState"],
    });
    let (_, answer) = modern.ask("tools/call", again).await;
    assert_eq!(text(&answer["result"]), "LLM response: Paris", "{answer}");
    gateway.stop().await;
}

/// What a server says of itself, and what it offers, may depend on who its client is.
#[tokio::test]
async fn a_server_is_told_who_asks_whatever_that_is() {
    for (capabilities, logs) in [(json!({}), false), (json!({ "sampling": {} }), true)] {
        let gateway = gateway("legacy", "");
        let client = Client::of(&gateway, "mock", capabilities.clone());
        let (_, answer) = client.ask("server/discover", json!({})).await;
        let offered = &answer["result"]["capabilities"];
        assert_eq!(
            offered["logging"].is_object(),
            logs,
            "a process of its own has a log of its own: {answer}"
        );
        let (_, answer) = client.ask("tools/list", json!({})).await;
        assert!(answer["result"]["tools"].is_array(), "{answer}");
        let record = gateway.admin("servers/mock").await;
        let shared = &record["instances"][0];
        assert_eq!(
            (&shared["instance"], shared["generation"] == 0),
            (&json!(1), logs),
            "who has one of its own needs no other: {record}"
        );
        gateway.stop().await;
    }
}

/// Each gets the one process that there is room for, though the one before it has just been there.
#[tokio::test]
async fn clients_that_call_once_each_follow_each_other() {
    let gateway = cramped();
    for number in 0..20 {
        let capabilities = json!({ "sampling": {}, "experimental": { "number": { "is": number } } });
        let client = Client::of(&gateway, "mock", capabilities);
        let answer = round(
            &client,
            "test_sampling",
            json!({ "prompt": "capital?" }),
            sampled(),
        )
        .await;
        assert_eq!(text(&answer["result"]), "LLM response: Paris", "{number}");
        let record = gateway.admin("servers/mock").await;
        let instances = record["instances"].as_array().expect("instances");
        assert!(instances.len() <= 2, "{record}");
    }
    gateway.stop().await;
}
