//! Registering, changing and removing servers while the gateway runs.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use portcullis::protocol::names::code;

use super::operator::Operator;
use super::{gateway, mock};
use crate::support::{Client, Gateway, text_of};

#[tokio::test]
async fn a_record_is_what_the_seed_says_and_more() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let list = operator.get("/servers").await;
    let expect = json!({ "servers": { "mock": {
        "name": "mock", "displayName": "mock", "version": null, "path": "mock",
        "status": "enabled", "connectionState": "disconnected", "phase": "stopped",
        "capabilities": { "tools": [], "resources": [], "resourceTemplates": [], "prompts": [], "announced": null },
        "pid": null, "generation": 0, "restarts": 0, "uptimeSeconds": null, "lastExit": null, "lastError": null,
        "sessions": 0, "source": "config", "instances": [],
        "config": list["servers"]["mock"]["config"],
    } } });
    assert_eq!(list, expect);
    let config = &list["servers"]["mock"]["config"];
    assert_eq!(
        (&config["command"], &config["args"], &config["sharing"]),
        (&json!("@self"), &json!(["mock-server"]), &json!("shared"))
    );
    let started = operator.order("mock", "start").await;
    assert_eq!(
        (&started["connectionState"], &started["phase"]),
        (&json!("connected"), &json!("ready"))
    );
    assert_eq!(started["instances"][0]["pid"], started["pid"]);
    // The lists are read right after the handshake.
    let (mut events, _connection) = operator.events("/events?server=mock", Some(0)).await;
    while events.next().await.expect("it goes on").kind != "server.capabilities.changed" {}
    let record = operator.get("/servers/mock").await;
    let names: Vec<&str> = record["capabilities"]["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(names.contains(&"echo"), "{names:?}");
    assert!(record["version"].is_string() && record["capabilities"]["announced"]["tools"].is_object());
}

#[tokio::test]
async fn a_server_registered_at_run_time_is_used_and_removed() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let registration = json!({
        "name": "late", "path": "l", "displayName": "Late", "command": "@self", "args": ["mock-server"],
        "env": { "WORD": "${HOME}" }, "idleTimeout": 90,
    });
    let (status, record) = operator
        .request(Method::POST, "/servers", Some(registration.clone()))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{record}");
    let shown = |name: &str| record["config"][name].clone();
    assert_eq!(
        (record["source"].clone(), shown("idleTimeout")),
        (json!("api"), json!("90s"))
    );
    let mut client = Client::open(&gateway, "l").await;
    let answer = client.call("env", json!({ "name": "WORD" })).await;
    assert_eq!(text_of(&answer), "${HOME}", "nothing expands");

    let refused = async |body: Value| operator.refused(Method::POST, "/servers", Some(body)).await;
    let duplicate = (409, "duplicate_server".to_owned());
    assert_eq!(refused(registration).await, duplicate);
    let mut same_path = mock("other");
    same_path["path"] = json!("l");
    assert_eq!(refused(same_path).await, duplicate);
    let wrong = json!({ "name": "a b", "instances": 0, "comand": "x" });
    let (status, answer) = operator.request(Method::POST, "/servers", Some(wrong)).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]["code"]),
        (422, &json!("invalid_registration"))
    );
    let violations = answer["error"]["violations"].as_array().expect("a list");
    let keys: Vec<_> = violations
        .iter()
        .filter_map(|violation| violation["key"].as_str())
        .collect();
    assert_eq!(keys, ["name", "comand", "instances", "command"], "{violations:?}");

    let (status, _) = operator.request(Method::DELETE, "/servers/late", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let not_found = (404, "server_not_found".to_owned());
    for (method, path) in [
        (Method::GET, "/servers/late"),
        (Method::DELETE, "/servers/late"),
        (Method::POST, "/servers/late/start"),
        (Method::GET, "/servers/late/sessions"),
        (Method::GET, "/servers/late/stderr"),
    ] {
        assert_eq!(operator.refused(method, path, None).await, not_found, "{path}");
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(client.post(&ping).await.status(), StatusCode::NOT_FOUND);
    let (status, _) = operator
        .request(Method::POST, "/servers", Some(mock("late")))
        .await;
    assert_eq!(status, StatusCode::CREATED, "the name is free again");
}

#[tokio::test]
async fn a_location_leads_to_the_server() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let mut connection = crate::support::Connection::open(gateway.address()).await;
    let bearer = format!("Bearer {}", operator.token());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = mock("located").to_string().into();
    let answer = connection
        .send(Method::POST, "/admin/v1/servers", &headers, body)
        .await;
    assert_eq!(answer.header("location"), Some("/admin/v1/servers/located"));
}

