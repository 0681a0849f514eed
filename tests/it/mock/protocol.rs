//! What a well-behaved mock server says.

use serde_json::json;

use portcullis::protocol::ProtocolVersion;

use super::driver::{LATEST, Mock, command, text};

#[test]
fn every_handshake_version_is_negotiated_with_what_it_knows() {
    for version in ProtocolVersion::HANDSHAKE.map(ProtocolVersion::as_str) {
        let mut mock = Mock::start(&["--name", "one", "--server-version", "9"]);
        let result = mock.initialize(version, json!({}));
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"], json!({ "name": "one", "version": "9" }));
        assert_eq!(
            result["capabilities"]["resources"],
            json!({ "subscribe": true, "listChanged": true })
        );
        assert_eq!(result["capabilities"]["logging"], json!({}));
        let knows_completions = version > "2024-11-05";
        assert_eq!(
            result["capabilities"].get("completions").is_some(),
            knows_completions
        );
        let argument = json!({ "name": "arg1", "value": "par" });
        let reference = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
        let answer = mock.request(
            "completion/complete",
            json!({ "ref": reference, "argument": argument }),
        );
        assert_eq!(answer.get("result").is_some(), knows_completions, "{answer}");
    }
    let mut mock = Mock::start(&[]);
    assert_eq!(
        mock.initialize("2026-07-28", json!({}))["protocolVersion"],
        LATEST
    );
    let mut mock = Mock::start(&["--protocol-version", "1999-01-01"]);
    assert_eq!(
        mock.initialize(LATEST, json!({}))["protocolVersion"],
        "1999-01-01"
    );
}

#[test]
fn a_client_is_asked_only_what_it_declared() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "sampling": {} }));
    let refused = mock.call("test_elicitation", json!({ "message": "name?" }));
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("elicitation capability"), "{refused}");

    let call = mock.begin_call("test_sampling", json!({ "prompt": "capital?" }));
    let question = mock.next();
    assert_eq!(question["method"], "sampling/createMessage");
    assert_eq!(question["params"]["maxTokens"], 100);
    assert_eq!(question["params"]["messages"][0]["content"]["text"], "capital?");
    let content = json!({ "type": "text", "text": "Paris" });
    let result = json!({ "role": "assistant", "content": content, "model": "m" });
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    let answer = mock.next();
    assert_eq!(
        (&answer["id"], text(&answer["result"])),
        (&call.into(), "LLM response: Paris")
    );

    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    let state = mock.state();
    assert_eq!(
        (&state["responses"], &state["responsesUnmatched"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn elicitation_comes_back_with_action_and_content() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "elicitation": {} }));
    mock.begin_call("test_elicitation", json!({ "message": "who?" }));
    let question = mock.next();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(
        question["params"]["requestedSchema"]["required"],
        json!(["username", "email"])
    );
    let reply = json!({ "action": "accept", "content": { "username": "u" } });
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": reply }));
    let answer = mock.next();
    assert_eq!(
        text(&answer["result"]),
        "User response: action=accept, content={\"username\":\"u\"}"
    );
}

#[test]
fn a_cancelled_call_is_not_answered_and_takes_its_question_back() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "roots": {} }));
    let sleeping = mock.begin_call("sleep", json!({ "ms": 3_600_000 }));
    let asking = mock.begin_call("ask", json!({ "method": "roots/list" }));
    let question = mock.next();
    for id in [sleeping, asking] {
        let params = json!({ "requestId": id });
        mock.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    }
    let withdrawn = mock.next();
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let state = mock.state();
    assert_eq!((&state["cancelled"], &state["running"]), (&2.into(), &0.into()));
}

#[test]
fn input_without_end_of_line_is_answered_and_the_end_of_input_ends_it() {
    let mut mock = Mock::start(&[]);
    mock.write(br#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#);
    mock.close();
    assert_eq!(
        mock.next(),
        json!({ "jsonrpc": "2.0", "id": "last", "result": {} })
    );
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), Some(0));
}

