//! Tasks that a client listens to (2026-07-28, extension `tasks`): its own, on a server that others share.

use serde_json::{Value, json};

use super::listener::{Modern, gateway};
use super::peer::{LATEST, Peer};

fn knows_tasks() -> Value {
    json!({ "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } })
}

/// Begins a task that asks its client for something, and returns its id.
async fn begin(client: &Modern<'_>) -> String {
    let call = json!({ "name": "confirm_delete", "arguments": {} });
    let (answer, _connection) = client.post(json!(1), "tools/call", call).await;
    let begun = answer.json().await;
    assert_eq!(begun["result"]["resultType"], "task", "{begun}");
    begun["result"]["taskId"].as_str().expect("an id").to_owned()
}

async fn ask(client: &Modern<'_>, method: &str, params: Value) -> Value {
    let (answer, _connection) = client.post(json!(1), method, params).await;
    answer.json().await
}

#[tokio::test]
async fn a_client_hears_of_its_own_tasks() {
    let gateway = gateway("modern", "");
    let client = Modern::with(&gateway, knows_tasks());
    let (id, other) = (begin(&client).await, begin(&client).await);
    let wanted = json!({ "taskIds": [id, "nobodys"], "toolsListChanged": true });
    let (mut stream, honoured) = client.listen(json!("a"), wanted).await;
    assert_eq!(honoured, json!({ "taskIds": [id], "toolsListChanged": true }));
    let mut requests = Value::Null;
    super::peer::until("the task asks", async || {
        let task = ask(&client, "tasks/get", json!({ "taskId": id })).await["result"].clone();
        requests = task["inputRequests"].clone();
        (task["status"] == "input_required").then_some(())
    })
    .await;
    let key = requests
        .as_object()
        .expect("questions")
        .keys()
        .next()
        .expect("one");
    for id in [&other, &id] {
        let responses = json!({ key: { "action": "accept", "content": { "confirm": true } } });
        let update = json!({ "taskId": id, "inputResponses": responses });
        let updated = ask(&client, "tasks/update", update).await;
        assert_eq!(updated["result"]["resultType"], "complete", "{updated}");
    }
    let mut told = stream.next().await;
    while told["params"]["status"] != "completed" {
        assert_eq!(
            (&told["method"], &told["params"]["taskId"]),
            (&json!("notifications/tasks"), &json!(id)),
            "{told}"
        );
        told = stream.next().await;
    }
    assert!(told["params"]["result"].is_object(), "{told}");
    gateway.stop().await;
}

/// What becomes of a task while nobody listens can be asked afterwards.
#[tokio::test]
async fn after_a_break_a_client_hears_how_its_tasks_are_doing() {
    let gateway = gateway("modern", "");
    let client = Modern::with(&gateway, knows_tasks());
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 3600 } });
    let (answer, _connection) = client.post(json!(1), "tools/call", call).await;
    let id = answer.json().await["result"]["taskId"].clone();
    let (mut stream, _) = client.listen(json!("a"), json!({ "taskIds": [id] })).await;
    client.text("end_listens", json!({})).await;
    let told = stream.next().await;
    assert_eq!(
        (
            &told["method"],
            &told["params"]["taskId"],
            &told["params"]["status"]
        ),
        (&json!("notifications/tasks"), &id, &json!("working")),
        "{told}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_know_tasks_does_not_listen_to_them() {
    let gateway = gateway("modern", "");
    let error = Modern::of(&gateway)
        .refused(json!({ "notifications": { "taskIds": ["a"] } }))
        .await;
    assert_eq!(error["code"], -32021, "{error}");
    assert_eq!(
        error["data"]["requiredCapabilities"],
        json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } })
    );
    gateway.stop().await;
}

#[tokio::test]
async fn tasks_of_one_era_are_none_of_the_other() {
    let gateway = gateway("legacy", "");
    let client = Modern::with(&gateway, knows_tasks());
    let (_stream, honoured) = client.listen(json!("a"), json!({ "taskIds": ["a"] })).await;
    assert_eq!(honoured, json!({}), "such a server tells of none");
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let refused = ask(&client, method, json!({ "taskId": "a" })).await;
        assert!(refused["error"].is_object(), "{method}: {refused}");
    }
    gateway.stop().await;
}

/// The extension works with the handshake, too, for who has declared it; a task is still its session's alone.
#[tokio::test]
async fn a_client_with_a_handshake_that_knows_the_extension_gets_tasks_as_they_are() {
    let gateway = gateway("modern", "");
    let (one, _) = Peer::open_as(&gateway, "mock", LATEST, knows_tasks()).await;
    let (other, _) = Peer::open_as(&gateway, "mock", LATEST, knows_tasks()).await;
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 0 } });
    let begun = one.request("tools/call", call.clone()).await;
    assert_eq!(begun["result"]["resultType"], "task", "{begun}");
    let get = json!({ "taskId": begun["result"]["taskId"] });
    let got = one.request("tasks/get", get.clone()).await;
    assert_eq!(got["result"]["taskId"], get["taskId"], "{got}");
    let refused = other.request("tasks/get", get.clone()).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let plain = Peer::open(&gateway, "mock").await;
    let answer = plain.request("tools/call", call).await;
    assert!(
        answer["result"]["content"].is_array(),
        "it waits for the result: {answer}"
    );
    let refused = plain.request("tasks/get", get).await;
    assert!(refused["error"].is_object(), "{refused}");
    gateway.stop().await;
}
