//! Resources that may have changed while nobody listened to their server: who has subscribed is told once that they have.

use serde_json::{Value, json};

use super::listener::{ERAS, Heard, Modern, WATCHED, gateway, one_of_each_era};
use super::peer::Listening;

async fn expect(stream: &mut Heard, old: &mut Listening, what: &str) -> [Value; 2] {
    let told = [stream.next().await, old.message().await];
    for message in &told {
        assert_eq!(message["method"], format!("notifications/{what}"), "{message}");
    }
    told
}

/// Breaks what is listened to and has the clients of both eras told of that, and of nothing else.
async fn check(era: &str, tool: &str) {
    let gateway = gateway(era, "");
    let (client, _peer, mut old) = one_of_each_era(&gateway).await;
    let wanted = json!({ "promptsListChanged": true, "resourceSubscriptions": [WATCHED] });
    let (mut stream, _) = client.listen(json!("a"), wanted).await;
    // Whoever does not wait for resources hears nothing of it.
    let (mut lists, _) = client
        .listen(json!("b"), json!({ "promptsListChanged": true }))
        .await;
    let call = json!({ "name": tool, "arguments": {} });
    let (_answer, _connection) = client.post(json!(1), "tools/call", call).await;
    for message in expect(&mut stream, &mut old, "resources/updated").await {
        assert_eq!(message["params"]["uri"], WATCHED, "{era} {tool}: {message}");
    }
    client.change("prompts", None).await;
    expect(&mut stream, &mut old, "prompts/list_changed").await;
    lists.expect("prompts/list_changed").await;
    client.touch().await;
    expect(&mut stream, &mut old, "resources/updated").await;
    gateway.stop().await;
}

#[tokio::test]
async fn after_the_end_of_a_process_subscribers_are_told_once() {
    for era in ERAS {
        check(era, "crash").await;
    }
}

#[tokio::test]
async fn after_the_end_of_a_stream_subscribers_are_told_once() {
    check("modern", "end_listens").await;
}

#[tokio::test]
async fn lists_that_changed_while_a_stream_was_broken_are_told_of() {
    let gateway = gateway("modern", "");
    let client = Modern::of(&gateway);
    let (mut stream, _) = client
        .listen(json!("a"), json!({ "toolsListChanged": true }))
        .await;
    client.change("tools", None).await;
    stream.expect("tools/list_changed").await;
    client.text("end_listens", json!({})).await;
    // Unless it is listened to again already, which tells of it, too.
    client.change("tools", Some("added")).await;
    stream.expect("tools/list_changed").await;
    gateway.stop().await;
}