#[tokio::test]
async fn a_patch_restarts_only_what_it_concerns() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let mut client = Client::open(&gateway, "mock").await;
    let pid = async |client: &mut Client| text_of(&client.call("pid", json!({})).await).to_owned();
    let before = pid(&mut client).await;
    let patch = async |patch: Value| {
        operator
            .request(Method::PATCH, "/servers/mock", Some(patch))
            .await
    };

    let words = json!({ "displayName": "The mock", "version": "7", "validateArguments": "enforce" });
    let (status, record) = patch(words).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&record["displayName"], &record["version"]),
        (&json!("The mock"), &json!("7"))
    );
    assert_eq!(pid(&mut client).await, before, "words are no reason to restart");

    let (status, record) = patch(json!({ "stopGrace": "1s", "displayName": null })).await;
    assert_eq!((status, &record["displayName"]), (StatusCode::OK, &json!("mock")));
    assert_eq!(
        (&record["config"]["stopGrace"], &record["version"]),
        (&json!("1s"), &json!("7"))
    );
    let after = pid(&mut client).await;
    assert_ne!(after, before, "the process starts anew, and the session stays");

    for (body, expect) in [
        (json!({ "stopGrace": "soon" }), (422, "invalid_registration")),
        (json!({ "status": "asleep" }), (422, "invalid_registration")),
        (
            json!({ "status": "enabled", "enabled": false }),
            (422, "invalid_registration"),
        ),
        (json!({ "name": "other" }), (422, "invalid_registration")),
        (json!([]), (400, "bad_request")),
    ] {
        let refused = operator.refused(Method::PATCH, "/servers/mock", Some(body)).await;
        assert_eq!((refused.0, refused.1.as_str()), expect);
    }
    assert_eq!(pid(&mut client).await, after, "what was refused changed nothing");

    let (_, record) = patch(json!({ "status": "disabled", "linger": "2s" })).await;
    assert_eq!(
        (&record["status"], &record["phase"]),
        (&json!("disabled"), &json!("stopped"))
    );
    assert_eq!(
        (&record["config"]["enabled"], &record["config"]["linger"]),
        (&json!(false), &json!("2s"))
    );
    let (_, record) = patch(json!({ "displayName": "x" })).await;
    assert_eq!(record["status"], "disabled", "another patch leaves that alone");
    let (_, record) = patch(json!({ "enabled": true })).await;
    assert_eq!(
        (&record["status"], &record["config"]["enabled"]),
        (&json!("enabled"), &json!(true))
    );
    let (status, _) = patch(json!({ "enabled": true })).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "a patch says how things are to be, not what to do"
    );
}

#[tokio::test]
async fn a_request_timeout_holds_from_the_next_request_on() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let mut client = Client::open(&gateway, "mock").await;
    let before = text_of(&client.call("pid", json!({})).await).to_owned();
    // The sleep is far longer than the timeout, so that a busy machine answers no differently.
    for (timeout, sleep, code) in [
        (json!("50ms"), 30_000, json!(code::REQUEST_TIMEOUT)),
        (json!(null), 100, json!(null)),
    ] {
        let patch = json!({ "requestTimeout": timeout });
        operator
            .request(Method::PATCH, "/servers/mock", Some(patch))
            .await;
        let answer = client.call("sleep", json!({ "ms": sleep })).await;
        assert_eq!(answer["error"]["code"], code, "{timeout}: {answer}");
    }
    let after = client.call("pid", json!({})).await;
    assert_eq!(text_of(&after), before, "the process is not concerned");
}

#[tokio::test]
async fn a_taken_path_is_refused_before_anything_is_done() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    operator
        .request(Method::POST, "/servers", Some(mock("other")))
        .await;
    let patch = json!({ "enabled": false, "path": "other" });
    let refused = operator
        .refused(Method::PATCH, "/servers/mock", Some(patch))
        .await;
    assert_eq!(refused, (409, "duplicate_server".to_owned()));
    assert_eq!(operator.get("/servers/mock").await["status"], "enabled");
    let (_, record) = operator
        .request(Method::PATCH, "/servers/mock", Some(json!({ "path": "moved" })))
        .await;
    assert_eq!(record["path"], "moved");
    Client::open(&gateway, "moved").await.close().await;
}

#[tokio::test]
async fn commands_are_not_taken_unless_that_is_allowed() {
    let gateway = Gateway::with_mock(&[], "");
    let operator = Operator::of(&gateway).await;
    let not_allowed = (403, "commands_not_allowed".to_owned());
    assert_eq!(
        operator.refused(Method::POST, "/servers", Some(mock("x"))).await,
        not_allowed
    );
    for patch in [
        json!({ "command": "/bin/sh" }),
        json!({ "args": ["mock-server", "--daemon"] }),
        json!({ "env": { "LD_PRELOAD": "x" } }),
        json!({ "cwd": "/" }),
        json!({ "inheritEnv": ["*"] }),
        json!({ "displayName": "x", "args": null }),
    ] {
        let refused = operator
            .refused(Method::PATCH, "/servers/mock", Some(patch.clone()))
            .await;
        assert_eq!(refused, not_allowed, "{patch}");
    }
    let same = json!({ "command": "@self", "args": ["mock-server"], "displayName": "x" });
    let (status, record) = operator.request(Method::PATCH, "/servers/mock", Some(same)).await;
    assert_eq!(
        (status, &record["displayName"]),
        (StatusCode::OK, &json!("x")),
        "it says nothing new"
    );
    operator.order("mock", "disable").await;
    let (status, _) = operator.request(Method::DELETE, "/servers/mock", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "to take away is no risk");
}

#[tokio::test]
async fn changes_at_once_are_all_kept() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let patches = [
        json!({ "displayName": "a" }),
        json!({ "version": "b" }),
        json!({ "linger": "3s" }),
        json!({ "stopGrace": "2s" }),
        json!({ "env": { "A": "1" } }),
        json!({ "env": { "B": "2" } }),
    ];
    let changes = patches.map(|patch| operator.request(Method::PATCH, "/servers/mock", Some(patch)));
    for (status, answer) in futures_util::future::join_all(changes).await {
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let config = operator.get("/servers/mock").await["config"].clone();
    let values = ["displayName", "version", "linger", "stopGrace", "env"].map(|name| config[name].clone());
    assert_eq!(
        json!(values),
        json!(["a", "b", "3s", "2s", { "A": "***", "B": "***" }])
    );
}
