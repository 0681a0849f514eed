//! What the mock server asks of its client before it answers, in either era.

use serde_json::{Value, json};

use super::driver::{LATEST, Mock, text};

fn everything() -> Value {
    json!({ "sampling": {}, "elicitation": {}, "roots": {} })
}

/// Calls a tool and returns the answer; `more` is what a retry brings.
fn call(mock: &mut Mock, tool: &str, more: &Value) -> Value {
    let mut params = json!({ "name": tool, "arguments": {} });
    params
        .as_object_mut()
        .expect("it is one")
        .extend(more.as_object().expect("it is one").clone());
    mock.modern("tools/call", params, everything())
}

fn accept(name: &str, value: Value) -> Value {
    json!({ "action": "accept", "content": { name: value } })
}

fn sampled(text: &str) -> Value {
    json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": text } })
}

#[test]
fn a_question_comes_as_a_result_and_the_answer_with_the_retry() {
    let mut mock = Mock::start(&[]);
    let tool = "test_input_required_result_elicitation";
    let first = call(&mut mock, tool, &json!({}))["result"].clone();
    assert_eq!(first["resultType"], "input_required");
    assert!(first.get("requestState").is_none(), "{first}");
    let request = &first["inputRequests"]["user_name"];
    assert_eq!(
        (&request["method"], &request["params"]["message"]),
        (&"elicitation/create".into(), &"What is your name?".into())
    );
    let extra = json!({ "user_name": accept("name", json!("Alice")), "unknown": {} });
    let done = call(&mut mock, tool, &json!({ "inputResponses": extra }))["result"].clone();
    assert_eq!(
        (&done["resultType"], text(&done)),
        (&"complete".into(), "Hello, Alice!")
    );
    let again = call(&mut mock, tool, &json!({ "inputResponses": { "wrong_key": {} } }))["result"].clone();
    assert_eq!(again["resultType"], "input_required");
    let wrong = call(
        &mut mock,
        tool,
        &json!({ "inputResponses": { "user_name": 12345 } }),
    );
    assert_eq!(wrong["error"]["code"], -32602);
}

#[test]
fn sampling_roots_and_ordinary_tools_ask_in_the_same_way() {
    let mut mock = Mock::start(&[]);
    let roots = json!({ "roots": [{ "uri": "file:///test/root" }] });
    for (tool, arguments, key, answer, expect) in [
        (
            "test_input_required_result_sampling",
            json!({}),
            "capital_question",
            sampled("Paris"),
            "Paris",
        ),
        (
            "test_input_required_result_list_roots",
            json!({}),
            "client_roots",
            roots,
            "Roots: file:///test/root",
        ),
        (
            "test_sampling",
            json!({ "prompt": "capital?" }),
            "answer",
            sampled("Paris"),
            "LLM response: Paris",
        ),
        (
            "test_elicitation",
            json!({ "message": "who?" }),
            "answer",
            accept("username", json!("u")),
            "User response: action=accept, content={\"username\":\"u\"}",
        ),
        (
            "ask",
            json!({ "method": "roots/list" }),
            "answer",
            json!({ "roots": [] }),
            "{\"roots\":[]}",
        ),
    ] {
        let mut params = json!({ "name": tool, "arguments": arguments });
        let asked = mock.modern("tools/call", params.clone(), everything())["result"].clone();
        assert!(
            asked["inputRequests"][key]["params"].is_object(),
            "{tool}: {asked}"
        );
        params["inputResponses"] = json!({ key: answer });
        let done = mock.modern("tools/call", params, everything())["result"].clone();
        assert_eq!(text(&done), expect, "{tool}");
    }
    let params = json!({ "name": "ask", "arguments": { "method": "ping" } });
    assert_eq!(
        mock.modern("tools/call", params, everything())["error"]["code"],
        -32602
    );
}

#[test]
fn a_prompt_asks_too() {
    let mut mock = Mock::start(&[]);
    let mut params = json!({ "name": "test_input_required_result_prompt" });
    let asked = mock.modern("prompts/get", params.clone(), everything())["result"].clone();
    assert_eq!(
        asked["inputRequests"]["user_context"]["method"],
        "elicitation/create"
    );
    params["inputResponses"] = json!({ "user_context": accept("context", json!("tests")) });
    let prompt = mock.modern("prompts/get", params, everything())["result"].clone();
    assert_eq!(
        prompt["messages"][0]["content"]["text"],
        "Prompt with context: tests"
    );
}

