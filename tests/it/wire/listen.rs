//! `subscriptions/listen` of clients on servers of either era, and subscriptions of the handshake era on a modern one:
//! everybody hears what they asked for, in the words of their own era, and nothing else.

use serde_json::{Value, json};

use super::listener::{ERAS, ID, Modern, WATCHED, gateway, one_of_each_era};
use super::peer::{Listening, Peer};

async fn expect(listening: &mut Listening, method: &str) {
    let message = listening.message().await;
    assert_eq!(message["method"], format!("notifications/{method}"), "{message}");
    assert_eq!(message["params"]["_meta"][ID], Value::Null, "{message}");
}

#[tokio::test]
async fn each_stream_hears_what_it_asked_for() {
    for era in ERAS {
        let gateway = gateway(era, "");
        let client = Modern::of(&gateway);
        let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED], "unknown": 1 });
        let (mut one, honoured) = client.listen(json!("one"), wanted).await;
        assert_eq!(
            honoured,
            json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] })
        );
        let wanted = json!({
            "promptsListChanged": true, "resourcesListChanged": false, "resourceSubscriptions": ["test://nobody"],
        });
        let (mut two, honoured) = client.listen(json!(7), wanted).await;
        assert_eq!(honoured, json!({ "promptsListChanged": true }), "{era}");
        let (mut all, _) = client
            .listen(
                json!(7),
                json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true }),
            )
            .await;
        for kind in ["prompts", "resources", "tools"] {
            client.change(kind, None).await;
            all.expect(&format!("{kind}/list_changed")).await;
        }
        client.touch().await;
        client.change("prompts", None).await;
        one.expect("tools/list_changed").await;
        let update = one.next().await;
        assert_eq!(
            (&update["method"], &update["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!(WATCHED))
        );
        two.expect("prompts/list_changed").await;
        all.expect("prompts/list_changed").await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn both_eras_hear_of_one_change() {
    for era in ERAS {
        let gateway = gateway(era, "");
        let (client, _peer, mut old) = one_of_each_era(&gateway).await;
        let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
        let (mut new, _) = client.listen(json!(1), wanted).await;
        client.touch().await;
        client.change("tools", None).await;
        for method in ["resources/updated", "tools/list_changed"] {
            expect(&mut old, method).await;
            new.expect(method).await;
        }
        drop(new);
        // What one has given up the other still hears of.
        client.touch().await;
        expect(&mut old, "resources/updated").await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_modern_server_is_asked_once_for_everybody() {
    let gateway = gateway("modern", "");
    let (client, peer) = (Modern::of(&gateway), Peer::open(&gateway, "mock").await);
    let lists = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
    let only = |state: &Value, uris: &[&str]| {
        let mut wanted = lists.clone();
        if !uris.is_empty() {
            wanted["resourceSubscriptions"] = json!(uris);
        }
        let listens = state["listens"].as_array().expect("an array");
        listens.len() == 1 && listens[0]["notifications"] == wanted
    };
    client
        .state_until("the catalog is kept", |state| only(state, &[]))
        .await;
    let (one, _) = client
        .listen(json!(1), json!({ "resourceSubscriptions": [WATCHED] }))
        .await;
    let (two, _) = client
        .listen(
            json!(1),
            json!({ "resourceSubscriptions": [WATCHED, "test://static-text"] }),
        )
        .await;
    let both = ["test://static-text", WATCHED];
    client.state_until("the union", |state| only(state, &both)).await;
    drop(two);
    client
        .state_until("less is wanted", |state| only(state, &[WATCHED]))
        .await;
    peer.request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    drop(one);
    let answer = peer
        .request("resources/subscribe", json!({ "uri": "test://static-text" }))
        .await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    let state = client
        .state_until("a session's subscriptions", |state| only(state, &both))
        .await;
    assert_eq!(state["asked"]["resources/subscribe"], Value::Null);
    for uri in both {
        let answer = peer.request("resources/unsubscribe", json!({ "uri": uri })).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    }
    client
        .state_until("the catalog is kept", |state| only(state, &[]))
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_modern_server_does_not_honour_is_no_subscription() {
    let gateway = gateway("modern", "");
    let (client, peer) = (Modern::of(&gateway), Peer::open(&gateway, "mock").await);
    let mut old = peer.listen().await;
    let uri = "test://nobody";
    let answer = peer.request("resources/subscribe", json!({ "uri": uri })).await;
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["data"]["uri"]),
        (&json!(-32002), &json!(uri)),
        "{answer}"
    );
    client.text("touch", json!({ "uri": uri, "force": true })).await;
    client.change("tools", None).await;
    expect(&mut old, "tools/list_changed").await;
    let answer = peer.request("resources/subscribe", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let listen = json!({ "notifications": { "toolsListChanged": true } });
    let answer = peer.request("subscriptions/listen", listen).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_modern_server_that_knows_no_listening_honours_nothing() {
    let arguments = ["--era", "modern", "--unknown", "subscriptions/listen"];
    let gateway = crate::support::Gateway::with_mock(&arguments, "protocol-era = \"modern\"");
    let client = Modern::of(&gateway);
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
    let (_stream, honoured) = client.listen(json!(1), wanted).await;
    assert_eq!(honoured, json!({}));
    let peer = Peer::open(&gateway, "mock").await;
    let answer = peer
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    let state = peer.state().await;
    assert_eq!(state["asked"]["subscriptions/listen"], 1, "it is not asked again");
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_of_a_client_that_can_be_asked_shares_its_server_all_the_same() {
    let gateway = crate::support::Gateway::start(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"legacy\"]\n",
    );
    let client = Modern::with(&gateway, json!({ "sampling": {}, "elicitation": {} }));
    let (mut stream, _) = client.listen(json!(1), json!({ "toolsListChanged": true })).await;
    let sessions = gateway.admin("sessions").await;
    assert_eq!(sessions["sessions"][0]["lease"]["kind"], "shared", "{sessions}");
    Modern::of(&gateway).change("tools", None).await;
    stream.expect("tools/list_changed").await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_process_of_its_own_tells_its_only_listener() {
    for era in ERAS {
        let gateway = crate::support::Gateway::start(&format!(
            "[servers.mock]\ncommand = \"@self\"\nsharing = \"session\"\nprotocol-era = {era:?}\n\
             args = [\"mock-server\", \"--era\", {era:?}, \"--notify-every\", \"20\", \"--notify-method\", \"notifications/tools/list_changed\"]\n"
        ));
        let client = Modern::of(&gateway);
        let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
        let (mut stream, honoured) = client.listen(json!("own"), wanted.clone()).await;
        assert_eq!(honoured, wanted, "{era}");
        stream.expect("tools/list_changed").await;
        gateway.stop().await;
    }
}
