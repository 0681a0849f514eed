//! What variables became, and what stands in `env`, is shown nowhere.

use std::fs;

use http::Method;
use serde_json::json;

use super::operator::Operator;
use crate::support::{Client, Gateway, text_of};

#[tokio::test]
async fn what_came_from_variables_is_never_shown() {
    // The one variable that surely is there and has a long value of its own.
    let secret = std::env::var("PATH").expect("tests are started with a PATH");
    let gateway = Gateway::start(
        "admin.allow-commands = true\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--name\", \"${PATH}\"]\n\
         env = { KEY = \"Bearer ${PATH}\", ALONE = \"${PATH}\", LITERAL = \"hunter2\" }\ninherit-env = []\n\
         [servers.absent]\ncommand = \"/nowhere/${PATH}\"\n",
    );
    let operator = Operator::of(&gateway).await;
    let mut client = Client::open(&gateway, "mock").await;
    let answer = client.call("env", json!({ "name": "KEY" })).await;
    assert_eq!(
        text_of(&answer),
        format!("Bearer {secret}"),
        "the server itself has it"
    );

    let record = operator.order("absent", "start").await;
    let error = record["lastError"].as_str().expect("there is no such program");
    assert!(error.contains("/nowhere/${PATH}"), "{error}");
    let patch = json!({ "displayName": "x", "env": { "KEY": "***", "OTHER": "${PATH}" } });
    operator
        .request(Method::PATCH, "/servers/mock", Some(patch))
        .await;
    let mut client = Client::open(&gateway, "mock").await;
    let value = async |client: &mut Client, name: &str| {
        text_of(&client.call("env", json!({ "name": name })).await).to_owned()
    };
    assert_eq!(
        value(&mut client, "KEY").await,
        format!("Bearer {secret}"),
        "it keeps what it had"
    );
    assert_eq!(
        value(&mut client, "OTHER").await,
        "${PATH}",
        "and gets no more than was there"
    );

    let mut seen = String::new();
    for path in [
        "/servers",
        "/servers/mock",
        "/servers/absent",
        "/sessions",
        "/servers/absent/stderr",
    ] {
        seen += &operator.get(path).await.to_string();
    }
    let (mut events, _connection) = operator.events("/events", Some(0)).await;
    let newest = operator.order("mock", "disable").await;
    seen += &newest.to_string();
    loop {
        let event = events.next().await.expect("it goes on");
        seen += &event.data;
        if event.kind == "server.status.changed" {
            break;
        }
    }
    let config = &newest["config"];
    assert_eq!(config["args"][2], "${PATH}");
    let env = json!({ "KEY": "***", "ALONE": "${PATH}", "LITERAL": "***", "OTHER": "${PATH}" });
    assert_eq!(config["env"], env);
    assert!(!seen.contains("hunter2"), "{seen}");
    assert!(!seen.contains(&secret), "{seen}");
    assert!(!gateway.output().contains(&secret), "nor in the log");
    let token = fs::read_to_string(gateway.directory().join("state/admin-token")).expect("it is there");
    assert!(!gateway.output().contains(token.trim()), "nor is the token");
}
