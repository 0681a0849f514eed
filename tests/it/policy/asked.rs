//! Beyond requests that name things, at the doors of the era without sessions: what a server asks in its answers, what
//! clients say to that, tasks, and what comes on a channel to those who listen.

use serde_json::{Value, json};

use super::door::{Door, Visitor};
use crate::support::{Guarded, text_of};

const ID: &str = "io.modelcontextprotocol/subscriptionId";
const WATCHED: &str = "test://watched-resource";
const ALLOWED: &str = "test://static-binary";
const ERAS: [&str; 2] = ["legacy", "modern"];

fn guarded(mode: &str, more: &str) -> Guarded {
    let server = format!("[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n{more}\n");
    let mode = format!("[modes.tried]\nallowed-servers = [\"mock\"]\n{mode}\n");
    Guarded::start(
        &["mode-access"],
        "default-mode = \"tried\"",
        &format!("[[plugins]]\nname = \"mode-access\"\n{server}{mode}"),
    )
}

fn call(tool: &str, arguments: &Value) -> String {
    format!(r#""method":"tools/call","params":{{"name":{tool:?},"arguments":{arguments}}}"#)
}

/// Returns the request that goes on with what `asked` asks, for `tool`: each answer is `said`.
fn again(tool: &str, arguments: &Value, asked: &Value, said: &Value) -> String {
    let requests = asked["inputRequests"].as_object();
    let keys = requests.unwrap_or_else(|| panic!("{asked}")).keys();
    let said: serde_json::Map<_, _> = keys.map(|key| (key.clone(), said.clone())).collect();
    let mut params = json!({ "name": tool, "arguments": arguments, "inputResponses": said });
    if let Some(state) = asked.get("requestState") {
        params["requestState"] = state.clone();
    }
    format!(r#""method":"tools/call","params":{params}"#)
}

async fn answer(visitor: &mut Visitor<'_>, request: &str) -> Value {
    visitor.ask(request).await.pop().expect("an answer")
}

#[tokio::test]
async fn what_a_server_asks_loses_what_its_client_may_not_see_and_is_answered_for_that_call_alone() {
    let mode = "allowed-capabilities = [\"tools\", \"sampling\", \"resources\"]\n\
                resources = { deny = [\"test://secret\"] }\ntools = { deny = [\"echo\"] }";
    let link = |uri: &str| json!({ "type": "resource_link", "uri": uri, "name": "a link" });
    let said = json!([link("test://secret"), { "type": "text", "text": "hello" }, link("test://open")]);
    let asking = json!({ "messages": [{ "role": "user", "content": said }], "maxTokens": 1 });
    let arguments = json!({ "method": "sampling/createMessage", "params": asking });
    let sampled = json!({ "role": "assistant", "content": { "type": "text", "text": "bye" }, "model": "m" });
    for era in ERAS {
        let guarded = guarded(mode, &format!("sharing = \"session\"\nprotocol-era = {era:?}"));
        for door in Door::MODERN {
            let able = json!({ "sampling": {} });
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, able).await;
            let asked = answer(&mut visitor, &call("ask", &arguments)).await["result"].clone();
            let text = asked.to_string();
            assert_eq!(asked["resultType"], "input_required", "{door:?} {era}: {text}");
            assert!(!text.contains("test://secret"), "{door:?} {era}: {text}");
            assert!(text.contains("hello") && text.contains("test://open"), "{text}");
            let other = again("echo", &arguments, &asked, &sampled);
            let refused = answer(&mut visitor, &other).await;
            assert!(refused.get("error").is_some(), "{door:?} {era}: {refused}");
            let whole = again("ask", &arguments, &asked, &sampled);
            let done = answer(&mut visitor, &whole).await;
            assert!(text_of(&done).contains("bye"), "{door:?} {era}: {done}");
        }
    }
}

/// What listens through HTTP stands in `listening`; here it shares its channel with everything else.
#[tokio::test]
async fn on_a_channel_a_forbidden_resource_is_neither_acknowledged_nor_told_of() {
    let mode = "allowed-capabilities = [\"tools\", \"resources\"]\n\
                resources = { deny = [\"test://watched-*\"] }";
    let wanted = json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": [WATCHED, ALLOWED, "TEST://watched-resource", "test://x/../watched-resource"],
    });
    for era in ERAS {
        let guarded = guarded(mode, &format!("sharing = \"shared\"\nprotocol-era = {era:?}"));
        for door in [Door::ModernSocket, Door::ModernStdio] {
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            let listen = format!(r#""method":"subscriptions/listen","params":{{"notifications":{wanted}}}"#);
            let id = visitor.send(&listen).await;
            let first = visitor.hear().await;
            let expected = json!({
                "toolsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": [ALLOWED],
            });
            assert_eq!(
                (&first["params"]["_meta"][ID], &first["params"]["notifications"]),
                (&id, &expected),
                "{door:?} {era}: {first}"
            );
            let mut told = Vec::new();
            for (tool, arguments) in [
                ("touch", json!({ "uri": WATCHED, "force": true })),
                ("change", json!({ "kind": "prompts" })),
                ("touch", json!({ "uri": ALLOWED })),
                ("change", json!({ "kind": "tools" })),
            ] {
                told.extend(visitor.ask(&call(tool, &arguments)).await);
            }
            let mut methods = |message: &Value| message["method"].as_str().map(str::to_owned);
            let mut heard: Vec<String> = told.iter().filter_map(&mut methods).collect();
            while heard.len() < 2 {
                heard.extend(methods(&visitor.hear().await));
            }
            assert_eq!(
                heard,
                [
                    "notifications/resources/updated",
                    "notifications/tools/list_changed"
                ],
                "{door:?} {era}"
            );
        }
    }
}

