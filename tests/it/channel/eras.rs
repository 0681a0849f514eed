//! Both eras on one channel (2026-07-28, "Versioning": a server may serve both on one process), and which message
//! belongs to which.

use serde_json::{Value, json};

use super::ends::{Kind, LATEST, gateway_with, of_era};
use super::speaker::{ERAS, Speaker, VERSION, request};
use crate::support::{Channel, text_of, within};

fn old(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

fn old_call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    old(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// What a client that speaks both does against a server of unknown era: it asks, and may fall back all the same.
#[tokio::test]
async fn who_probes_first_may_shake_hands_then() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            let found = client.answer("server/discover", json!({})).await;
            assert_eq!(
                found["result"]["supportedVersions"],
                json!([VERSION]),
                "{kind:?} {era}"
            );
            let opened = client.channel.open(LATEST, json!({})).await;
            assert_eq!(
                opened["result"]["protocolVersion"], LATEST,
                "{kind:?} {era}: {opened}"
            );
            let echoed = client.channel.call("echo", json!({ "text": "old" })).await;
            assert!(text_of(&echoed).contains("old") && echoed["result"].get("resultType").is_none());
            // And the other one goes on.
            let echoed = client.call("echo", json!({ "text": "new" })).await;
            assert!(text_of(&echoed).contains("new") && echoed["result"]["resultType"] == "complete");
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_request_is_of_the_era_that_it_claims() {
    let gateway = of_era("both", "");
    for kind in Kind::ALL {
        let mut client = Speaker::enter(kind, &gateway).await;
        // Nobody has shaken hands: what claims nothing belongs to a session that is not open yet.
        client
            .channel
            .say(&old_call("early", "echo", json!({ "x": 1 })))
            .await;
        let early = client.channel.message().await;
        assert_eq!(
            (&early["id"], &early["error"]["code"]),
            (&json!("early"), &json!(-32600)),
            "{kind:?}: {early}"
        );
        let modern = client.answer("initialize", json!({})).await;
        assert_eq!(modern["error"]["code"], -32601, "{kind:?}: {modern}");
        client.channel.open(LATEST, json!({})).await;
        let pong = client.channel.ask(&old("p", "ping", json!({}))).await;
        assert_eq!(pong[0]["result"], json!({}), "{kind:?}");
        let ping = client.answer("ping", json!({})).await;
        assert_eq!(ping["error"]["code"], -32601, "{kind:?}: {ping}");
        let listen = old("l", "subscriptions/listen", json!({ "notifications": {} }));
        let refused = client.channel.ask(&listen).await.pop().expect("an answer");
        assert!(refused["error"]["code"].is_number(), "{kind:?}: {refused}");
        client.channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn batches_hold_no_modern_requests_before_a_handshake() {
    let gateway = of_era("both", "");
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        let listed = request(1, "tools/list", json!({}), &json!({}));
        channel.say(&json!([listed.clone(), listed])).await;
        let refused = channel.message().await;
        assert_eq!(
            (&refused["error"]["code"], &refused["id"]),
            (&json!(-32600), &Value::Null),
            "{kind:?}"
        );
        channel.end().await;
    }
    gateway.stop().await;
}

/// The two have their ids apart; only a cancellation does not say which it means.
#[tokio::test]
async fn the_same_id_in_both_eras_is_two_requests() {
    let gateway = gateway_with("", "");
    for kind in [Kind::Socket, Kind::Pipes] {
        let mut client = Speaker::enter(kind, &gateway).await;
        client.channel.open(LATEST, json!({})).await;
        let endless = json!({ "steps": 10_000, "ms": 20 });
        let params = json!({ "name": "progress", "arguments": endless, "_meta": { "progressToken": "old" } });
        client.channel.say(&old(1, "tools/call", params)).await;
        client.channel.message().await;
        client.send_call(1, "progress", endless, Some("new")).await;
        let mut tokens = vec![];
        while !tokens.contains(&"new".to_owned()) {
            let message = client.channel.message().await;
            tokens.push(
                message["params"]["progressToken"]
                    .as_str()
                    .expect("a token")
                    .to_owned(),
            );
        }
        client.cancel(1).await;
        // Neither is cancelled: both go on after the next answer.
        client.call("echo", json!({})).await;
        let mut going_on: Vec<String> = vec![];
        while !(going_on.contains(&"old".to_owned()) && going_on.contains(&"new".to_owned())) {
            let message = client.channel.message().await;
            let token = message["params"]["progressToken"].as_str();
            going_on.push(token.unwrap_or_else(|| panic!("{message}")).to_owned());
        }
        drop(client);
    }
    let none = async { while gateway.admin("status").await["inFlight"] != 0 {} };
    within("the end of both", none).await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_upgrade_may_name_a_version_of_either_era() {
    let gateway = of_era("both", "");
    for (version, is_known) in [
        (VERSION, true),
        (LATEST, true),
        ("2026-07-29", false),
        ("2027-01-01", false),
    ] {
        let header = ("mcp-protocol-version", version);
        let entered = Channel::socket_with(gateway.address(), "/mcp/mock", &[header]).await;
        let status = entered.map(drop).map_err(|(status, _)| status.as_u16());
        let expected = if is_known { Ok(()) } else { Err(400) };
        assert_eq!(status, expected, "{version}");
    }
    gateway.stop().await;
}
