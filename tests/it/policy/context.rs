//! What policies are told besides the message: the same name of a request in every hook, what a client says of itself from
//! its first message on, and the headers that were granted.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::door::{Door, Visitor};
use crate::support::{Connection, Guarded, eventually, text_of};

const SERVERS: &str = r#"
[log]
format = "json"
[servers.a]
command = "@self"
args = ["mock-server"]
sharing = "shared"
instances = 2
[servers.b]
command = "@self"
args = ["mock-server"]
sharing = "shared"
instances = 2
[routes.mock]
servers = ["a", "b"]
[[plugins]]
name = "mirror"
grant = { headers = ["x-tenant"] }
log-rate = 1000
"#;

/// Returns what the mirror was told, in order, once it was told all of it: of the answer to this method, or of the
/// question where the gateway answers itself.
async fn told(guarded: &Guarded, method: &str, of_answer: bool) -> Vec<Value> {
    let is_last = |seen: &Value| {
        let hook = if of_answer { "on-message" } else { "authorize" };
        seen["method"] == method && seen["hook"] == hook && seen["isClients"] == !of_answer
    };
    let read = || -> Vec<Value> {
        let output = guarded.gateway.output();
        let lines = output
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said = lines.filter(|line| line["plugin"] == "mirror");
        let said = said.filter_map(|line| serde_json::from_str(line["line"].as_str()?).ok());
        said.collect()
    };
    eventually("the mirror", read, |told| told.iter().any(is_last)).await
}

fn of_method<'a>(told: &'a [Value], method: &str) -> Vec<&'a Value> {
    told.iter().filter(|seen| seen["method"] == method).collect()
}

fn hooks(seen: &[&Value]) -> BTreeSet<String> {
    let hooks = seen.iter().filter_map(|seen| seen["hook"].as_str());
    hooks.map(str::to_owned).collect()
}

fn names(seen: &[&Value]) -> BTreeSet<String> {
    seen.iter().map(|seen| seen["request"].to_string()).collect()
}

#[tokio::test]
async fn one_request_has_one_name_and_a_client_is_known_from_its_first_message_on() {
    let guarded = Guarded::start(&["mirror"], "", SERVERS);
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    let answer = visitor
        .ask(r#""method":"tools/call","params":{"name":"pid"}"#)
        .await;
    assert!(!text_of(&answer[0]).is_empty());
    let told = told(&guarded, "tools/call", true).await;
    for method in ["initialize", "tools/call"] {
        let seen = of_method(&told, method);
        assert_eq!(names(&seen).len(), 1, "{method}: {seen:#?}");
        for seen in seen {
            assert_eq!(seen["attributes"]["client.name"], "it", "{seen}");
            assert_eq!(seen["attributes"]["client.version"], "1.0.0", "{seen}");
            assert_eq!(seen["version"], "2025-11-25", "{seen}");
        }
    }
    let all: BTreeSet<String> = ["authorize", "choose", "filter", "on-message"]
        .map(str::to_owned)
        .into();
    assert_eq!(hooks(&of_method(&told, "initialize")), all);
    let first_two = of_method(&told, "initialize");
    assert_eq!(
        (&first_two[0]["hook"], &first_two[1]["hook"]),
        (&json!("filter"), &json!("choose")),
        "the servers of the route come first"
    );
}

#[tokio::test]
async fn messages_that_come_together_have_names_of_their_own() {
    let guarded = Guarded::start(&["mirror"], "", SERVERS);
    let (visitor, _) = Visitor::enter(&guarded.gateway, Door::Batch, json!({})).await;
    let call =
        |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"pid"}}}}"#);
    let answers = visitor
        .post_in_session(format!("[{},{}]", call(1), call(2)))
        .await;
    assert_eq!(answers.len(), 2);
    let told = told(&guarded, "tools/call", true).await;
    assert_eq!(names(&of_method(&told, "tools/call")).len(), 2, "{told:#?}");
}

#[tokio::test]
async fn headers_are_seen_where_they_were_granted_and_no_others() {
    let guarded = Guarded::start(&["mirror"], "", SERVERS);
    let mut connection = Connection::open(guarded.gateway.address()).await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("x-tenant", "blue"),
        ("x-other", "green"),
    ];
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = connection
        .send(Method::POST, "/mcp/mock", &headers, body.into())
        .await;
    let answer: Value = answer.json().await;
    assert!(answer.get("result").is_some(), "{answer}");
    let told = told(&guarded, "tools/list", true).await;
    let seen = of_method(&told, "tools/list");
    assert_eq!(names(&seen).len(), 1, "also without a session: {seen:#?}");
    for seen in seen {
        assert_eq!(seen["attributes"]["header.x-tenant"], "blue", "{seen}");
        assert!(!seen.to_string().contains("green"), "{seen}");
    }
}

#[tokio::test]
async fn a_task_is_something_that_access_is_asked_about() {
    let guarded = Guarded::start(&["mirror"], "", SERVERS);
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, json!({})).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let request = format!(r#""method":"{method}","params":{{"taskId":"7"}}"#);
        visitor.ask(&request).await;
        let told = told(&guarded, method, false).await;
        let seen = of_method(&told, method);
        let asked = seen
            .iter()
            .find(|seen| seen["hook"] == "authorize")
            .expect("asked");
        assert_eq!(asked["item"], json!({ "kind": "task", "name": "7" }), "{method}");
        assert_eq!(asked["target"], "7");
    }
}
