//! Which era a request is answered in.

use serde_json::{Value, json};

use super::driver::{LATEST, MODERN, Mock, modern_meta, text};

fn code(answer: &Value) -> i64 {
    answer["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("no error in {answer}"))
}

#[test]
fn one_process_speaks_both() {
    let mut mock = Mock::start(&[]);
    assert_eq!(
        mock.modern("server/discover", json!({}), json!({}))["result"]["resultType"],
        "complete"
    );
    assert_eq!(
        mock.initialize(LATEST, json!({ "roots": {} }))["protocolVersion"],
        LATEST
    );
    assert_eq!(mock.request("ping", json!({}))["result"], json!({}));
    assert_eq!(code(&mock.modern("ping", json!({}), json!({}))), -32601);
    let legacy = mock.call("echo", json!({ "a": 1 }));
    assert!(legacy.get("resultType").is_none(), "{legacy}");
    let modern = mock.modern_call("echo", json!({ "a": 1 }));
    assert_eq!(
        (&modern["resultType"], text(&modern)),
        (&"complete".into(), text(&legacy))
    );
    // What a modern client declares is no matter of the session beside it.
    let call = mock.begin_call("ask", json!({ "method": "roots/list" }));
    let question = mock.next();
    assert_eq!(question["method"], "roots/list");
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "roots": [] } }));
    assert_eq!(mock.next()["id"], call);
}

#[test]
fn a_modern_server_names_its_versions_to_a_handshake() {
    let mut mock = Mock::start(&["--era=modern"]);
    let params = json!({ "protocolVersion": LATEST, "capabilities": {}, "clientInfo": {} });
    let refused = mock.request("initialize", params.clone());
    assert_eq!(code(&refused), -32022);
    assert_eq!(
        refused["error"]["data"],
        json!({ "supported": [MODERN], "requested": LATEST })
    );
    assert_eq!(code(&mock.request("tools/list", json!({}))), -32602);
    assert_eq!(code(&mock.modern("initialize", params, json!({}))), -32601);
    assert!(mock.modern("tools/list", json!({}), json!({}))["result"]["tools"].is_array());
}

#[test]
fn a_legacy_server_knows_nothing_of_modern_requests() {
    let mut mock = Mock::start(&["--era=legacy"]);
    assert_eq!(
        code(&mock.modern("server/discover", json!({}), json!({}))),
        -32601
    );
    let list = mock.modern("tools/list", json!({}), json!({}))["result"].clone();
    assert!(list.get("resultType").is_none(), "{list}");
    assert!(
        !list.to_string().contains("slow_compute"),
        "a tool of the modern era is listed"
    );
    let resources = mock.request("resources/list", json!({}))["result"].to_string();
    assert!(!resources.contains("skill://"), "{resources}");
    let call = mock.modern("tools/call", json!({ "name": "slow_compute" }), json!({}));
    assert_eq!(code(&call), -32602);
}

#[test]
fn a_silent_server_leaves_a_probe_unanswered_until_the_handshake() {
    let mut mock = Mock::start(&["--era=legacy", "--silent-probe"]);
    mock.begin_modern("server/discover", json!({}), json!({}));
    mock.begin("nonsense", json!({}));
    assert_eq!(mock.initialize(LATEST, json!({}))["protocolVersion"], LATEST);
    assert_eq!(code(&mock.request("server/discover", json!({}))), -32601);
}

#[test]
fn what_a_request_lacks_is_said_in_its_era() {
    let mut mock = Mock::start(&[]);
    let without = |key: &str| {
        let mut meta = modern_meta(json!({}));
        meta.as_object_mut()
            .expect("it is one")
            .shift_remove(&format!("io.modelcontextprotocol/{key}"));
        json!({ "_meta": meta })
    };
    for (params, expect) in [
        (json!({}), Some(-32602)),
        (without("protocolVersion"), Some(-32602)),
        (without("clientCapabilities"), Some(-32602)),
        (without("clientInfo"), None),
    ] {
        let answer = mock.request("server/discover", params.clone());
        assert_eq!(answer["error"]["code"].as_i64(), expect, "{params} -> {answer}");
    }
    let mut meta = modern_meta(json!({}));
    meta["io.modelcontextprotocol/protocolVersion"] = "v999.0.0".into();
    let answer = mock.request("tools/list", json!({ "_meta": meta }));
    assert_eq!(code(&answer), -32022);
    assert_eq!(
        answer["error"]["data"],
        json!({ "supported": [MODERN], "requested": "v999.0.0" })
    );
    let mut meta = modern_meta(json!({}));
    meta["io.modelcontextprotocol/logLevel"] = "loud".into();
    assert_eq!(
        code(&mock.request("tools/list", json!({ "_meta": meta }))),
        -32602
    );
}

#[test]
fn removed_methods_are_unknown() {
    let mut mock = Mock::start(&[]);
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
        "unknown/method",
    ] {
        assert_eq!(
            code(&mock.modern(method, json!({}), json!({}))),
            -32601,
            "{method}"
        );
    }
}
