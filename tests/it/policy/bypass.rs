//! Every way around a mode that we could think of: each method that names or carries a server, a tool, a prompt or a
//! resource, through each transport, against a mode that forbids it. Who adds a method, an era or a transport adds it
//! here. What is listened to stands in `listening`, what is asked back and what channels carry besides in `asked`.

use serde_json::{Value, json};

use super::door::{Door, Visitor};
use crate::support::{Gateway, Guarded, text_of};

/// A mode that allows every capability of the mock but not these things.
const BY_NAME: &str = r#"
[modes.tried]
allowed-servers = ["mock"]
allowed-capabilities = ["tools", "resources", "prompts", "completions", "tasks"]
tools = { deny = ["echo"] }
prompts = { deny = ["test_simple_prompt"] }
resources = { deny = ["test://static-text", "test://watched-*", "test://template/*", "test://embedded-*", "test://mixed-*", "test://secret*"] }
"#;

/// A mode that allows the server and nothing that it can do, but for one tool that counts requests.
const BY_CAPABILITY: &str = r#"
[modes.tried]
allowed-servers = ["mock"]
allowed-capabilities = ["tools"]
tools = { allow = ["count"] }
"#;

/// A mode that does not allow the server.
const BY_SERVER: &str = r#"
[modes.tried]
allowed-servers = ["other"]
allowed-capabilities = ["*"]
"#;

/// Requests that name what [`BY_NAME`] forbids, also in other spellings, or do not say clearly what they name.
const NAMING: &[&str] = &[
    r#""method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}"#,
    r#""method":"tools/call","params":{"name":"\u0065cho","arguments":{"text":"x"}}"#,
    r#""method":"tools\/call","params":{"name":"echo"}"#,
    r#""params":{"name":"echo"},"method":"tools/call""#,
    r#""method":"tools/call","params":{"name":"echo","task":{"ttl":1000}}"#,
    r#""method":"tools/call","params":{"name":["echo"]}"#,
    r#""method":"tools/call","params":{}"#,
    r#""method":"prompts/get","params":{"name":"test_simple_prompt"}"#,
    r#""method":"resources/read","params":{"uri":"test://static-text"}"#,
    r#""method":"resources/read","params":{"uri":"test:\/\/static-text"}"#,
    r#""method":"resources/read","params":{"uri":"TEST://static-text"}"#,
    r#""method":"resources/read","params":{"uri":"test://static%2Dtext"}"#,
    r#""method":"resources/read","params":{"uri":"test://x/../static-text"}"#,
    r#""method":"resources/read","params":{"uri":"test://template/7/data"}"#,
    r#""method":"resources/read","params":{"name":"test://static-binary"}"#,
    r#""method":"resources/subscribe","params":{"uri":"test://watched-resource"}"#,
    r#""method":"resources/unsubscribe","params":{"uri":"test://watched-resource"}"#,
    r#""method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"test_simple_prompt"},"argument":{"name":"arg1","value":""}}"#,
    r#""method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"test://template/{id}/data"},"argument":{"name":"id","value":""}}"#,
    r#""method":"completion/complete","params":{"ref":{"type":"ref/tool","name":"echo"},"argument":{"name":"text","value":""}}"#,
];

/// Requests of every capability.
const ANY: &[&str] = &[
    r#""method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}"#,
    r#""method":"prompts/list""#,
    r#""method":"prompts/get","params":{"name":"test_simple_prompt"}"#,
    r#""method":"resources/list""#,
    r#""method":"resources/templates/list""#,
    r#""method":"resources/read","params":{"uri":"test://static-binary"}"#,
    r#""method":"resources/subscribe","params":{"uri":"test://static-binary"}"#,
    r#""method":"resources/unsubscribe","params":{"uri":"test://static-binary"}"#,
    r#""method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"test_prompt_with_arguments"},"argument":{"name":"arg1","value":""}}"#,
    r#""method":"logging/setLevel","params":{"level":"debug"}"#,
    r#""method":"tasks/list""#,
    r#""method":"tasks/get","params":{"taskId":"1"}"#,
    r#""method":"tasks/result","params":{"taskId":"1"}"#,
    r#""method":"tasks/cancel","params":{"taskId":"1"}"#,
    r#""method":"sampling/createMessage","params":{"messages":[]}"#,
    r#""method":"elicitation/create","params":{}"#,
    r#""method":"roots/list""#,
    r#""method":"unheard/of","params":{"name":"echo"}"#,
    r#""method":"unheard""#,
];

/// What shows things: the request, what its answer must not contain, and what it must.
const SHOWING: &[(&str, &[&str], &str)] = &[
    (
        r#""method":"tools/list""#,
        &["\"echo\"", "test://static-text"],
        "\"visibility\"",
    ),
    (
        r#""method":"prompts/list""#,
        &["test_simple_prompt"],
        "test_prompt_with_arguments",
    ),
    (
        r#""method":"resources/list""#,
        &["static-text", "watched-resource"],
        "test://static-binary",
    ),
    (
        r#""method":"resources/templates/list""#,
        &["template-data", "test://template"],
        "\"resourceTemplates\":[]",
    ),
    (
        r#""method":"tools/call","params":{"name":"test_embedded_resource"}"#,
        &["test://embedded", "embedded resource content"],
        "\"content\":[]",
    ),
    (
        r#""method":"tools/call","params":{"name":"test_multiple_content_types"}"#,
        &["test://mixed"],
        "\"type\":\"text\"",
    ),
    (
        r#""method":"prompts/get","params":{"name":"test_prompt_with_embedded_resource","arguments":{"resourceUri":"test://secret"}}"#,
        &["test://secret", "Embedded resource content"],
        "Please process",
    ),
];

