//! How a stream of `subscriptions/listen` lives: over the ends of its server's process, up to its own, within limits.

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::listener::{ERAS, Modern, WATCHED, gateway};
use super::peer::{BOTH, Peer, until};
use super::raw::{Raw, head_of_post};
use crate::support::Gateway;

fn everything() -> Value {
    json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] })
}

/// Returns whether a server of either era has been told of the subscription, and of no other.
fn is_subscribed(state: &Value) -> bool {
    let listens = state["listens"].as_array().expect("an array");
    let of_listens = |listen: &Value| listen["notifications"]["resourceSubscriptions"] == json!([WATCHED]);
    state["subscriptions"] == json!([WATCHED]) || listens.len() == 1 && of_listens(&listens[0])
}

fn is_unsubscribed(state: &Value) -> bool {
    let listens = state["listens"].as_array().expect("an array");
    let no_more = |listen: &Value| listen["notifications"].get("resourceSubscriptions").is_none();
    state["subscriptions"] == json!([]) && listens.iter().all(no_more)
}

#[tokio::test]
async fn it_survives_the_process() {
    for era in ERAS {
        let gateway = gateway(era, "");
        let (client, peer) = (Modern::of(&gateway), Peer::open(&gateway, "mock").await);
        let mut old = peer.listen().await;
        peer.request("resources/subscribe", json!({ "uri": WATCHED }))
            .await;
        let (mut stream, _) = client.listen(json!("a"), everything()).await;
        client.change("tools", Some("added")).await;
        stream.expect("tools/list_changed").await;
        let pid = gateway.admin("servers/mock").await["pid"].clone();
        let (_answer, _connection) = client
            .post(
                json!(1),
                "tools/call",
                json!({ "name": "crash", "arguments": {} }),
            )
            .await;
        client
            .state_until("it is subscribed again", |state| {
                state["pid"] != pid && is_subscribed(state)
            })
            .await;
        // The new process has not what was added to the old one, and the resource may have changed.
        let mut told = [stream.next().await, stream.next().await].map(|message| message["method"].clone());
        told.sort_by_key(Value::to_string);
        assert_eq!(
            told,
            [
                "notifications/resources/updated",
                "notifications/tools/list_changed"
            ]
        );
        client.touch().await;
        stream.expect("resources/updated").await;
        let mut updates = 0;
        while updates < 2 {
            updates += usize::from(old.message().await["method"] == "notifications/resources/updated");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn it_survives_a_change_of_its_servers_configuration() {
    for era in ERAS {
        let gateway = gateway(era, "");
        let client = Modern::of(&gateway);
        let (mut lists, _) = client.listen(json!(1), json!({ "toolsListChanged": true })).await;
        let (mut stream, _) = client.listen(json!(2), everything()).await;
        assert_eq!(
            gateway.patch("servers/mock", &json!({ "linger": "29s" })).await,
            200
        );
        client.state_until("it is subscribed again", is_subscribed).await;
        // It may have changed meanwhile.
        stream.expect("resources/updated").await;
        client.touch().await;
        stream.expect("resources/updated").await;
        client.change("tools", None).await;
        stream.expect("tools/list_changed").await;
        lists.expect("tools/list_changed").await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_its_server_ends_is_asked_for_again() {
    for with in ["result", "cancelled", "error"] {
        let gateway = gateway("modern", "");
        let client = Modern::of(&gateway);
        let (mut stream, _) = client.listen(json!("a"), everything()).await;
        client.text("end_listens", json!({ "with": with })).await;
        client.state_until("it is listened again", is_subscribed).await;
        // It may have changed meanwhile.
        stream.expect("resources/updated").await;
        client.touch().await;
        stream.expect("resources/updated").await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn it_ends_with_its_client() {
    for era in ERAS {
        let gateway = gateway(era, "");
        let client = Modern::of(&gateway);
        let (stream, _) = client.listen(json!("a"), everything()).await;
        client.state_until("it is subscribed", is_subscribed).await;
        let sessions = gateway.admin("sessions").await;
        assert_eq!(sessions["sessions"][0]["openStreams"], 1, "{sessions}");
        drop(stream);
        client
            .state_until("the subscription went back", is_unsubscribed)
            .await;
        until("the stay is over", async || {
            let sessions = gateway.admin("sessions").await;
            (sessions["sessions"] == json!([])).then_some(())
        })
        .await;
        assert_eq!(client.touch().await, "nobody subscribed");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn it_ends_with_its_server() {
    let gateway = gateway("legacy", "");
    let client = Modern::of(&gateway);
    let (stream, _) = client.listen(json!("a"), everything()).await;
    assert_eq!(gateway.order(Method::POST, "servers/mock/disable").await, 200);
    stream.expect_end().await;
    let error = client.refused(json!({ "notifications": {} })).await;
    assert_eq!(error["code"], -32003, "{error}");
    assert_eq!(gateway.order(Method::POST, "servers/mock/enable").await, 200);
    let (stream, _) = client.listen(json!(2), everything()).await;
    assert_eq!(gateway.order(Method::DELETE, "servers/mock").await, 204);
    // The first process may have been stopped before its lists were read: then those of the second are news.
    stream.expect_end_some_time().await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_gateway_and_does_not_hold_that_up() {
    let gateway = gateway("modern", "");
    let (stream, _) = Modern::of(&gateway).listen(json!("a"), everything()).await;
    let ended = tokio::task::spawn_blocking(|| gateway.end_by(|process| process.signal(Signal::TERM)));
    stream.expect_end().await;
    assert!(ended.await.expect("the gateway ends").success());
}

#[tokio::test]
async fn an_idle_process_stops_unless_somebody_has_subscribed() {
    let server = "command = \"@self\"\nsharing = \"shared\"\nprotocol-era = \"modern\"\nidle-timeout = \"200ms\"\n\
                  args = [\"mock-server\", \"--era\", \"modern\"]\n";
    let gateway = Gateway::start(&format!(
        "[servers.mock]\n{server}[servers.needed]\n{server}path = \"needed\"\n"
    ));
    let needed = Peer::open(&gateway, "needed").await;
    let mut updates = needed.listen().await;
    let answer = needed
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    let pid = gateway.admin("servers/needed").await["pid"].clone();
    let client = Modern::of(&gateway);
    let (mut stream, _) = client
        .listen(json!("a"), json!({ "toolsListChanged": true }))
        .await;
    client.change("tools", Some("added")).await;
    stream.expect("tools/list_changed").await;
    until("the idle process stops", async || {
        (gateway.admin("servers/mock").await["phase"] == "stopped").then_some(())
    })
    .await;
    // The other one had been idle for longer.
    assert_eq!(gateway.admin("servers/needed").await["pid"], pid);
    needed.text("touch", json!({ "uri": WATCHED })).await;
    assert_eq!(
        updates.message().await["method"],
        "notifications/resources/updated"
    );
    client.text("pid", json!({})).await;
    stream.expect("tools/list_changed").await; // the one that was added has gone
    gateway.stop().await;
}

#[tokio::test]
async fn it_has_limits() {
    let gateway = Gateway::start(
        "sessions.listens-max = 2\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let client = Modern::of(&gateway);
    let resources = |uris: Vec<String>| json!({ "notifications": { "resourceSubscriptions": uris } });
    let many = (0..=1024).map(|number| format!("test://{number}")).collect();
    let error = client.refused(resources(many)).await;
    assert_eq!(error["code"], -32004, "{error}");
    let error = client.refused(resources(vec!["x".repeat(4097)])).await;
    assert_eq!(error["code"], -32602, "{error}");
    for wrong in [
        json!({}),
        json!({ "notifications": { "toolsListChanged": 1 } }),
        json!({ "notifications": { "resourceSubscriptions": [1] } }),
    ] {
        let error = client.refused(wrong).await;
        assert_eq!(error["code"], -32602, "{error}");
    }
    let (one, honoured) = client.listen(json!(1), json!({})).await;
    assert_eq!(honoured, json!({}), "to want nothing is not wrong");
    let (_two, _) = client.listen(json!(1), json!({ "toolsListChanged": true })).await;
    let error = client.refused(json!({ "notifications": {} })).await;
    assert_eq!(error["code"], -32004, "{error}");
    assert!(
        error["message"]
            .as_str()
            .expect("a text")
            .contains("sessions.listens-max")
    );
    drop(one);
    until("the place is free", async || {
        let sessions = gateway.admin("sessions").await;
        (sessions["sessions"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;
    client.listen(json!(3), json!({})).await;
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_keep_up_is_told_that_this_is_the_end() {
    let gateway = Gateway::start(
        "sessions.outbox-events-max = 1\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let client = Modern::of(&gateway);
    let lists = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
    let (stream, _) = client.listen(json!("slow"), lists).await;
    until("more comes than there is room for", async || {
        tokio::join!(
            client.change("tools", None),
            client.change("prompts", None),
            client.change("resources", None)
        );
        let sessions = gateway.admin("sessions").await;
        (sessions["sessions"] == json!([])).then_some(())
    })
    .await;
    stream.expect_end_some_time().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let gateway = Gateway::start(
        "http.keep-alive = \"1s\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "notifications": {}, "_meta": meta });
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params }).to_string();
    let more =
        format!("Accept: {BOTH}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n");
    let head = head_of_post(gateway.address(), body.len(), &more);
    let mut raw = Raw::send(gateway.address(), &(head + &body)).await;
    raw.until("notifications/subscriptions/acknowledged").await;
    raw.until(": keep-alive").await;
    gateway.stop().await;
}

/// Which era a server speaks turns out when it has started, and with it who shares which process.
#[tokio::test]
async fn who_listened_first_hears_those_who_came_later() {
    for era in ERAS {
        let gateway = Gateway::with_mock(&["--era", era], "");
        let client = Modern::of(&gateway);
        let (mut stream, _) = client.listen(json!("first"), everything()).await;
        let peer = Peer::open(&gateway, "mock").await;
        let mut heard = async || {
            // Where it has moved, the resource may have changed on the way.
            while stream.next().await["method"] != "notifications/tools/list_changed" {}
        };
        peer.text("change", json!({ "kind": "tools" })).await;
        heard().await;
        client.change("tools", None).await;
        heard().await;
        client
            .state_until("it has moved with its subscription", is_subscribed)
            .await;
        assert_eq!(
            gateway.patch("servers/mock", &json!({ "linger": "29s" })).await,
            200
        );
        client.state_until("it is subscribed again", is_subscribed).await;
        // A process that nobody will share any more may still answer for a moment.
        let heard = async { while stream.next().await["method"] != "notifications/resources/updated" {} };
        let touching = until("it is heard", async || {
            client.touch().await;
            None::<()>
        });
        tokio::select! {
            () = heard => {}
            () = touching => {}
        }
        gateway.stop().await;
    }
}
