//! Start, stop, restart, enable, disable: what they do, and in which states they are refused.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::operator::Operator;
use super::{gateway, mock};
use crate::support::{Client, text_of, within};

#[tokio::test]
async fn orders_do_what_they_say_or_are_refused() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let refused = async |verb: &str| {
        let path = format!("/servers/mock/{verb}");
        let refused = operator.refused(Method::POST, &path, None).await;
        assert_eq!(refused, (409, "invalid_state".to_owned()), "{verb}");
    };
    let phase = async |verb: &str| {
        let record = operator.order("mock", verb).await;
        json!([record["status"], record["connectionState"], record["phase"]])
    };
    refused("stop").await;
    refused("enable").await;
    assert_eq!(phase("start").await, json!(["enabled", "connected", "ready"]));
    refused("start").await;
    let before = operator.get("/servers/mock").await;
    assert_eq!(phase("restart").await, json!(["enabled", "connected", "ready"]));
    let after = operator.get("/servers/mock").await;
    assert_ne!(before["pid"], after["pid"]);
    assert_eq!((&after["generation"], &after["restarts"]), (&json!(2), &json!(0)));
    assert_eq!(phase("stop").await, json!(["enabled", "disconnected", "stopped"]));
    refused("stop").await;
    assert_eq!(phase("restart").await, json!(["enabled", "connected", "ready"]));
    assert_eq!(
        phase("disable").await,
        json!(["disabled", "disconnected", "stopped"])
    );
    for verb in ["disable", "start", "stop", "restart"] {
        refused(verb).await;
    }
    assert_eq!(
        phase("enable").await,
        json!(["enabled", "disconnected", "stopped"])
    );
    let unknown = operator
        .refused(Method::POST, "/servers/nobody/start", None)
        .await;
    assert_eq!(unknown, (404, "server_not_found".to_owned()));
}

#[tokio::test]
async fn a_stopped_server_starts_with_the_next_request() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let mut client = Client::open(&gateway, "mock").await;
    operator.order("mock", "stop").await;
    let answer = client.call("echo", json!({ "a": 1 })).await;
    assert_eq!(text_of(&answer), "{\"a\":1}");
}

#[tokio::test]
async fn a_start_that_fails_says_so_and_does_not_hang() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let mut crashes = mock("crashes");
    crashes["args"] = json!(["mock-server", "--crash-after", "1", "--exit-code", "7"]);
    operator.request(Method::POST, "/servers", Some(crashes)).await;
    for verb in ["start", "restart"] {
        let record = within(verb, operator.order("crashes", verb)).await;
        assert_eq!(record["status"], "enabled");
        assert_ne!(record["connectionState"], "connected");
        let error = record["lastError"].as_str().expect("why it is not there");
        assert!(error.contains('7'), "{error}");
    }
    let session = json!({ "name": "own", "command": "@self", "args": ["mock-server"], "sharing": "session" });
    operator.request(Method::POST, "/servers", Some(session)).await;
    for verb in ["start", "restart"] {
        let path = format!("/servers/own/{verb}");
        let refused = operator.refused(Method::POST, &path, None).await;
        assert_eq!(
            refused,
            (409, "invalid_state".to_owned()),
            "its processes belong to sessions"
        );
    }
}

#[tokio::test]
async fn disabling_answers_what_is_in_flight_and_ends_sessions() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    for verb in ["disable", "unregister"] {
        operator
            .request(Method::POST, "/servers", Some(mock("short")))
            .await;
        let client = Client::open(&gateway, "short").await;
        let mut waiting = client.fork().await;
        let call = tokio::spawn(async move { waiting.call("hang", json!({})).await });
        let (stream, _connection) = client.fork().await.listen().await;
        until_in_flight(&operator, "short").await;
        let pid = operator.get("/servers/short").await["pid"].clone();
        match verb {
            "disable" => drop(operator.order("short", "disable").await),
            _ => drop(operator.request(Method::DELETE, "/servers/short", None).await),
        }
        let answer = within("the answer", call).await.expect("no panic");
        assert!(answer["error"]["message"].is_string(), "{verb}: {answer}");
        let mut stream = stream;
        while stream.next().await.is_some() {}
        let mut client = client;
        let list = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/list" });
        assert_eq!(client.post(&list).await.status(), StatusCode::NOT_FOUND, "{verb}");
        let process =
            crate::support::Process::find(u32::try_from(pid.as_u64().expect("a pid")).expect("fits"));
        assert!(
            process.is_none_or(|process| !process.is_alive()),
            "{verb}: nothing runs on"
        );
        operator.request(Method::DELETE, "/servers/short", None).await;
    }
    let said = gateway.output();
    let lines = said.lines().filter(|line| line.contains("actor=admin")).count();
    assert!(
        lines >= 5,
        "registered, disabled, unregistered, registered, unregistered:\n{said}"
    );
    assert!(said.contains("cause=disabled by admin"), "{said}");
}

/// Waits until a request of the server's only session is in flight: nothing announces that.
async fn until_in_flight(operator: &Operator, server: &str) {
    let path = format!("/servers/{server}/sessions");
    within("a request in flight", async {
        loop {
            let sessions: Value = operator.get(&path).await;
            if sessions["sessions"][0]["inFlight"] == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}
