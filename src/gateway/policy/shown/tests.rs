//! What messages show, and what is left of them without some of it.

use serde_json::{Value, json};

use super::*;

fn resource(uri: String) -> CatalogItem {
    CatalogItem {
        kind: "resource".to_owned(),
        name: uri,
        server: "files".to_owned(),
        description: None,
        annotations: None,
    }
}

fn document(message: &Value) -> Document {
    Document::new(message.to_string().into())
}

/// Shows a message to a policy that hides everything whose name contains `secret`.
#[track_caller]
fn check(method: &str, kind: MessageKind, message: Value, names: &[&str], left: Value) {
    assert!(can_show(method, kind));
    let document = document(&message);
    let shown = shown((method, kind), &document, "files", &resource).expect("it is clear");
    let seen: Vec<_> = shown
        .iter()
        .map(|shown| shown.item.as_ref().map_or("-", |item| &item.name))
        .collect();
    assert_eq!(seen, names);
    let kept: Vec<_> = shown
        .iter()
        .map(|shown| {
            shown
                .item
                .as_ref()
                .is_some_and(|item| !item.name.contains("secret"))
        })
        .collect();
    let text = without(&document, &shown, &kept).expect("unique keys");
    assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), left);
}

fn link(uri: &str) -> Value {
    json!({ "type": "resource_link", "uri": uri, "name": "n" })
}

fn embedded(uri: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "text": "t" } })
}

fn text() -> Value {
    json!({ "type": "text", "text": "resource" })
}

