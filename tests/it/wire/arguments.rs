//! The arguments of `tools/call` against the tool's own schema: off, warn, enforce.

use serde_json::{Value, json};

use super::peer::{Peer, call, until};
use crate::support::Gateway;

const BAD: &str = "the_schema_wants_an_integer";

async fn answer_with(mode: &str) -> (Gateway, Value) {
    let gateway = Gateway::with_mock(&[], &format!("validate-arguments = \"{mode}\""));
    let peer = Peer::open(&gateway, "mock").await;
    let bad = call("b", "sleep", json!({ "ms": BAD }));
    // The schemas are known once the lists have been read, which the first session does not wait for.
    let answer = until("an answer of the mode", async || {
        let answer = peer.ask(&bad).await;
        let by_gateway = answer.to_string().contains("do not fit");
        (mode != "enforce" || by_gateway).then_some(answer)
    })
    .await;
    let good = peer.ask(&call("g", "sleep", json!({ "ms": 1 }))).await;
    assert_eq!(
        good["result"]["content"][0]["text"], "slept 1 ms",
        "{mode}: {good}"
    );
    (gateway, answer)
}

#[tokio::test]
async fn enforced_a_call_that_does_not_fit_never_reaches_the_server() {
    let (gateway, answer) = answer_with("enforce").await;
    assert_eq!(
        (&answer["id"], &answer["result"]["isError"]),
        (&json!("b"), &json!(true)),
        "{answer}"
    );
    let text = answer["result"]["content"][0]["text"]
        .as_str()
        .expect("a text for the model");
    assert!(
        text.contains("sleep") && text.contains("ms"),
        "it says what is wrong: {text}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn otherwise_the_server_decides_and_warn_leaves_a_line_in_the_log() {
    for mode in ["off", "warn"] {
        let (gateway, answer) = answer_with(mode).await;
        assert!(!answer.to_string().contains("do not fit"), "{answer}");
        let peer = Peer::open(&gateway, "mock").await;
        let bad = call("b", "sleep", json!({ "ms": BAD }));
        if mode == "warn" {
            until("the warning", async || {
                peer.ask(&bad).await;
                gateway.output().contains("arguments do not fit").then_some(())
            })
            .await;
            assert!(!gateway.output().contains(BAD), "arguments are not logged");
        } else {
            peer.ask(&bad).await;
            assert!(!gateway.output().contains("arguments do not fit"));
        }
        gateway.stop().await;
    }
}
