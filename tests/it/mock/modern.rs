//! What the mock server says to requests of the modern era, besides questions, subscriptions and tasks.

use serde_json::{Value, json};

use super::driver::{MODERN, Mock, text};

#[test]
fn discover_says_what_is_spoken_and_what_can_be_done() {
    let mut mock = Mock::start(&[
        "--name=one",
        "--server-version=9",
        "--ttl-ms=700",
        "--cache-scope=private",
    ]);
    let result = mock.modern("server/discover", json!({}), json!({}))["result"].clone();
    assert_eq!(result["supportedVersions"], json!([MODERN]));
    assert_eq!(
        result["_meta"],
        json!({ "io.modelcontextprotocol/serverInfo": { "name": "one", "version": "9" } })
    );
    assert_eq!(
        (&result["ttlMs"], &result["cacheScope"]),
        (&700.into(), &"private".into())
    );
    assert!(result["instructions"].is_string());
    let capabilities = &result["capabilities"];
    assert_eq!(capabilities["tools"], json!({ "listChanged": true }));
    assert!(capabilities["extensions"]["io.modelcontextprotocol/tasks"].is_object());
}

#[test]
fn every_result_has_its_type_and_what_may_be_kept_says_how_long() {
    let mut mock = Mock::start(&["--ttl-ms=5"]);
    for (method, params, is_kept) in [
        ("tools/list", json!({}), true),
        ("resources/list", json!({}), true),
        ("resources/templates/list", json!({}), true),
        ("prompts/list", json!({}), true),
        ("resources/read", json!({ "uri": "test://static-text" }), true),
        (
            "resources/read",
            json!({ "uri": "skill://greeting/SKILL.md" }),
            true,
        ),
        ("skills/list", json!({}), true),
        ("skills/get", json!({ "uri": "skill://greeting/SKILL.md" }), true),
        (
            "resources/directory/read",
            json!({ "uri": "skill://greeting" }),
            true,
        ),
        ("prompts/get", json!({ "name": "test_simple_prompt" }), false),
        ("tools/call", json!({ "name": "echo" }), false),
        (
            "tools/call",
            json!({ "name": "sleep", "arguments": { "ms": 1 } }),
            false,
        ),
        ("tools/call", json!({ "name": "test_error_handling" }), false),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "x" }, "argument": { "name": "y", "value": "" } }),
            false,
        ),
    ] {
        let result = mock.modern(method, params, json!({}))["result"].clone();
        assert_eq!(result["resultType"], "complete", "{method}: {result}");
        assert!(
            result["_meta"]["io.modelcontextprotocol/serverInfo"].is_object(),
            "{method}"
        );
        let kept = (result.get("ttlMs"), result.get("cacheScope"));
        let expect = is_kept.then(|| (json!(5), json!("public")));
        assert_eq!(
            kept,
            (
                expect.as_ref().map(|(ttl, _)| ttl),
                expect.as_ref().map(|(_, scope)| scope)
            ),
            "{method}"
        );
    }
}

#[test]
fn what_is_not_there_is_a_wrong_parameter_that_is_named() {
    let mut mock = Mock::start(&[]);
    for method in ["resources/read", "skills/get", "resources/directory/read"] {
        let error = mock.modern(method, json!({ "uri": "test://nowhere" }), json!({}))["error"].clone();
        assert_eq!(
            (&error["code"], &error["data"]["uri"]),
            (&json!(-32602), &json!("test://nowhere")),
            "{method}"
        );
    }
}

#[test]
fn log_messages_come_to_requests_that_want_them() {
    let mut mock = Mock::start(&[]);
    let call = |level: Option<&str>| {
        let mut params = json!({ "name": "test_logging_tool", "arguments": {} });
        if let Some(level) = level {
            params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": level });
        }
        params
    };
    mock.modern("tools/call", call(None), json!({}));
    mock.modern("tools/call", call(Some("error")), json!({}));
    mock.begin_modern("tools/call", call(Some("info")), json!({}));
    for _ in 0..2 {
        let message = mock.next();
        assert_eq!(
            (&message["method"], &message["params"]["level"]),
            (&"notifications/message".into(), &"info".into())
        );
    }
    assert_eq!(text(&mock.next()["result"]), "Logged");
}

#[test]
fn progress_comes_with_the_token_of_the_request() {
    let mut mock = Mock::start(&[]);
    let params =
        json!({ "name": "progress", "arguments": { "steps": 2 }, "_meta": { "progressToken": "p" } });
    let id = mock.begin_modern("tools/call", params, json!({}));
    for step in 1..=2 {
        let report = mock.next();
        assert_eq!(
            (&report["params"]["progressToken"], &report["params"]["progress"]),
            (&"p".into(), &step.into())
        );
    }
    assert_eq!(mock.next()["id"], id);
}

#[test]
fn annotated_arguments_are_listed_and_a_wrong_annotation_only_on_demand() {
    let tool = |mock: &mut Mock, name: &str| {
        let list = mock.modern("tools/list", json!({}), json!({}))["result"]["tools"].clone();
        let tools = list.as_array().expect("a list").clone();
        tools.into_iter().find(|tool| tool["name"] == name)
    };
    let mut mock = Mock::start(&[]);
    let regional = tool(&mut mock, "regional").expect("it is offered");
    let properties = &regional["inputSchema"]["properties"];
    let header = |name: &str| properties[name]["x-mcp-header"].clone();
    assert_eq!(
        (
            header("region"),
            header("count"),
            header("urgent"),
            header("note")
        ),
        (json!("Region"), json!("Count"), json!("Urgent"), Value::Null)
    );
    assert_eq!(tool(&mut mock, "misannotated"), None);
    assert!(tool(&mut Mock::start(&["--invalid-header-tool"]), "misannotated").is_some());
}

#[test]
fn the_state_tells_what_was_asked_and_who_asked_last() {
    let mut mock = Mock::start(&[]);
    mock.modern("tools/list", json!({}), json!({}));
    mock.request("tools/list", json!({}));
    mock.modern("resources/read", json!({ "uri": "test://nowhere" }), json!({}));
    let params = json!({ "name": "state", "_meta": { "io.modelcontextprotocol/logLevel": "error" } });
    let answer = mock.modern("tools/call", params, json!({ "sampling": {} }));
    let state: Value = serde_json::from_str(text(&answer["result"])).expect("JSON");
    assert_eq!(state["asked"], json!({ "tools/list": 2, "resources/read": 1 }));
    assert_eq!(
        state["lastMeta"],
        json!({
            "protocolVersion": MODERN,
            "clientCapabilities": { "sampling": {} },
            "clientInfo": { "name": "test", "version": "1" },
            "logLevel": "error",
        })
    );
    assert_eq!(
        mock.state()["lastMeta"],
        state["lastMeta"],
        "a legacy request says nothing"
    );
}
