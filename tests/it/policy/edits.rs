//! Access after a policy has changed what a message is about, and what becomes of a policy that breaks.

use serde_json::{Value, json};

use super::door::{Door, Visitor};
use crate::support::{Guarded, text_of};
use crate::trial::Trial;

/// A mode that forbids these things by name, and the names of the trials that judge after it.
fn guarded(trials: &[Trial]) -> Guarded {
    let mode = r#"
[modes.tried]
allowed-servers = ["mock"]
allowed-capabilities = ["*"]
tools = { deny = ["echo"] }
prompts = { deny = ["test_simple_prompt"] }
resources = { deny = ["test://static-text"] }
[servers.mock]
command = "@self"
args = ["mock-server"]
sharing = "shared"
[[plugins]]
name = "mode-access"
"#;
    let named = trials
        .iter()
        .map(|trial| format!("[[plugins]]\nname = {:?}\n", trial.name));
    let more: String = std::iter::once(mode.to_owned()).chain(named).collect();
    Guarded::start_with(&["mode-access"], trials, "default-mode = \"tried\"", &more)
}

fn changing(name: &str, method: &str, pointer: &str, value: &Value) -> Trial {
    let mut trial = Trial::new(name, "1.0.0");
    method.clone_into(&mut trial.methods);
    trial.changes = vec![["request".to_owned(), pointer.to_owned(), value.to_string()]];
    trial
}

async fn answer(visitor: &mut Visitor<'_>, request: &str) -> Value {
    visitor.ask(request).await.pop().expect("an answer")
}

/// A method, where it says what it is about, a request that is allowed, and what it must not become.
const CHANGES: [(&str, &str, &str, &str); 4] = [
    ("tools/call", "/params/name", r#"{"name":"pid"}"#, "echo"),
    (
        "prompts/get",
        "/params/name",
        r#"{"name":"test_prompt_with_arguments"}"#,
        "test_simple_prompt",
    ),
    (
        "resources/read",
        "/params/uri",
        r#"{"uri":"test://static-binary"}"#,
        "test://static-text",
    ),
    (
        "completion/complete",
        "/params/ref/name",
        r#"{"ref":{"type":"ref/prompt","name":"test_prompt_with_arguments"},"argument":{"name":"arg1","value":""}}"#,
        "test_simple_prompt",
    ),
];

#[tokio::test]
async fn what_a_policy_makes_of_a_message_is_asked_about_again() {
    for (method, pointer, params, forbidden) in CHANGES {
        let guarded = guarded(&[changing("changing", method, pointer, &json!(forbidden))]);
        for door in Door::ALL {
            let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
            let refused = answer(&mut visitor, &format!(r#""method":"{method}","params":{params}"#)).await;
            assert_eq!(refused["error"]["code"], -32602, "{door:?} {method}: {refused}");
            assert!(
                refused.to_string().contains(forbidden),
                "{door:?} {method}: {refused}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_to_something_allowed_goes_on() {
    let guarded = guarded(&[changing(
        "changing",
        "tools/call",
        "/params/name",
        &json!("count"),
    )]);
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let counted = answer(&mut visitor, r#""method":"tools/call","params":{"name":"pid"}"#).await;
    assert_eq!(
        text_of(&counted),
        "6",
        "four lists, the handshake and this: {counted}"
    );
}

#[tokio::test]
async fn a_task_that_a_policy_names_has_to_be_the_clients_too() {
    let guarded = guarded(&[changing("changing", "tasks/get", "/params/taskId", &json!("1"))]);
    let (mut other, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let begin = r#""method":"tools/call","params":{"name":"pid","task":{}}"#;
    for number in ["1", "2"] {
        let begun = answer(&mut other, begin).await;
        assert_eq!(begun["result"]["task"]["taskId"], number, "{begun}");
    }
    let get = r#""method":"tasks/get","params":{"taskId":"2"}"#;
    let got = answer(&mut other, get).await;
    assert_eq!(got["result"]["taskId"], "1", "it is its own: {got}");
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let begun = answer(&mut visitor, begin).await;
    assert_eq!(begun["result"]["task"]["taskId"], "3", "{begun}");
    let refused = answer(&mut visitor, r#""method":"tasks/get","params":{"taskId":"3"}"#).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[tokio::test]
async fn a_second_change_of_what_a_message_is_about_is_an_error() {
    let first = changing("first", "tools/call", "/params/name", &json!("count"));
    let second = changing("second", "tools/call", "/params/name", &json!("pid"));
    let guarded = guarded(&[first, second]);
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let broken = answer(&mut visitor, r#""method":"tools/call","params":{"name":"state"}"#).await;
    let error = &broken["error"];
    assert_eq!(error["code"], -32050, "{broken}");
    assert_eq!(
        error["data"],
        json!({ "plugin": "second", "kind": "bad-decision" })
    );
}

#[tokio::test]
async fn a_filter_that_breaks_is_told_from_one_that_lets_nothing_be_seen() {
    let mut breaking = Trial::new("breaking", "1.0.0");
    breaking.breaks_lists = true;
    let guarded = guarded(&[breaking]);
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::OneShot, json!({})).await;
    let broken = answer(&mut visitor, r#""method":"tools/list""#).await;
    let error = &broken["error"];
    assert_eq!(error["code"], -32050, "{broken}");
    assert_eq!(error["data"], json!({ "plugin": "breaking", "kind": "trap" }));
    assert!(broken.get("result").is_none(), "{broken}");
    let (_, refused) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    assert_eq!(refused["error"]["data"]["plugin"], "breaking", "{refused}");
}

#[tokio::test]
async fn a_filter_that_breaks_is_passed_over_where_that_was_said_twice() {
    let mut breaking = Trial::new("breaking", "1.0.0");
    breaking.breaks_lists = true;
    let server = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n";
    let plugin = "[[plugins]]\nname = \"breaking\"\non-error = \"skip\"\nallow-fail-open = true\n";
    let guarded = Guarded::start_with(&[], &[breaking], "", &format!("{server}{plugin}"));
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::OneShot, json!({})).await;
    let listed = answer(&mut visitor, r#""method":"tools/list""#).await;
    assert!(listed.to_string().contains("\"echo\""), "{listed}");
}
