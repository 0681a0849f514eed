//! Whose task is whose on a server that clients share: by session, by principal and by mode.

use http::Method;
use serde_json::{Value, json};

use super::door::{Door, Visitor};
use crate::support::{Connection, Gateway, Guarded, text_of};

const SHARED: &str = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n";

const BEGIN: &str = r#""method":"tools/call","params":{"name":"pid","task":{"ttl":60000}}"#;

async fn answer(visitor: &mut Visitor<'_>, request: &str) -> Value {
    visitor.ask(request).await.pop().expect("an answer")
}

async fn begin(visitor: &mut Visitor<'_>) -> String {
    let begun = answer(visitor, BEGIN).await;
    let id = begun["result"]["task"]["taskId"].as_str();
    id.unwrap_or_else(|| panic!("{begun}")).to_owned()
}

fn listed(answer: &Value) -> Vec<&str> {
    let tasks = answer["result"]["tasks"].as_array().expect("a list").iter();
    tasks.filter_map(|task| task["taskId"].as_str()).collect()
}

#[tokio::test]
async fn a_task_of_another_session_is_not_there() {
    let gateway = Gateway::start(SHARED);
    let (mut one, _) = Visitor::enter(&gateway, Door::Streamable, json!({})).await;
    let (mut other, _) = Visitor::enter(&gateway, Door::Plain, json!({})).await;
    let (mine, its) = (begin(&mut one).await, begin(&mut other).await);
    assert_ne!(mine, its, "one process has both");
    let no_task = (-32602, "there is no such task of this client");
    for (method, (code, message)) in [
        ("tasks/get", no_task),
        ("tasks/result", no_task),
        ("tasks/cancel", no_task),
        // Of the other era, or of none: nobody's task gets there, and the answer is the server's.
        ("tasks/update", (-32601, "the server has no method tasks/update")),
        (
            "tasks/unheard",
            (-32601, "the server has no method tasks/unheard"),
        ),
    ] {
        let request = |id: &str| format!(r#""method":"{method}","params":{{"taskId":"{id}"}}"#);
        for id in [its.as_str(), "99"] {
            let refused = answer(&mut one, &request(id)).await;
            assert_eq!(refused["error"]["code"], code, "{method} {id}: {refused}");
            assert_eq!(refused["error"]["message"], message, "{method} {id}");
        }
        let missing = answer(&mut one, &format!(r#""method":"{method}","params":{{}}"#)).await;
        assert_eq!(missing["error"]["code"], code, "{method}: {missing}");
    }
    let list = r#""method":"tasks/list""#;
    assert_eq!(listed(&answer(&mut one, list).await), [mine.as_str()]);
    assert_eq!(listed(&answer(&mut other, list).await), [its.as_str()]);
    let result = format!(r#""method":"tasks/result","params":{{"taskId":"{mine}"}}"#);
    assert!(!text_of(&answer(&mut one, &result).await).is_empty());
    let cancel = format!(r#""method":"tasks/cancel","params":{{"taskId":"{mine}"}}"#);
    assert_eq!(answer(&mut one, &cancel).await["result"]["status"], "cancelled");
}

#[tokio::test]
async fn a_session_with_a_server_of_its_own_has_all_of_its_tasks() {
    let gateway = Gateway::start(&SHARED.replace("\"shared\"", "\"session\""));
    let (mut visitor, _) = Visitor::enter(&gateway, Door::Streamable, json!({})).await;
    let id = begin(&mut visitor).await;
    let got = answer(
        &mut visitor,
        &format!(r#""method":"tasks/get","params":{{"taskId":"{id}"}}"#),
    )
    .await;
    assert_eq!(got["result"]["taskId"], id.as_str(), "{got}");
}

/// Sends one request without a session.
async fn ask(guarded: &Guarded, token: &str, mode: &str, rest: &str) -> Value {
    let mut connection = Connection::open(guarded.gateway.address()).await;
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#);
    let path = format!("/modes/{mode}/mcp/mock");
    let answer = connection.send(Method::POST, &path, &headers, body.into()).await;
    answer.json().await
}

#[tokio::test]
async fn a_task_is_its_principals_in_its_mode() {
    let (alice, bob) = ("alice-token-0123456789", "bob-token-0123456789abc");
    let mode =
        |name: &str| format!("[modes.{name}]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n");
    let principal = |name: &str, token: &str| {
        format!("[principals.{name}]\ntoken = {token:?}\nmodes = [\"chat\", \"code\"]\n")
    };
    let parts = [
        "[[plugins]]\nname = \"mode-access\"\n".to_owned(),
        mode("chat"),
        mode("code"),
        principal("alice", alice),
        principal("bob", bob),
        SHARED.to_owned(),
    ];
    let guarded = Guarded::start(&["mode-access"], "", &parts.concat());
    let begun = ask(&guarded, alice, "chat", BEGIN).await;
    let id = begun["result"]["task"]["taskId"].as_str().expect("an id");
    let get = format!(r#""method":"tasks/get","params":{{"taskId":"{id}"}}"#);
    for (token, mode, is_its_own) in [
        (alice, "chat", true),
        (alice, "code", false),
        (bob, "chat", false),
        (bob, "code", false),
    ] {
        let got = ask(&guarded, token, mode, &get).await;
        assert_eq!(got.get("result").is_some(), is_its_own, "{mode}: {got}");
        let listed_ids = ask(&guarded, token, mode, r#""method":"tasks/list""#).await;
        assert_eq!(
            !listed(&listed_ids).is_empty(),
            is_its_own,
            "{mode}: {listed_ids}"
        );
    }
}

const KNOWS: &str = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// Sends one request of the modern era; returns its answer, or what a stream begins with.
async fn ask_modern(guarded: &Guarded, token: &str, mode: &str, method: &str, mut params: Value) -> Value {
    let mut connection = Connection::open(guarded.gateway.address()).await;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": serde_json::from_str::<Value>(KNOWS).expect("JSON"),
    });
    let bearer = format!("Bearer {token}");
    let name = params["name"]
        .as_str()
        .or(params["taskId"].as_str())
        .unwrap_or_default();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", name),
    ];
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let path = format!("/modes/{mode}/mcp/mock");
    let answer = connection.send(Method::POST, &path, &headers, body.into()).await;
    match answer.is_stream() {
        true => answer.events().next().await.expect("a first word").json(),
        false => answer.json().await,
    }
}

fn two_with_modes(modes: &str) -> Guarded {
    let principal = |name: &str, token: &str| {
        format!("[principals.{name}]\ntoken = {token:?}\nmodes = [\"chat\", \"code\"]\n")
    };
    let parts = [
        "[[plugins]]\nname = \"mode-access\"\n".to_owned(),
        modes.to_owned(),
        principal("alice", ALICE),
        principal("bob", BOB),
        SHARED.replace("[\"mock-server\"]", "[\"mock-server\", \"--era\", \"modern\"]"),
    ];
    Guarded::start(&["mode-access"], "", &parts.concat())
}

const ALICE: &str = "alice-token-0123456789";
const BOB: &str = "bob-token-0123456789abc";

#[tokio::test]
async fn nobody_listens_to_a_task_of_another() {
    let mode =
        |name: &str| format!("[modes.{name}]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n");
    let guarded = two_with_modes(&[mode("chat"), mode("code")].concat());
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 0 } });
    let begun = ask_modern(&guarded, ALICE, "chat", "tools/call", call).await;
    let id = begun["result"]["taskId"]
        .as_str()
        .unwrap_or_else(|| panic!("{begun}"));
    for (token, mode, is_its_own) in [
        (ALICE, "chat", true),
        (ALICE, "code", false),
        (BOB, "chat", false),
    ] {
        let get = json!({ "taskId": id });
        let got = ask_modern(&guarded, token, mode, "tasks/get", get).await;
        assert_eq!(got.get("result").is_some(), is_its_own, "{mode}: {got}");
        // This era has it no more, whoever's task it is.
        let removed = ask_modern(&guarded, token, mode, "tasks/result", json!({ "taskId": id })).await;
        assert_eq!(removed["error"]["code"], -32601, "{mode}: {removed}");
        let wanted = json!({ "notifications": { "taskIds": [id] } });
        let heard = ask_modern(&guarded, token, mode, "subscriptions/listen", wanted).await;
        let honoured = &heard["params"]["notifications"];
        let expect = if is_its_own {
            json!({ "taskIds": [id] })
        } else {
            json!({})
        };
        assert_eq!(*honoured, expect, "{mode}: {heard}");
    }
}

/// What a task asks its client for is judged like what a server asks.
#[tokio::test]
async fn a_task_does_not_ask_what_a_mode_forbids() {
    let mode = |name: &str, capabilities: &str| {
        format!("[modes.{name}]\nallowed-servers = [\"*\"]\nallowed-capabilities = {capabilities}\n")
    };
    let strict = r#"["tools", "tasks", "extensions"]"#;
    let guarded = two_with_modes(&[mode("chat", strict), mode("code", r#"["*"]"#)].concat());
    for (mode, may_ask) in [("chat", false), ("code", true)] {
        let call = json!({ "name": "confirm_delete", "arguments": {} });
        let begun = ask_modern(&guarded, ALICE, mode, "tools/call", call).await;
        let id = begun["result"]["taskId"].clone();
        assert!(id.is_string(), "{mode}: {begun}");
        let asked = crate::support::within("the task asks", async {
            loop {
                let get = json!({ "taskId": id });
                let got = ask_modern(&guarded, ALICE, mode, "tasks/get", get).await;
                if got["result"]["status"] != "working" {
                    return got;
                }
            }
        });
        let asked = asked.await;
        assert_eq!(
            asked["result"]["inputRequests"].is_object(),
            may_ask,
            "{mode}: {asked}"
        );
        let refused = asked["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(refused.contains("elicitation"), !may_ask, "{mode}: {asked}");
    }
}
