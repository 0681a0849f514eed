//! Clients with a handshake whose version is older than what their server speaks.

use serde_json::{Value, json};

use super::listener::ERAS;
use super::peer::{Listening, Peer, call, until};
use crate::support::{Gateway, text_of};

fn gateway(era: &str) -> Gateway {
    Gateway::with_mock(&["--era", era], &format!("protocol-era = {era:?}"))
}

fn kinds(answer: &Value) -> Vec<&str> {
    let blocks = answer["result"]["content"].as_array().expect("content").iter();
    blocks
        .map(|block| block["type"].as_str().expect("a type"))
        .collect()
}

#[tokio::test]
async fn content_of_later_versions_is_said_in_their_own_words() {
    let content = json!({ "content": [
        { "type": "audio", "data": "QUJD", "mimeType": "audio/wav" },
        { "type": "resource_link", "uri": "test://a", "name": "a" },
    ] });
    for era in ERAS {
        let gateway = gateway(era);
        for (version, expect) in [
            ("2024-11-05", ["resource", "text"]),
            ("2025-03-26", ["audio", "text"]),
            ("2025-06-18", ["audio", "resource_link"]),
            ("2025-11-25", ["audio", "resource_link"]),
        ] {
            let (peer, _) = Peer::open_as(&gateway, "mock", version, json!({})).await;
            let answer = peer.ask(&call(1, "answer", content.clone())).await;
            assert_eq!(kinds(&answer), expect, "{era} {version}: {answer}");
            assert!(answer["result"].get("resultType").is_none(), "{answer}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_structured_result_is_an_object_in_older_versions() {
    let gateway = gateway("modern");
    let peer = Peer::open(&gateway, "mock").await;
    let list = json!({ "content": [], "structuredContent": [1, 2] });
    let answer = peer.ask(&call(1, "answer", list)).await;
    assert_eq!(text_of(&answer), "[1,2]", "{answer}");
    assert!(answer["result"].get("structuredContent").is_none(), "{answer}");
    let object = json!({ "content": [], "structuredContent": { "a": 1 } });
    let answer = peer.ask(&call(1, "answer", object.clone())).await;
    assert_eq!(answer["result"], object);
    gateway.stop().await;
}

/// Has the server ask its client for something; returns the stream of the call and the question, or the answer.
async fn ask(peer: &Peer, method: &str, params: Value) -> (Listening, Value) {
    let call = call(1, "ask", json!({ "method": method, "params": params }));
    let mut stream = peer.post_for_stream(&call).await;
    let first = stream.message().await;
    (stream, first)
}

#[tokio::test]
async fn all_that_a_modern_server_asks_reaches_a_client_with_a_handshake() {
    let gateway = gateway("modern");
    let able = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (peer, _) = Peer::open_as(&gateway, "mock", "2025-11-25", able).await;
    let said = json!({ "role": "user", "content": { "type": "text", "text": "capital?" } });
    let paris = json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" });
    let form = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
    for (method, params, response) in [
        (
            "roots/list",
            json!({}),
            json!({ "roots": [{ "uri": "file:///a" }] }),
        ),
        (
            "sampling/createMessage",
            json!({ "messages": [said], "maxTokens": 1 }),
            paris,
        ),
        ("elicitation/create", form, json!({ "action": "decline" })),
    ] {
        let (mut stream, question) = ask(&peer, method, params).await;
        assert_eq!(question["method"], method, "{question}");
        peer.answer(&question["id"], response.clone()).await;
        assert_eq!(text_of(&stream.message().await), response.to_string(), "{method}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_modern_server_asks_in_the_words_of_the_clients_version() {
    let gateway = gateway("modern");
    let choice = json!({
        "type": "string", "oneOf": [{ "const": "a", "title": "A" }, { "const": "b", "title": "B" }],
    });
    let form = json!({
        "message": "which?", "requestedSchema": { "type": "object", "properties": { "choice": choice } },
    });
    let able = json!({ "elicitation": {} });
    let (older, _) = Peer::open_as(&gateway, "mock", "2025-06-18", able.clone()).await;
    let (mut stream, question) = ask(&older, "elicitation/create", form.clone()).await;
    assert_eq!(
        question["params"]["requestedSchema"]["properties"]["choice"],
        json!({ "type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"] })
    );
    let accepted = json!({ "action": "accept", "content": { "choice": "a" } });
    older.answer(&question["id"], accepted.clone()).await;
    assert_eq!(text_of(&stream.message().await), accepted.to_string());
    let (newer, _) = Peer::open_as(&gateway, "mock", "2025-11-25", able).await;
    let (_stream, question) = ask(&newer, "elicitation/create", form.clone()).await;
    assert_eq!(question["params"], form);
    gateway.stop().await;
}

#[tokio::test]
async fn a_modern_server_has_pages_visited() {
    let gateway = gateway("modern");
    let page = json!({ "mode": "url", "message": "m", "url": "https://example.com" });
    let able = json!({ "elicitation": { "form": {}, "url": {} } });
    let (peer, _) = Peer::open_as(&gateway, "mock", "2025-11-25", able).await;
    let (mut stream, question) = ask(&peer, "elicitation/create", page.clone()).await;
    assert_eq!(question["params"]["url"], page["url"], "{question}");
    assert!(
        question["params"]["elicitationId"].is_string(),
        "that version needs one: {question}"
    );
    peer.answer(&question["id"], json!({ "action": "accept" })).await;
    assert_eq!(text_of(&stream.message().await), r#"{"action":"accept"}"#);
    // Who has not declared it is not asked.
    let (other, _) = Peer::open_as(&gateway, "mock", "2025-11-25", json!({ "elicitation": {} })).await;
    let answer = other
        .ask(&call(
            1,
            "ask",
            json!({ "method": "elicitation/create", "params": page }),
        ))
        .await;
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("not declared")),
        "{answer}"
    );
    gateway.stop().await;
}

/// A call that has been answered with a question is nowhere: it can be taken back all the same, and nobody is kept.
#[tokio::test]
async fn a_call_is_taken_back_while_its_client_is_asked() {
    let gateway = gateway("modern");
    let (peer, _) = Peer::open_as(&gateway, "mock", "2025-11-25", json!({ "roots": {} })).await;
    let (mut stream, question) = ask(&peer, "roots/list", json!({})).await;
    assert_eq!(question["method"], "roots/list");
    peer.notify("notifications/cancelled", json!({ "requestId": 1 }))
        .await;
    let rest = stream.rest().await;
    assert!(
        rest.iter().all(|message| message.get("id").is_none()),
        "it is not answered any more: {rest:?}"
    );
    until("nothing is in flight", async || {
        let sessions = gateway.admin("sessions").await;
        (sessions["sessions"][0]["inFlight"] == 0).then_some(())
    })
    .await;
    // What it was asked counts no more.
    peer.answer(&question["id"], json!({ "roots": [] })).await;
    let (mut stream, question) = ask(&peer, "roots/list", json!({})).await;
    peer.answer(&question["id"], json!({ "roots": [] })).await;
    assert_eq!(text_of(&stream.message().await), r#"{"roots":[]}"#);
    gateway.stop().await;
}
