//! An answer that is under way while its server says that it has changed: who asked gets it, and nobody else.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::pair::to;
use super::scripted::{Scripted, Seen, Step, answer, events, head, result};
use crate::support::{Client, eventually};

const LISTENING: &str = "io.modelcontextprotocol/subscriptionId";
const NEWS: &str = "notifications/resources/list_changed";

/// Returns a notification of a listen as an event.
fn event(seen: &Seen, method: &str, mut params: Value) -> String {
    params["_meta"] = json!({ LISTENING: seen.message["id"] });
    let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    format!("data: {message}\n\n")
}

fn discovered() -> Value {
    json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "public",
        "capabilities": { "resources": { "listChanged": true } },
    })
}

fn content(text: &str) -> Value {
    json!({
        "resultType": "complete", "contents": [{ "uri": "a:b", "text": text }], "ttlMs": 3_600_000,
        "cacheScope": "public",
    })
}

/// Starts a server that answers the first read when `release` says anything, and tells of a change when `change` does.
async fn server(release: watch::Receiver<String>, change: watch::Receiver<String>) -> Scripted {
    Scripted::start(move |seen, before| {
        match seen.message["method"].as_str().unwrap_or_default() {
            "server/discover" => result(seen, discovered()),
            "resources/list" => result(seen, json!({ "resultType": "complete", "resources": [] })),
            "resources/templates/list" => {
                result(seen, json!({ "resultType": "complete", "resourceTemplates": [] }))
            }
            "subscriptions/listen" => {
                let honoured = json!({ "notifications": { "resourcesListChanged": true } });
                let begin = event(seen, "notifications/subscriptions/acknowledged", honoured);
                let mut steps = events(&begin);
                // The id of the listen is known when it comes: the text of the change is completed with it.
                let (tx, rx) = watch::channel(String::new());
                let (news, mut change) = (event(seen, NEWS, json!({})), change.clone());
                tokio::spawn(async move {
                    if change.wait_for(|change| !change.is_empty()).await.is_ok() {
                        tx.send_replace(news);
                        tx.closed().await;
                    }
                });
                steps.extend([Step::Later(rx), Step::Hold]);
                steps
            }
            "resources/read" if before == 0 => {
                let text = answer(seen, content("old")).to_string();
                let (tx, rx) = watch::channel(String::new());
                let mut release = release.clone();
                tokio::spawn(async move {
                    if release.wait_for(|release| !release.is_empty()).await.is_ok() {
                        tx.send_replace(text);
                        tx.closed().await;
                    }
                });
                vec![head(200, "application/json", ""), Step::Later(rx)]
            }
            "resources/read" => result(seen, content("new")),
            _ => super::scripted::status(202),
        }
    })
    .await
}

#[tokio::test]
async fn what_changes_while_it_is_read_is_read_again() {
    let (release, released) = watch::channel(String::new());
    let (change, changed) = watch::channel(String::new());
    let server = server(released, changed).await;
    let gateway = to(&server.url(), "sharing = \"shared\"\nprotocol-era = \"modern\"");
    let client = Client::open(&gateway, "far").await;
    let count = |method: &'static str, expect: usize| {
        eventually(method, || server.count(method), move |count| *count == expect)
    };
    count("resources/list", 1).await;
    count("subscriptions/listen", 1).await;
    let read = |mut client: Client| async move {
        let answer = client
            .request(json!(1), "resources/read", json!({ "uri": "a:b" }))
            .await;
        answer["result"]["contents"][0]["text"].clone()
    };
    let first = tokio::spawn(read(client.fork().await));
    count("resources/read", 1).await;
    change.send_replace("now".to_owned());
    // The gateway reads the list again once it has heard.
    count("resources/list", 2).await;
    release.send_replace("now".to_owned());
    assert_eq!(first.await.expect("it is answered"), "old");
    assert_eq!(read(client.fork().await).await, "new");
    assert_eq!(read(client.fork().await).await, "new");
    assert_eq!(server.count("resources/read"), 2, "the second answer is kept");
    gateway.stop().await;
}
