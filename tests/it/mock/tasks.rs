//! The extension `tasks` of the mock server.

use serde_json::{Value, json};

use super::driver::{Mock, text};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

fn capable() -> Value {
    json!({ "elicitation": {}, "extensions": { EXTENSION: {} } })
}

/// Begins a task and returns its id.
fn begin(mock: &mut Mock, tool: &str, arguments: Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments });
    let result = mock.modern("tools/call", params, capable())["result"].clone();
    assert_eq!(
        (&result["resultType"], &result["status"]),
        (&"task".into(), &"working".into()),
        "{result}"
    );
    assert!(
        result["createdAt"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{result}"
    );
    result["taskId"].as_str().expect("an id").to_owned()
}

fn ask(mock: &mut Mock, method: &str, params: Value) -> Value {
    mock.modern(method, params, capable())
}

/// Listens to a task until it has this status, and returns it as it is then.
fn wait(mock: &mut Mock, id: &str, status: &str) -> Value {
    let wanted = json!({ "notifications": { "taskIds": [id] } });
    let listen = mock.begin_modern("subscriptions/listen", wanted, capable());
    assert_eq!(mock.next()["params"]["notifications"]["taskIds"], json!([id]));
    let get = mock.begin_modern("tasks/get", json!({ "taskId": id }), capable());
    let (mut task, mut is_answered) = (Value::Null, false);
    while !is_answered || task["status"] != status {
        let mut message = mock.next();
        if message["method"] == "notifications/tasks" {
            task = message["params"].take();
            continue;
        }
        assert_eq!(message["id"], get, "{message}");
        is_answered = true;
        // What was told meanwhile is newer.
        if task.is_null() {
            task = message["result"].take();
        }
    }
    mock.send(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": listen } }),
    );
    task
}

#[test]
fn a_call_becomes_a_task_only_for_who_knows_tasks() {
    let mut mock = Mock::start(&[]);
    let call =
        |name: &str| json!({ "name": name, "arguments": { "seconds": 0, "label": "x", "name": "World" } });
    let awaited = mock.modern("tools/call", call("slow_compute"), json!({}))["result"].clone();
    assert_eq!(
        (&awaited["resultType"], text(&awaited)),
        (&"complete".into(), "computed x for 0 s")
    );
    let refused = mock.modern("tools/call", call("failing_job"), json!({}))["error"].clone();
    assert_eq!(refused["code"], -32021);
    assert_eq!(
        refused["data"],
        json!({ "requiredCapabilities": { "extensions": { EXTENSION: {} } } })
    );
    assert_eq!(
        text(&ask(&mut mock, "tools/call", call("greet"))["result"]),
        "Hello, World!"
    );
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let error = mock.modern(method, json!({ "taskId": "x" }), json!({}))["error"].clone();
        assert_eq!(error["code"], -32021, "{method}");
        assert_eq!(
            ask(&mut mock, method, json!({ "taskId": "x" }))["error"]["code"],
            -32602,
            "{method}"
        );
    }
}

#[test]
fn tasks_end_with_a_result_an_error_or_when_cancelled() {
    let mut mock = Mock::start(&[]);
    let id = begin(&mut mock, "slow_compute", json!({ "seconds": 0 }));
    let done = wait(&mut mock, &id, "completed");
    assert_eq!(text(&done["result"]), "computed nothing for 0 s");
    let id = begin(&mut mock, "failing_job", json!({}));
    assert_eq!(wait(&mut mock, &id, "completed")["result"]["isError"], true);
    let id = begin(&mut mock, "protocol_error_job", json!({}));
    let failed = wait(&mut mock, &id, "failed");
    assert_eq!(
        (&failed["error"]["code"], failed.get("result")),
        (&json!(-32603), None)
    );
    let id = begin(&mut mock, "slow_compute", json!({ "seconds": 3600 }));
    for _ in 0..2 {
        let acknowledged = ask(&mut mock, "tasks/cancel", json!({ "taskId": id }))["result"].clone();
        assert_eq!(
            (&acknowledged["resultType"], acknowledged.get("taskId")),
            (&"complete".into(), None)
        );
    }
    assert_eq!(wait(&mut mock, &id, "cancelled")["status"], "cancelled");
}

#[test]
fn a_task_asks_until_every_answer_is_there() {
    let mut mock = Mock::start(&[]);
    let id = begin(&mut mock, "multi_input", json!({}));
    let keys = |task: &Value| -> Vec<String> {
        task["inputRequests"]
            .as_object()
            .expect("questions")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(&wait(&mut mock, &id, "input_required")), ["first", "second"]);
    let update = |mock: &mut Mock, key: &str, name: &str| {
        let answer = json!({ "action": "accept", "content": { "name": name } });
        let params = json!({ "taskId": id, "inputResponses": { key: answer, "unknown": {} } });
        assert_eq!(
            ask(mock, "tasks/update", params)["result"]["resultType"],
            "complete"
        );
    };
    update(&mut mock, "first", "Alice");
    assert_eq!(
        keys(&ask(&mut mock, "tasks/get", json!({ "taskId": id }))["result"]),
        ["second"]
    );
    update(&mut mock, "second", "Bob");
    let done = wait(&mut mock, &id, "completed");
    assert_eq!(text(&done["result"]), "Alice and Bob");
    assert!(done.get("requestState").is_none());
}

#[test]
fn a_question_comes_before_the_task() {
    let mut mock = Mock::start(&[]);
    let mut params = json!({ "name": "test_tool_with_task", "arguments": {} });
    let asked = ask(&mut mock, "tools/call", params.clone())["result"].clone();
    assert_eq!(
        (&asked["resultType"], asked.get("taskId")),
        (&"input_required".into(), None)
    );
    params["inputResponses"] = json!({ "user_name": { "action": "accept", "content": { "name": "Alice" } } });
    let task = ask(&mut mock, "tools/call", params)["result"].clone();
    assert_eq!(task["resultType"], "task");
    let id = task["taskId"].as_str().expect("an id").to_owned();
    assert_eq!(
        text(&wait(&mut mock, &id, "completed")["result"]),
        "Hello, Alice!"
    );
}