#[test]
fn what_is_no_request_is_refused_with_the_right_code() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    for (line, code) in [
        ("{not json", -32700),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://x"}}"#,
            -32002,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"nope"}}"#,
            -32602,
        ),
    ] {
        mock.write(format!("{line}\n").as_bytes());
        let answer = mock.next();
        assert_eq!(answer["error"]["code"], code, "{line} -> {answer}");
    }
    let result = mock.call("sleep", json!({ "ms": "soon" }));
    assert_eq!(
        (&result["isError"], text(&result).contains("ms must")),
        (&true.into(), true)
    );
}

#[test]
fn batches_belong_to_one_version() {
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]"#;
    let mut mock = Mock::initialized(&[], "2025-03-26", json!({}));
    mock.write(format!("{batch}\n").as_bytes());
    assert_eq!(
        (mock.next()["id"].clone(), mock.next()["id"].clone()),
        ("a".into(), "b".into())
    );
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    mock.write(format!("{batch}\n").as_bytes());
    assert_eq!(mock.next()["error"]["code"], -32600);
}

#[test]
fn updates_go_to_subscribers_and_a_changed_list_is_another_one() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    let watched = json!({ "uri": "test://watched-resource" });
    assert_eq!(mock.call_text("touch", watched.clone()), "nobody subscribed");
    assert_eq!(
        mock.request("resources/subscribe", watched.clone())["result"],
        json!({})
    );
    mock.begin_call("touch", watched.clone());
    let update = mock.next();
    assert_eq!(
        (&update["method"], &update["params"]),
        (&"notifications/resources/updated".into(), &watched)
    );
    assert_eq!(text(&mock.next()["result"]), "updated");
    assert_eq!(mock.state()["subscriptions"], json!(["test://watched-resource"]));
    mock.request("resources/unsubscribe", watched.clone());
    assert_eq!(mock.call_text("touch", watched), "nobody subscribed");

    mock.begin_call("change", json!({ "kind": "tools", "name": "novelty" }));
    assert_eq!(mock.next()["method"], "notifications/tools/list_changed");
    mock.next();
    let tools = mock.request("tools/list", json!({}))["result"]["tools"].clone();
    assert_eq!(tools.as_array().unwrap().last().unwrap()["name"], "novelty");
    assert_eq!(mock.call("novelty", json!({})).get("isError"), None);
}

#[test]
fn log_messages_pass_the_level_and_progress_needs_a_token() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    mock.request("logging/setLevel", json!({ "level": "error" }));
    assert_eq!(
        mock.call_text("log", json!({ "level": "warning", "text": "no" })),
        "logged"
    );
    mock.begin_call("log", json!({ "level": "critical", "text": "yes" }));
    let message = mock.next();
    assert_eq!(
        message["params"],
        json!({ "level": "critical", "logger": "mock", "data": "yes" })
    );
    mock.next();

    assert_eq!(mock.call_text("progress", json!({ "steps": 3 })), "made 3 steps");
    let params =
        json!({ "name": "progress", "arguments": { "steps": 3 }, "_meta": { "progressToken": "t" } });
    mock.begin("tools/call", params);
    for step in 1..=3 {
        let expected = json!({ "progressToken": "t", "progress": step, "total": 3 });
        assert_eq!(mock.next()["params"], expected);
    }
    assert_eq!(text(&mock.next()["result"]), "made 3 steps");

    mock.begin_call(
        "notify",
        json!({ "count": 500, "method": "notifications/prompts/list_changed" }),
    );
    for _ in 0..500 {
        assert_eq!(mock.next()["method"], "notifications/prompts/list_changed");
    }
    mock.next();
    assert_eq!(mock.call_text("count", json!({})), "8");
}

#[test]
fn the_environment_can_be_looked_at() {
    let mut mock = Mock::started(command(&[]).env_clear().env("ONE", "1"));
    assert_eq!(mock.call_text("env", json!({ "name": "ONE" })), "1");
    assert_eq!(mock.call("env", json!({ "name": "TWO" }))["isError"], true);
    assert_eq!(mock.call_text("env", json!({})), r#"["ONE"]"#);
    assert_eq!(mock.call_text("pid", json!({})), mock.child.id().to_string());
}
