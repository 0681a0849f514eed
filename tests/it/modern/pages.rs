//! A server with a handshake that answers no call until its user has visited a page (2025-11-25, -32042).

use serde_json::{Value, json};

use super::client::{Client, gateway, text};

fn able() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} } })
}

/// Calls again with these actions, in the order in which the pages were named.
async fn again(client: &Client<'_>, arguments: &Value, asked: &Value, actions: &[&str]) -> (u16, Value) {
    let keys = asked["inputRequests"].as_object().expect("pages").keys();
    let responses = keys
        .zip(actions)
        .map(|(key, action)| (key.clone(), json!({ "action": action })));
    let responses: serde_json::Map<_, _> = responses.collect();
    let params = json!({
        "name": "visit", "arguments": arguments, "inputResponses": responses, "requestState": asked["requestState"],
    });
    client.ask("tools/call", params).await
}

#[tokio::test]
async fn pages_are_asked_for_and_the_call_is_made_again() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", able());
    let arguments = json!({ "pages": 2 });
    let asked = client.call("visit", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let pages: Vec<&Value> = asked["inputRequests"]
        .as_object()
        .expect("pages")
        .values()
        .collect();
    assert_eq!(pages.len(), 2, "{asked}");
    for (page, url) in pages
        .iter()
        .zip(["https://example.com/1", "https://example.com/2"])
    {
        assert_eq!(page["method"], "elicitation/create", "{page}");
        assert_eq!(
            (&page["params"]["mode"], &page["params"]["url"]),
            (&json!("url"), &json!(url))
        );
    }
    let (_, rest) = again(&client, &arguments, &asked, &["accept"]).await;
    let rest = &rest["result"];
    assert_eq!(
        rest["inputRequests"].as_object().map(serde_json::Map::len),
        Some(1),
        "{rest}"
    );
    let (status, visited) = again(&client, &arguments, rest, &["accept"]).await;
    // The process that named the pages: it knows that they were visited.
    assert_eq!((status, text(&visited["result"])), (200, "visited"), "{visited}");
    let (_, spent) = again(&client, &arguments, rest, &["accept"]).await;
    assert_eq!(spent["error"]["code"], -32602, "{spent}");
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_agree_gets_no_answer_but_the_reason() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", able());
    let asked = client.call("visit", json!({})).await;
    let (_, declined) = again(&client, &json!({}), &asked, &["decline"]).await;
    let error = &declined["error"];
    assert_eq!(error["code"], -32603, "{declined}");
    assert!(
        error["message"].as_str().expect("a text").contains("page 1"),
        "{error}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn who_cannot_visit_pages_is_told_so() {
    for sharing in ["auto", "shared"] {
        let gateway = gateway("legacy", &format!("sharing = \"{sharing}\""));
        let client = Client::of(&gateway, "mock", json!({ "elicitation": {} }));
        let params = json!({ "name": "visit", "arguments": {} });
        let (status, refused) = client.ask("tools/call", params).await;
        let error = &refused["error"];
        assert_eq!((status, &error["code"]), (400, &json!(-32021)), "{refused}");
        assert_eq!(
            error["data"]["requiredCapabilities"],
            json!({ "elicitation": { "url": {} } })
        );
        gateway.stop().await;
    }
}