#[test]
fn a_state_is_wanted_back_as_it_was_and_for_the_same_request() {
    let mut mock = Mock::start(&[]);
    let tool = "test_input_required_result_request_state";
    let state = call(&mut mock, tool, &json!({}))["result"]["requestState"].clone();
    let responses = json!({ "confirm": accept("ok", json!(true)) });
    let retry = |state: &Value| json!({ "inputResponses": responses, "requestState": state });
    let done = call(&mut mock, tool, &retry(&state))["result"].clone();
    assert!(text(&done).starts_with("state-ok"), "{done}");
    let tampered = json!(format!("{}-TAMPERED", state.as_str().expect("a string")));
    assert_eq!(call(&mut mock, tool, &retry(&tampered))["error"]["code"], -32602);
    let other = "test_input_required_result_tampered_state";
    assert_eq!(call(&mut mock, other, &retry(&state))["error"]["code"], -32602);
    let stateless = call(&mut mock, tool, &json!({ "inputResponses": responses }));
    assert_eq!(stateless["result"]["resultType"], "input_required");
    // Another process has another key.
    assert_eq!(
        call(&mut Mock::start(&[]), tool, &retry(&state))["error"]["code"],
        -32602
    );
}

#[test]
fn rounds_follow_each_other_and_several_questions_come_at_once() {
    let mut mock = Mock::start(&[]);
    let tool = "test_input_required_result_multi_round";
    let first = call(&mut mock, tool, &json!({}))["result"].clone();
    let retry = json!({ "inputResponses": { "step1": accept("name", json!("Alice")) }, "requestState": first["requestState"] });
    let second = call(&mut mock, tool, &retry)["result"].clone();
    assert!(second["inputRequests"]["step2"].is_object(), "{second}");
    assert_ne!(second["requestState"], first["requestState"]);
    let retry = json!({ "inputResponses": { "step2": accept("color", json!("blue")) }, "requestState": second["requestState"] });
    let done = call(&mut mock, tool, &retry)["result"].clone();
    assert_eq!(text(&done), "Hello, Alice! Your favorite color is blue.");

    let tool = "test_input_required_result_multiple_inputs";
    let asked = call(&mut mock, tool, &json!({}))["result"].clone();
    let keys: Vec<&String> = asked["inputRequests"]
        .as_object()
        .expect("several")
        .keys()
        .collect();
    assert_eq!(keys, ["user_name", "greeting", "client_roots"]);
    let responses = json!({ "user_name": accept("name", json!("Alice")), "greeting": sampled("Hi."), "client_roots": { "roots": [] } });
    let retry = json!({ "inputResponses": responses, "requestState": asked["requestState"] });
    assert_eq!(
        text(&call(&mut mock, tool, &retry)["result"]),
        "Hello, Alice! Hi. Roots: "
    );
}

#[test]
fn only_what_a_client_declares_is_asked_of_it() {
    let mut mock = Mock::start(&[]);
    let params = json!({ "name": "test_missing_capability", "arguments": {} });
    let error = mock.modern("tools/call", params, json!({}))["error"].clone();
    assert_eq!(
        (&error["code"], &error["data"]),
        (
            &json!(-32021),
            &json!({ "requiredCapabilities": { "sampling": {} } })
        )
    );
    let params = json!({ "name": "test_input_required_result_capabilities", "arguments": {} });
    let asked = mock.modern("tools/call", params, json!({ "sampling": {} }))["result"].clone();
    let methods: Vec<&Value> = asked["inputRequests"]
        .as_object()
        .expect("one")
        .values()
        .map(|one| &one["method"])
        .collect();
    assert_eq!(methods, ["sampling/createMessage"]);
}

#[test]
fn the_same_tools_send_requests_in_the_handshake_era() {
    let mut mock = Mock::initialized(&[], LATEST, everything());
    let answer = |mock: &mut Mock, method: &str, result: Value| {
        let question = mock.next();
        assert_eq!(question["method"], method, "{question}");
        mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    };
    let id = mock.begin_call("test_input_required_result_multi_round", json!({}));
    answer(&mut mock, "elicitation/create", accept("name", json!("Alice")));
    answer(&mut mock, "elicitation/create", accept("color", json!("blue")));
    let done = mock.next();
    assert_eq!(
        (&done["id"], text(&done["result"])),
        (&id.into(), "Hello, Alice! Your favorite color is blue.")
    );

    mock.begin_call("test_input_required_result_multiple_inputs", json!({}));
    let questions = [mock.next(), mock.next(), mock.next()];
    let results = [
        accept("name", json!("Alice")),
        sampled("Hi."),
        json!({ "roots": [] }),
    ];
    for (question, result) in questions.iter().zip(results).rev() {
        mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    }
    assert_eq!(text(&mock.next()["result"]), "Hello, Alice! Hi. Roots: ");

    mock.begin(
        "prompts/get",
        json!({ "name": "test_input_required_result_prompt" }),
    );
    answer(&mut mock, "elicitation/create", accept("context", json!("tests")));
    assert_eq!(
        mock.next()["result"]["messages"][0]["content"]["text"],
        "Prompt with context: tests"
    );
}

#[test]
fn a_legacy_server_may_ask_what_was_never_declared() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    mock.begin_call("test_missing_capability", json!({}));
    let question = mock.next();
    assert_eq!(question["method"], "sampling/createMessage");
    let error = json!({ "code": -32601, "message": "no model here" });
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "error": error }));
    assert_eq!(mock.next()["result"]["isError"], true);
}