#[tokio::test]
async fn on_a_channel_a_forbidden_server_is_not_listened_to() {
    for era in ERAS {
        let server = format!("protocol-era = {era:?}\n");
        let mode = "allowed-capabilities = [\"*\"]";
        let guarded = Guarded::start(
            &["mode-access"],
            "default-mode = \"tried\"",
            &format!(
                "[[plugins]]\nname = \"mode-access\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n\
                 {server}[modes.tried]\nallowed-servers = [\"other\"]\n{mode}\n"
            ),
        );
        for door in Door::MODERN {
            let (mut visitor, refused) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            assert!(refused["error"]["code"].is_number(), "{door:?} {era}: {refused}");
            let listen =
                r#""method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}"#;
            let refused = answer(&mut visitor, listen).await;
            assert!(refused["error"]["code"].is_number(), "{door:?} {era}: {refused}");
        }
        let pid = guarded.gateway.admin("servers/mock").await["pid"].clone();
        assert_eq!(pid, Value::Null, "{era}: it was not even started");
    }
}

#[tokio::test]
async fn a_task_of_a_session_is_not_there_at_any_other_door() {
    let mode = "allowed-capabilities = [\"tools\", \"tasks\"]";
    let guarded = guarded(mode, "sharing = \"shared\"\nprotocol-era = \"legacy\"");
    let (mut owner, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let begin = r#""method":"tools/call","params":{"name":"pid","task":{"ttl":60000}}"#;
    let begun = answer(&mut owner, begin).await;
    let id = begun["result"]["task"]["taskId"].clone();
    assert!(id.is_string(), "{begun}");
    let about = |method: &str| format!(r#""method":{method:?},"params":{{"taskId":{id}}}"#);
    for door in Door::ALL {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"] {
            let refused = answer(&mut visitor, &about(method)).await;
            assert!(refused.get("error").is_some(), "{door:?} {method}: {refused}");
        }
        let list = answer(&mut visitor, r#""method":"tasks/list""#).await;
        assert!(!list.to_string().contains(&id.to_string()), "{door:?}: {list}");
    }
    let got = answer(&mut owner, &about("tasks/get")).await;
    assert_eq!(got["result"]["taskId"], id, "{got}");
    assert_ne!(got["result"]["status"], "cancelled", "{got}");
}
