//! What a server says on its own, before a client whose mode forbids some of it.

use serde_json::{Value, json};

use super::door::{Door, Visitor, message};
use crate::support::Guarded;
use crate::support::text_of;

fn guarded(mode: &str, sharing: &str) -> Guarded {
    guarded_as(mode, &format!("sharing = {sharing:?}"))
}

fn guarded_as(mode: &str, more: &str) -> Guarded {
    let server = format!("[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n{more}\n");
    let mode = format!("[modes.tried]\nallowed-servers = [\"mock\"]\n{mode}\n");
    let plugin = "[[plugins]]\nname = \"mode-access\"\n";
    Guarded::start(
        &["mode-access"],
        "default-mode = \"tried\"",
        &format!("{plugin}{server}{mode}"),
    )
}

fn call(tool: &str, arguments: Value) -> String {
    format!(r#""method":"tools/call","params":{{"name":{tool:?},"arguments":{arguments}}}"#)
}

#[tokio::test]
async fn a_server_does_not_learn_what_it_may_not_ask() {
    let guarded = guarded("allowed-capabilities = [\"tools\", \"elicitation\"]", "session");
    let able = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, able).await;
    let answer = visitor.ask(&call("state", json!({}))).await;
    let state: Value = serde_json::from_str(text_of(&answer[0])).expect("JSON");
    let text = state.to_string();
    assert!(text.contains("elicitation"), "{text}");
    assert!(!text.contains("sampling") && !text.contains("roots"), "{text}");
    let lease = &guarded.gateway.admin("sessions").await["sessions"][0]["lease"];
    assert_eq!(lease["kind"], "session", "{lease}");
}

/// What a client can do goes along with each of its requests where there are no sessions.
#[tokio::test]
async fn a_modern_server_neither_learns_nor_asks_what_it_may_not() {
    for era in ["legacy", "modern"] {
        let mode = "allowed-capabilities = [\"tools\", \"roots\"]";
        let guarded = guarded_as(mode, &format!("sharing = \"session\"\nprotocol-era = {era:?}"));
        let able = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
        for door in Door::MODERN {
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, able.clone()).await;
            let answer = visitor.ask(&call("state", json!({}))).await;
            let text = answer[0].to_string();
            assert!(text.contains("roots"), "{door:?} {era}: {text}");
            assert!(
                !text.contains("sampling") && !text.contains("elicitation"),
                "{door:?} {era}: {text}"
            );
            for (tool, arguments) in [
                ("test_sampling", json!({ "prompt": "x" })),
                ("test_elicitation", json!({ "message": "x" })),
            ] {
                let answer = visitor.ask(&call(tool, arguments)).await;
                let text = answer[0].to_string();
                assert!(!text.contains("input_required"), "{door:?} {era} {tool}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_is_not_asked_what_its_mode_forbids() {
    let guarded = guarded("allowed-capabilities = [\"tools\"]", "session");
    let able = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, able).await;
    for method in [
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "un/heard",
    ] {
        let messages = visitor
            .ask(&call("ask", json!({ "method": method, "params": {} })))
            .await;
        assert_eq!(messages.len(), 1, "{method} reached the client: {messages:?}");
        let text = messages[0].to_string();
        // It was refused, or knew better than to ask.
        let words = ["-32601", "does not allow", "did not declare"];
        assert!(words.iter().any(|word| text.contains(word)), "{method}: {text}");
    }
}

#[tokio::test]
async fn a_question_loses_what_its_client_may_not_see_and_keeps_the_rest() {
    let mode = "allowed-capabilities = [\"tools\", \"sampling\", \"resources\"]\nresources = { deny = [\"test://secret\"] }";
    let guarded = guarded(mode, "session");
    let (mut visitor, _) =
        Visitor::enter(&guarded.gateway, Door::Streamable, json!({ "sampling": {} })).await;
    let link = |uri: &str| json!({ "type": "resource_link", "uri": uri, "name": "a link" });
    let said = json!([link("test://secret"), { "type": "text", "text": "hello" }, link("test://open")]);
    let params = json!({ "messages": [{ "role": "user", "content": said }], "maxTokens": 1 });
    let asking = call(
        "ask",
        json!({ "method": "sampling/createMessage", "params": params }),
    );
    let (mut events, _connection) = visitor.begin(&asking).await;
    let question = message(&mut events).await;
    assert_eq!(question["method"], "sampling/createMessage");
    let text = question.to_string();
    assert!(
        !text.contains("test://secret") && text.contains("hello"),
        "{text}"
    );
    assert!(text.contains("test://open"), "{text}");
    let id = &question["id"];
    visitor.tell(&format!(r#""id":{id},"result":{{"role":"assistant","content":{{"type":"text","text":"bye"}},"model":"m"}}"#)).await;
    let answer = message(&mut events).await;
    assert!(text_of(&answer).contains("bye"), "{answer}");
}

#[tokio::test]
async fn notifications_of_what_a_mode_forbids_do_not_come() {
    for sharing in ["session", "shared"] {
        let mode =
            "allowed-capabilities = [\"tools\", \"resources\"]\nresources = { deny = [\"test://secret\"] }";
        let guarded = guarded(mode, sharing);
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
        let (mut events, _connection) = visitor.listen().await;
        let subscribe = r#""method":"resources/subscribe","params":{"uri":"test://static-binary"}"#;
        assert!(visitor.ask(subscribe).await[0].get("result").is_some());
        let refused = r#""method":"resources/subscribe","params":{"uri":"test://secret"}"#;
        assert!(visitor.ask(refused).await[0].get("error").is_some());
        for (tool, arguments) in [
            ("change", json!({ "kind": "prompts" })),
            ("log", json!({ "level": "alert", "text": "forbidden" })),
            ("touch", json!({ "uri": "test://secret", "force": true })),
            ("change", json!({ "kind": "tools" })),
            ("touch", json!({ "uri": "test://static-binary" })),
        ] {
            visitor.ask(&call(tool, arguments)).await;
        }
        let first = message(&mut events).await;
        assert_eq!(
            first["method"], "notifications/tools/list_changed",
            "{sharing}: {first}"
        );
        let second = message(&mut events).await;
        assert_eq!(
            second["params"]["uri"], "test://static-binary",
            "{sharing}: {second}"
        );
    }
}

#[tokio::test]
async fn what_is_judged_keeps_its_order() {
    let guarded = guarded("allowed-capabilities = [\"tools\", \"logging\"]", "session");
    for door in [Door::Streamable, Door::Sse, Door::Socket, Door::Stdio] {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        let asked = r#""method":"tools/call","params":{"name":"progress","arguments":{"steps":200},"_meta":{"progressToken":"t"}}"#;
        let messages = visitor.ask(asked).await;
        let steps: Vec<_> = messages
            .iter()
            .filter_map(|message| message["params"]["progress"].as_f64())
            .collect();
        assert_eq!(steps.len(), 200, "{door:?}");
        assert!(steps.is_sorted(), "{door:?}: {steps:?}");
        assert_eq!(messages.len(), 201, "{door:?}: the answer comes last");
    }
}
