//! What the gateway need not know, between any two eras: extensions, capabilities, methods, fields, and versions. And what
//! it answers itself, since the server's era does not have it.

use serde_json::{Value, json};

use super::listener::{ERAS, Modern};
use super::peer::{LATEST, Peer};
use crate::support::Gateway;

const SKILLS: &str = "io.modelcontextprotocol/skills";

/// Starts a gateway whose clients have a server each, so that it is told who they are.
fn gateway(arguments: &[&str]) -> Gateway {
    let arguments = [&["mock-server"], arguments].concat();
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = {arguments:?}\nsharing = \"session\"\n"
    ))
}

/// Returns what is said of a tool whose `_meta` belongs to the extension `ui`.
fn shown(listed: &Value) -> Value {
    let mut tools = listed["result"]["tools"].as_array().expect("tools").iter();
    let tool = tools.find(|tool| tool["name"] == "state").expect("it is there");
    tool["_meta"]["ui"].clone()
}

/// The extensions of servers without a handshake, and `ui` of either.
#[tokio::test]
async fn extensions_of_a_server_reach_clients_of_either_era() {
    for era in ERAS {
        let gateway = gateway(&["--era", era]);
        let (old, opened) = Peer::open_as(&gateway, "mock", LATEST, json!({})).await;
        let new = Modern::of(&gateway);
        let ask = async |method: &str| {
            let (answer, _connection) = new.post(json!(1), method, json!({})).await;
            [answer.json().await, old.request(method, json!({})).await]
        };
        let [found, _] = ask("server/discover").await;
        let announced = [&opened["capabilities"], &found["result"]["capabilities"]];
        let has_skills = era == "modern";
        for capabilities in announced {
            let its = capabilities["extensions"].get(SKILLS);
            assert_eq!(its.is_some(), has_skills, "{era}: {capabilities}");
        }
        for listed in ask("skills/list").await {
            let skills = listed["result"]["skills"].as_array().map(Vec::len);
            let code = &listed["error"]["code"];
            match has_skills {
                true => assert_eq!(skills, Some(1), "{listed}"),
                false => assert_eq!(*code, -32601, "{listed}"),
            }
        }
        for listed in ask("tools/list").await {
            let ui = json!({ "resourceUri": "test://static-text", "visibility": ["model"] });
            assert_eq!(shown(&listed), ui, "{era}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_server_of_either_era_learns_all_that_its_client_says_of_itself() {
    let able =
        json!({ "sampling": {}, "experimental": { "vendor": 1 }, "extensions": { "vendor/thing": {} } });
    for era in ERAS {
        let gateway = gateway(&["--era", era]);
        let (old, _) = Peer::open_as(&gateway, "mock", LATEST, able.clone()).await;
        let call = json!({ "name": "state", "arguments": {} });
        let told = old.request("tools/call", call.clone()).await;
        let (answer, _connection) = Modern::with(&gateway, able.clone())
            .post(json!(1), "tools/call", call)
            .await;
        for answer in [told, answer.json().await] {
            let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
            let state: Value = serde_json::from_str(text).expect("JSON");
            let told = match era {
                "legacy" => &state,
                _ => &state["lastMeta"],
            };
            assert_eq!(told["clientCapabilities"], able, "{era}: {state}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn each_side_has_the_version_that_it_speaks() {
    for spoken in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let gateway = Gateway::with_mock(&["--era", "legacy", "--protocol-version", spoken], "");
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            // That it is the client's own is checked there.
            let (peer, _) = Peer::open_as(&gateway, "mock", version, json!({})).await;
            let state = peer.state().await;
            assert_eq!(state["protocolVersion"], spoken, "{version}");
        }
        gateway.stop().await;
    }
}

/// A server without a handshake has neither.
#[tokio::test]
async fn pings_and_levels_are_answered_without_the_server() {
    let gateway = gateway(&["--era", "modern"]);
    let peer = Peer::open(&gateway, "mock").await;
    for (method, params) in [
        ("ping", json!({})),
        ("logging/setLevel", json!({ "level": "debug" })),
    ] {
        let answer = peer.request(method, params).await;
        assert_eq!(answer["result"], json!({}), "{method}: {answer}");
    }
    let state = peer.state().await;
    assert_eq!(
        state["lastMeta"]["logLevel"], "debug",
        "what is kept goes along: {state}"
    );
    gateway.stop().await;
}