fn result(result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

#[test]
fn lists_show_their_elements() {
    check(
        "tools/list",
        MessageKind::Response,
        result(
            json!({ "tools": [{ "name": "secret" }, { "name": "b" }, { "title": "c" }], "nextCursor": "x" }),
        ),
        &["secret", "b", "-"],
        result(json!({ "tools": [{ "name": "b" }], "nextCursor": "x" })),
    );
    check(
        "resources/templates/list",
        MessageKind::Response,
        result(json!({ "resourceTemplates": [{ "uriTemplate": "a:{b}", "name": "secret" }] })),
        &["a:{b}"],
        result(json!({ "resourceTemplates": [{ "uriTemplate": "a:{b}", "name": "secret" }] })),
    );
}

#[test]
fn a_tool_loses_the_name_of_what_it_is_drawn_with_and_stays() {
    let ui = |uri: &str| json!({ "resourceUri": uri, "visibility": ["model"] });
    let tools = json!([
        { "name": "a", "_meta": { "ui": ui("ui:secret"), "x": 1 } },
        { "name": "b", "_meta": { "ui/resourceUri": "ui:secret", "ui": ui("ui:b") } },
        { "name": "secret", "_meta": { "ui": ui("ui:c") } },
        { "name": "d", "_meta": { "ui": { "resourceUri": 7 }, "ui/resourceUri": "ui:secret" } },
    ]);
    let left = json!([
        { "name": "a", "_meta": { "ui": { "visibility": ["model"] }, "x": 1 } },
        { "name": "b", "_meta": { "ui": ui("ui:b") } },
        { "name": "d", "_meta": { "ui": {} } },
    ]);
    let names = [
        "ui:secret",
        "a",
        "ui:b",
        "ui:secret",
        "b",
        "ui:c",
        "secret",
        "-",
        "ui:secret",
        "d",
    ];
    check(
        "tools/list",
        MessageKind::Response,
        result(json!({ "tools": tools })),
        &names,
        result(json!({ "tools": left })),
    );
    check(
        "tools/call",
        MessageKind::Response,
        result(json!({ "content": [text()], "_meta": { "ui": ui("ui:secret") } })),
        &["ui:secret"],
        result(json!({ "content": [text()], "_meta": { "ui": { "visibility": ["model"] } } })),
    );
}

#[test]
fn tasks_are_listed_as_such() {
    check(
        "tasks/list",
        MessageKind::Response,
        result(json!({ "tasks": [{ "taskId": "a" }, { "taskId": "secret" }] })),
        &["a", "secret"],
        result(json!({ "tasks": [{ "taskId": "a" }] })),
    );
}

#[test]
fn an_element_has_what_its_list_says_of_it() {
    let message = result(
        json!({ "tools": [{ "name": "a", "description": "d", "annotations": { "readOnlyHint": true } }] }),
    );
    let shown = shown(
        ("tools/list", MessageKind::Response),
        &document(&message),
        "files",
        &resource,
    );
    let item = shown.expect("clear").remove(0).item.expect("a name");
    assert_eq!((item.kind.as_str(), item.server.as_str()), ("tool", "files"));
    assert_eq!(item.description.as_deref(), Some("d"));
    assert_eq!(item.annotations.as_deref(), Some(r#"{"readOnlyHint":true}"#));
}

#[test]
fn results_show_the_resources_in_them() {
    check(
        "tools/call",
        MessageKind::Response,
        result(json!({ "content": [text(), link("a:secret"), embedded("a:b"), { "type": "resource" }] })),
        &["a:secret", "a:b", "-"],
        result(json!({ "content": [text(), embedded("a:b")] })),
    );
    let (whole, left) = (json!([link("a:secret"), text()]), json!([text()]));
    let task =
        |content: &Value| json!({ "taskId": "7", "status": "completed", "result": { "content": content } });
    check(
        "tasks/get",
        MessageKind::Response,
        result(task(&whole)),
        &["a:secret"],
        result(task(&left)),
    );
    let status = |content| json!({ "method": "notifications/tasks", "params": task(content) });
    check(
        "notifications/tasks",
        MessageKind::Notification,
        status(&whole),
        &["a:secret"],
        status(&left),
    );
    check(
        "resources/read",
        MessageKind::Response,
        result(json!({ "contents": [{ "uri": "a:b", "text": "" }, { "uri": "a:secret", "text": "" }] })),
        &["a:b", "a:secret"],
        result(json!({ "contents": [{ "uri": "a:b", "text": "" }] })),
    );
}

#[test]
fn an_escaped_type_is_no_hiding_place() {
    let message = br#"{"result":{"content":[{"type":"\u0072esource_link","uri":"a:secret"}]}}"#;
    let document = Document::new(message.as_slice().into());
    let shown = shown(
        ("tools/call", MessageKind::Response),
        &document,
        "files",
        &resource,
    );
    assert_eq!(shown.expect("clear").len(), 1);
}

#[test]
fn prompts_show_the_resources_in_their_messages() {
    let message = |content: Value| json!({ "role": "user", "content": content });
    check(
        "prompts/get",
        MessageKind::Response,
        result(
            json!({ "messages": [message(embedded("a:secret")), message(text()), message(json!([link("a:secret"), text()]))] }),
        ),
        &["a:secret", "a:secret"],
        result(json!({ "messages": [message(text()), message(json!([text()]))] })),
    );
}

#[test]
fn questions_to_the_client_show_the_resources_in_them() {
    let ask = |content: Value| json!({ "method": "sampling/createMessage", "params": { "messages": [{ "role": "user", "content": content }] } });
    let used = |content: Value| json!({ "type": "tool_result", "toolUseId": "1", "content": content });
    check(
        "sampling/createMessage",
        MessageKind::Request,
        ask(json!([
            used(json!([link("a:secret"), text()])),
            used(json!([used(json!([]))]))
        ])),
        &["a:secret", "-"],
        ask(json!([used(json!([text()])), used(json!([]))])),
    );
    check(
        "sampling/createMessage",
        MessageKind::Request,
        ask(used(json!([link("a:secret")]))),
        &["a:secret"],
        ask(used(json!([]))),
    );
}

#[test]
fn what_cannot_be_read_without_guessing_is_unclear() {
    let read = |method, text: &'static str| {
        let document = Document::new(text.as_bytes().into());
        shown((method, MessageKind::Response), &document, "files", &resource)
    };
    assert!(read("tools/list", r#"{"result":{"tools":{"0":{"name":"a"}}}}"#).is_err());
    assert!(read("tools/list", r#"{"result":{"tools":[],"tools":[{"name":"a"}]}}"#).is_err());
    assert!(read("tools/list", r#"{"result":{"tools":[{"name":"a","name":"b"}]}}"#).is_err());
    assert!(
        read(
            "tools/call",
            r#"{"result":{"content":[{"type":"text","type":"resource"}]}}"#
        )
        .is_err()
    );
    assert_eq!(read("tools/list", r#"{"result":{}}"#), Ok(Vec::new()));
    for nothing in [
        r#"{"result":{"status":"working","x":"resource"}}"#,
        r#"{"result":{"result":"resource"}}"#,
    ] {
        assert_eq!(read("tasks/get", nothing), Ok(Vec::new()), "{nothing}");
    }
}

#[test]
fn other_messages_show_nothing() {
    for (method, kind) in [
        ("tools/call", MessageKind::Request),
        ("tools/call", MessageKind::ErrorResponse),
        ("completion/complete", MessageKind::Response),
        ("notifications/message", MessageKind::Notification),
    ] {
        assert!(!can_show(method, kind), "{method}");
    }
}
