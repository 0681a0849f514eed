//! What must not come before something else, though each request has a connection of its own.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use super::pair::to;
use super::scripted::{Scripted, Step, events, head, polite, result};
use crate::wire::peer::{Peer, call, until};

/// A server after the TypeScript SDK drops what it says on its own while nobody listens, so nobody calls before.
#[tokio::test]
async fn nothing_is_asked_before_the_stream_of_the_servers_own_messages_is_open() {
    let listened: Mutex<BTreeSet<String>> = Mutex::default();
    let server = Scripted::start(move |seen, before| {
        let session = seen.headers.get("mcp-session-id").cloned().unwrap_or_default();
        match (&*seen.method, seen.message["method"].as_str()) {
            ("GET", _) => {
                listened.lock().expect("no holder panics").insert(session);
                [events(": here\n\n"), vec![Step::Hold]].concat()
            }
            (_, Some("initialize")) => {
                let mut steps = polite(seen).expect("it is polite");
                steps[0] = head(200, "application/json", &format!("mcp-session-id: s{before}\r\n"));
                steps
            }
            (_, Some("tools/call")) => {
                let said = listened.lock().expect("no holder panics").contains(&session);
                result(
                    seen,
                    json!({ "content": [{ "type": "text", "text": said.to_string() }] }),
                )
            }
            _ => polite(seen).expect("nothing else is asked"),
        }
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"session\"\ninstances-max = 64");
    for _ in 0..30 {
        let peer = Peer::open(&gateway, "far").await;
        assert_eq!(peer.text("ask", json!({})).await, "true");
        peer.delete().await;
    }
    gateway.stop().await;
}

/// The first words of such a server may come late: it is not waited for long.
#[tokio::test]
async fn a_server_that_does_not_say_whether_it_has_such_a_stream_is_asked_all_the_same() {
    let server = Scripted::start(|seen, _| match &*seen.method {
        "GET" => vec![Step::Hold],
        _ => polite(seen)
            .unwrap_or_else(|| result(seen, json!({ "content": [{ "type": "text", "text": "here" }] }))),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(peer.text("ask", json!({})).await, "here");
    gateway.stop().await;
}

/// Calls a tool of a server that answers so, takes the call back once it is there, and returns how long it took until the
/// server was told.
async fn time_of_cancellation(steps: Vec<Step>) -> Duration {
    let server = Scripted::start(move |seen, _| polite(seen).unwrap_or_else(|| steps.clone())).await;
    let gateway = to(&server.url(), "sharing = \"session\"");
    let peer = Peer::open(&gateway, "far").await;
    let message = call("c", "slow", json!({}));
    let calling = async {
        peer.post(&message).await;
        pending::<()>().await;
    };
    let cancelling = async {
        until("the call is there", async || {
            (server.count("tools/call") == 1).then_some(())
        })
        .await;
        let begin = Instant::now();
        peer.notify("notifications/cancelled", json!({ "requestId": "c" }))
            .await;
        until("it is told", async || {
            (server.count("notifications/cancelled") == 1).then_some(())
        })
        .await;
        begin.elapsed()
    };
    let took = tokio::select! {
        () = calling => unreachable!("it is never ready"),
        took = cancelling => took,
    };
    let seen = server.seen();
    let id_of = |method: &str, member: &str| {
        let seen = seen.iter().find(|seen| seen.message["method"] == method);
        seen.and_then(|seen| seen.message.pointer(member)).cloned()
    };
    assert_eq!(
        id_of("tools/call", "/id"),
        id_of("notifications/cancelled", "/params/requestId")
    );
    gateway.stop().await;
    took
}

#[tokio::test]
async fn a_cancellation_leaves_its_request_time_to_get_there() {
    let took = time_of_cancellation(vec![Step::Hold]).await;
    assert!(
        took >= Duration::from_millis(250),
        "{took:?}: it may have come first"
    );
    // Where the server has answered with anything it has the request, and nothing is waited for.
    time_of_cancellation([events("id: e1\ndata:\n\n"), vec![Step::Hold]].concat()).await;
}
