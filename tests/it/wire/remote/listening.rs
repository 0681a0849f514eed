//! Subscriptions over one gateway to another, in either era.

use serde_json::{Value, json};

use super::pair::{end_sessions, mock_at, near_the_mock, to};
use crate::wire::listener::{Heard, Modern, WATCHED};
use crate::wire::peer::{Peer, until};

fn everything() -> Value {
    json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] })
}

/// Touches the watched resource until the stream is told, by that or because it may have changed meanwhile.
async fn touch_until_told(stream: &mut Heard, touch: impl AsyncFn() -> String) {
    let touching = until("it is told", async || {
        touch().await;
        None::<()>
    });
    tokio::select! {
        () = stream.expect("resources/updated") => {}
        () = touching => {}
    }
}

#[tokio::test]
async fn a_modern_server_over_http_is_listened_to() {
    let near = near_the_mock("shared");
    // What only listens takes no room.
    let far = to(
        &mock_at(near.address()),
        "sharing = \"shared\"\nprotocol-era = \"modern\"\nin-flight-max = 1",
    );
    let direct = Modern::of(&near);
    let (mut stream, honoured) = Modern::at(&far, "far").listen(json!("a"), everything()).await;
    assert_eq!(honoured, everything());
    direct.touch().await;
    stream.expect("resources/updated").await;
    let peer = Peer::open(&far, "far").await;
    let mut old = peer.listen().await;
    let answer = peer
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    // The other gateway ends what it has been asked for: it is asked again.
    assert_eq!(end_sessions(&near).await, 1, "once for everybody");
    touch_until_told(&mut stream, async || direct.touch().await).await;
    let update = old.message().await;
    assert_eq!(update["method"], "notifications/resources/updated", "{update}");
    far.stop().await;
    near.stop().await;
}

#[tokio::test]
async fn a_server_with_a_handshake_over_http_is_subscribed_to() {
    let near = near_the_mock("shared");
    let far = to(
        &mock_at(near.address()),
        "sharing = \"shared\"\nprotocol-era = \"legacy\"",
    );
    let direct = Peer::open(&near, "mock").await;
    let (mut stream, honoured) = Modern::at(&far, "far").listen(json!("a"), everything()).await;
    assert_eq!(honoured, everything());
    let touching = async || direct.text("touch", json!({ "uri": WATCHED })).await;
    touch_until_told(&mut stream, touching).await;
    direct.text("change", json!({ "kind": "tools" })).await;
    while stream.next().await["method"] != "notifications/tools/list_changed" {}
    far.stop().await;
    near.stop().await;
}