/// The eras in which the server is spoken with: what holds must hold for clients of either with servers of either.
const ERAS: [&str; 2] = ["legacy", "modern"];

fn guarded(mode: &str, era: &str) -> Guarded {
    guarded_with(mode, &format!("sharing = \"shared\"\nprotocol-era = {era:?}"))
}

fn guarded_with(mode: &str, more: &str) -> Guarded {
    let server = format!("[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n{more}\n");
    let plugin = "[[plugins]]\nname = \"mode-access\"\n";
    Guarded::start(
        &["mode-access"],
        "default-mode = \"tried\"",
        &format!("{plugin}{server}{mode}"),
    )
}

/// Returns how many requests the server has had, this one included.
async fn count(visitor: &mut Visitor<'_>) -> u64 {
    let answer = visitor
        .ask(r#""method":"tools/call","params":{"name":"count"}"#)
        .await;
    let text = text_of(answer.last().expect("an answer")).to_owned();
    text.parse().expect("a number")
}

/// Who denies: the mode, or what is refused before it is asked, since nobody could say what is meant.
const DENIALS: [&str; 4] = [
    "mode \"tried\" does not allow",
    "does not say what is meant",
    "is not a method of 2026-07-28",
    "the header mcp-name is missing",
];

#[track_caller]
fn assert_denied(door: Door, request: &str, messages: &[Value]) {
    let [answer] = messages else {
        panic!("{door:?} {request}: {messages:?}");
    };
    assert!(answer.get("result").is_none(), "{door:?} {request}: {answer}");
    let reason = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(
        DENIALS.iter().any(|denial| reason.contains(denial)),
        "{door:?} {request}: {answer}"
    );
}

/// Every request of a table is denied at every door, and the server never hears of any.
async fn denied_everywhere(mode: &str, requests: &[&str]) {
    for era in ERAS {
        let guarded = guarded(mode, era);
        for door in Door::ALL {
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            denied(&mut visitor, requests).await;
        }
    }
}

async fn denied(visitor: &mut Visitor<'_>, requests: &[&str]) {
    let before = count(visitor).await;
    for request in requests {
        let messages = visitor.ask(request).await;
        assert_denied(visitor.door, request, &messages);
    }
    let after = count(visitor).await;
    assert_eq!(after, before + 1, "{:?}: it was asked", visitor.door);
}

#[tokio::test]
async fn what_a_mode_forbids_by_name_is_denied() {
    denied_everywhere(BY_NAME, NAMING).await;
}

#[tokio::test]
async fn what_a_mode_forbids_by_capability_is_denied() {
    denied_everywhere(BY_CAPABILITY, ANY).await;
}

/// A policy of one's own before somebody else's server.
#[tokio::test]
async fn what_a_mode_forbids_is_denied_before_a_server_elsewhere() {
    let elsewhere = Gateway::with_mock(&[], "");
    let url = format!("http://{}/mcp/mock", elsewhere.address());
    for (mode, requests) in [(BY_NAME, NAMING), (BY_CAPABILITY, ANY)] {
        let guarded = guarded(&mode.replace("[\"mock\"]", "[\"remote\"]"), "legacy");
        for door in [Door::Stdio, Door::ModernStdio] {
            let (mut visitor, _) = Visitor::enter_before(&url, &guarded.gateway, door).await;
            denied(&mut visitor, requests).await;
        }
    }
}

#[tokio::test]
async fn a_request_without_an_id_is_no_way_around() {
    let guarded = guarded_with(BY_NAME, "sharing = \"session\"\nprotocol-era = \"legacy\"");
    let takes_them = |door: &Door| door.has_session() || door.is_channel();
    for door in Door::ALL.into_iter().filter(takes_them) {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        for request in NAMING {
            visitor.tell(request).await;
        }
        visitor.tell(r#""method":"notifications/unheard/of""#).await;
        let answer = visitor
            .ask(r#""method":"tools/call","params":{"name":"state"}"#)
            .await;
        let state: Value = serde_json::from_str(text_of(&answer[0])).expect("JSON");
        assert_eq!(
            state["notifications"], 1,
            "{door:?}: only that it was initialized: {state}"
        );
    }
}

#[tokio::test]
async fn what_a_mode_forbids_is_not_shown() {
    for era in ERAS {
        let guarded = guarded(BY_NAME, era);
        for door in Door::ALL {
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            for (request, forbidden, allowed) in SHOWING {
                let messages = visitor.ask(request).await;
                let text: String = messages.iter().map(Value::to_string).collect();
                assert!(text.contains(allowed), "{door:?} {era} {request}: {text}");
                for word in *forbidden {
                    assert!(!text.contains(word), "{door:?} {era} {request}: {word} in {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_mode_forbids_is_not_announced() {
    for era in ERAS {
        let guarded = guarded(BY_CAPABILITY, era);
        for door in Door::ALL.into_iter().filter(|door| *door != Door::OneShot) {
            let (_, answer) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            let announced = answer["result"]["capabilities"].as_object().expect("an object");
            assert_eq!(
                announced.keys().collect::<Vec<_>>(),
                ["tools"],
                "{door:?}, {era} server"
            );
        }
    }
}

#[tokio::test]
async fn a_forbidden_server_is_not_reached() {
    let guarded = guarded(BY_SERVER, "legacy");
    for door in Door::ALL {
        let (mut visitor, answer) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        if door == Door::OneShot {
            let everything = [r#""method":"tools/list""#, NAMING[0], ANY[5], SHOWING[4].0];
            for request in everything.iter().chain(ANY) {
                let messages = visitor.ask(request).await;
                assert_denied(door, request, &messages);
            }
        } else {
            assert_denied(door, "initialize", &[answer]);
        }
    }
}
