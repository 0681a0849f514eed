//! `subscriptions/listen` of the mock server.

use serde_json::{Value, json};

use super::driver::{LATEST, Mock, text};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Begins to listen and returns the id and what the server honours.
fn listen(mock: &mut Mock, notifications: Value) -> (u64, Value) {
    let id = mock.begin_modern(
        "subscriptions/listen",
        json!({ "notifications": notifications }),
        json!({}),
    );
    let first = mock.next();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["_meta"][ID], id);
    (id, first["params"]["notifications"].clone())
}

/// Calls a tool and returns the methods and subscriptions of the notifications that come before its answer.
fn told(mock: &mut Mock, tool: &str, arguments: Value) -> Vec<(String, Value)> {
    let params = json!({ "name": tool, "arguments": arguments });
    let id = mock.begin_modern("tools/call", params, json!({}));
    let mut notifications = Vec::new();
    loop {
        let message = mock.next();
        if message["id"] == id {
            return notifications;
        }
        let method = message["method"].as_str().expect("a notification").to_owned();
        notifications.push((method, message["params"]["_meta"][ID].clone()));
    }
}

#[test]
fn the_honoured_subset_is_acknowledged() {
    let mut mock = Mock::start(&[]);
    let wanted = json!({
        "toolsListChanged": true,
        "promptsListChanged": false,
        "resourceSubscriptions": ["test://watched-resource", "test://nowhere"],
        "taskIds": ["nobody's"],
        "somethingElse": true,
    });
    let (_, honoured) = listen(&mut mock, wanted);
    assert_eq!(
        honoured,
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["test://watched-resource"] })
    );
    let missing = mock.modern("subscriptions/listen", json!({}), json!({}));
    assert_eq!(missing["error"]["code"], -32602);
}

#[test]
fn each_listen_hears_what_it_asked_for() {
    let mut mock = Mock::start(&[]);
    assert_eq!(told(&mut mock, "test_trigger_tool_change", json!({})), []);
    let (tools, _) = listen(&mut mock, json!({ "toolsListChanged": true }));
    let (all, _) = listen(
        &mut mock,
        json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true }),
    );
    let watched = "test://watched-resource";
    let (updates, _) = listen(&mut mock, json!({ "resourceSubscriptions": [watched] }));
    let changed = |of: &str, id: u64| (format!("notifications/{of}/list_changed"), json!(id));
    assert_eq!(
        told(&mut mock, "test_trigger_tool_change", json!({})),
        [changed("tools", tools), changed("tools", all)]
    );
    assert_eq!(
        told(&mut mock, "test_trigger_prompt_change", json!({})),
        [changed("prompts", all)]
    );
    assert_eq!(
        told(&mut mock, "change", json!({ "kind": "resources" })),
        [changed("resources", all)]
    );
    let updated = |id: u64| ("notifications/resources/updated".to_owned(), json!(id));
    assert_eq!(
        told(&mut mock, "touch", json!({ "uri": watched })),
        [updated(updates)]
    );
    assert_eq!(
        told(&mut mock, "touch", json!({ "uri": "test://static-text" })),
        []
    );
    // A server that does not keep to the filters.
    assert_eq!(
        told(
            &mut mock,
            "touch",
            json!({ "uri": "test://static-text", "force": true })
        ),
        [updated(tools), updated(all), updated(updates)]
    );
    let open = mock.modern_state()["listens"].clone();
    assert_eq!(open.as_array().map(Vec::len), Some(3));
    assert_eq!(
        open[0],
        json!({ "id": tools, "notifications": { "toolsListChanged": true } })
    );
}

#[test]
fn a_cancelled_listen_ends_without_an_answer() {
    let mut mock = Mock::start(&[]);
    let (id, _) = listen(&mut mock, json!({ "toolsListChanged": true }));
    mock.send(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }),
    );
    assert_eq!(told(&mut mock, "change", json!({ "kind": "tools" })), []);
    let state = mock.modern_state();
    assert_eq!((&state["listens"], &state["cancelled"]), (&json!([]), &1.into()));
}

#[test]
fn the_server_ends_listens_as_ordered() {
    let mut mock = Mock::start(&[]);
    let mut end = |with: &str| {
        let id = mock.begin_modern(
            "subscriptions/listen",
            json!({ "notifications": { "toolsListChanged": true } }),
            json!({}),
        );
        mock.next();
        mock.begin_modern(
            "tools/call",
            json!({ "name": "end_listens", "arguments": { "with": with } }),
            json!({}),
        );
        let farewell = mock.next();
        assert_eq!(text(&mock.next()["result"]), "ended");
        (id, farewell)
    };
    let (id, farewell) = end("result");
    assert_eq!(
        (&farewell["id"], &farewell["result"]["resultType"]),
        (&id.into(), &"complete".into())
    );
    assert_eq!(farewell["result"]["_meta"][ID], id);
    let (id, farewell) = end("cancelled");
    assert_eq!(
        (&farewell["method"], &farewell["params"]["requestId"]),
        (&"notifications/cancelled".into(), &id.into())
    );
    let (id, farewell) = end("error");
    assert_eq!(
        (&farewell["id"], &farewell["error"]["code"]),
        (&id.into(), &json!(-32603))
    );
}

#[test]
fn both_eras_hear_of_one_change() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    let (id, _) = listen(&mut mock, json!({ "toolsListChanged": true }));
    let method = "notifications/tools/list_changed".to_owned();
    assert_eq!(
        told(&mut mock, "change", json!({ "kind": "tools" })),
        [(method.clone(), Value::Null), (method, json!(id))]
    );
    let params = json!({ "notifications": {}, "_meta": super::driver::modern_meta(json!({})) });
    mock.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params }));
    assert_eq!(mock.next()["error"]["code"], -32600, "an id listens once");
}

#[test]
fn noise_comes_on_a_listen_without_a_handshake() {
    let mut mock = Mock::start(&[
        "--notify-every=5",
        "--notify-method=notifications/tools/list_changed",
    ]);
    let (id, _) = listen(&mut mock, json!({ "toolsListChanged": true }));
    for _ in 0..3 {
        let noise = mock.next();
        assert_eq!(
            (&noise["method"], &noise["params"]["_meta"][ID]),
            (&"notifications/tools/list_changed".into(), &id.into())
        );
    }
}
