//! Servers without a handshake over HTTP: what the head of a call mirrors, and tools that say of that what breaks the rules.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::pair::{log, to};
use super::scripted::{Scripted, Seen, Step, events, head, result, status};
use crate::support::Gateway;
use crate::wire::listener::Modern;
use crate::wire::peer::{Peer, call};

const MODERN: &str = "sharing = \"shared\"\nprotocol-era = \"modern\"";

/// Answers what a server without a handshake answers to everything but lists and calls of tools.
fn modern(seen: &Seen) -> Vec<Step> {
    match seen.message["method"].as_str() {
        Some("server/discover") => {
            let capabilities = json!({ "tools": {} });
            let found = json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities });
            result(seen, complete(found))
        }
        _ => status(404),
    }
}

fn complete(mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result["ttlMs"] = json!(0);
    result["cacheScope"] = json!("private");
    result
}

fn tool(name: &str, kind: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": {
        "region": { "type": kind, "x-mcp-header": "Region" },
    } } })
}

fn plain(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}

fn tools(seen: &Seen, tools: Value) -> Vec<Step> {
    result(seen, complete(json!({ "tools": tools })))
}

/// Returns what the server had of the header of a call.
fn region(seen: &Seen) -> Vec<Step> {
    let said = seen.headers.get("mcp-param-region").cloned().unwrap_or_default();
    result(
        seen,
        complete(json!({ "content": [{ "type": "text", "text": said }] })),
    )
}

fn mismatch(seen: &Seen) -> Vec<Step> {
    let error = json!({ "code": -32020, "message": "the header Mcp-Param-Region is missing" });
    let text = json!({ "jsonrpc": "2.0", "id": seen.message["id"], "error": error }).to_string();
    vec![head(400, "application/json", ""), Step::Send(text)]
}

/// Whether it is the request of whoever wants to know what a call mirrors.
fn is_for_a_call(seen: &Seen) -> bool {
    seen.message["id"]
        .as_str()
        .is_some_and(|id| id.starts_with("portcullis-tools"))
}

async fn names(gateway: &Gateway) -> Vec<String> {
    let peer = Peer::open(gateway, "far").await;
    let listed = peer.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().expect("a list");
    tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("text").to_owned())
        .collect()
}

#[tokio::test]
async fn tools_that_break_the_rules_are_left_out_and_not_called() {
    let server = Scripted::start(|seen, _| match seen.message["method"].as_str() {
        Some("tools/list") => tools(
            seen,
            json!([tool("good", "string"), tool("bad", "number"), plain("plain")]),
        ),
        Some("tools/call") => region(seen),
        _ => modern(seen),
    })
    .await;
    let gateway = to(&server.url(), MODERN);
    assert_eq!(names(&gateway).await, ["good", "plain"]);
    let peer = Peer::open(&gateway, "far").await;
    let answer = peer.ask(&call(1, "bad", json!({ "region": 1 }))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let why = "only a string, an integer or a boolean can be mirrored";
    assert!(answer["error"]["message"].to_string().contains(why), "{answer}");
    assert_eq!(server.count("tools/call"), 0);
    let said = log(&gateway).await;
    assert!(
        said.contains("bad") && said.matches(why).count() == 1,
        "once: {said}"
    );
    assert_eq!(peer.text("good", json!({ "region": "here" })).await, "here");
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_with_a_handshake_may_annotate_as_it_likes() {
    let server = Scripted::start(|seen, _| match seen.message["method"].as_str() {
        Some("tools/list") => tools(seen, json!([tool("good", "string"), tool("bad", "number")])),
        _ => super::scripted::polite(seen).unwrap_or_else(|| region(seen)),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    assert_eq!(names(&gateway).await, ["good", "bad"]);
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(
        peer.text("bad", json!({ "region": 1 })).await,
        "",
        "nothing is mirrored"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_first_call_mirrors_though_nobody_has_listed_the_tools_yet() {
    let server = Scripted::start(|seen, _| match seen.message["method"].as_str() {
        Some("tools/list") if !is_for_a_call(seen) => vec![Step::Hold],
        Some("tools/list") if seen.message["params"]["cursor"] == "2" => {
            tools(seen, json!([tool("here", "string")]))
        }
        Some("tools/list") => result(
            seen,
            complete(json!({ "tools": [plain("other")], "nextCursor": "2" })),
        ),
        Some("tools/call") => region(seen),
        _ => modern(seen),
    })
    .await;
    let gateway = to(&server.url(), MODERN);
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(
        peer.text("here", json!({ "region": "süd" })).await,
        "=?base64?c8O8ZA==?="
    );
    assert_eq!(peer.text("here", json!({ "region": null })).await, "");
    let asked = server.seen().iter().filter(|seen| is_for_a_call(seen)).count();
    assert_eq!(asked, 2, "two pages, once");
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_mirrors_what_was_is_made_once_more_with_what_is() {
    let server = Scripted::start(|seen, _| match seen.message["method"].as_str() {
        Some("tools/list") if is_for_a_call(seen) => tools(seen, json!([tool("new", "string")])),
        Some("tools/list") => tools(seen, json!([plain("new")])),
        Some("tools/call") if seen.headers.contains_key("mcp-param-region") => region(seen),
        Some("tools/call") => mismatch(seen),
        _ => modern(seen),
    })
    .await;
    let gateway = to(&server.url(), MODERN);
    assert_eq!(names(&gateway).await, ["new"]);
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(peer.text("new", json!({ "region": "here" })).await, "here");
    assert_eq!(server.count("tools/call"), 2);
    // Nothing that can be mirrored helps here: the refusal goes on to the client, after one more attempt.
    let answer = peer.ask(&call(1, "new", json!({}))).await;
    let message = answer["error"]["message"].as_str().expect("text");
    assert_eq!(message, "the header Mcp-Param-Region is missing");
    assert_eq!(server.count("tools/call"), 4);
    gateway.stop().await;
}

/// Over HTTP+SSE, where each answer comes by the one stream, nothing is mirrored that would have to be asked for.
#[tokio::test]
async fn a_call_over_the_old_transport_asks_for_nothing() {
    let (answers, texts): (Vec<_>, Vec<_>) = (0..3).map(|_| watch::channel(String::new())).unzip();
    let server = Scripted::start(move |seen, _| {
        let (turn, answer) = match seen.message["method"].as_str() {
            Some("server/discover") => (0, modern(seen)),
            Some("tools/list") => (1, tools(seen, json!([tool("bad", "number")]))),
            Some("tools/call") => (2, region(seen)),
            _ if seen.method == "GET" => {
                let endpoint = events("event: endpoint\ndata: /post\n\n");
                return endpoint
                    .into_iter()
                    .chain(texts.iter().cloned().map(Step::Later))
                    .chain([Step::Hold])
                    .collect();
            }
            _ => return status(202),
        };
        let Some(Step::Send(text)) = answer.last() else {
            unreachable!("each of them ends with a text")
        };
        answers[turn].send_replace(format!("data: {text}\n\n"));
        status(202)
    })
    .await;
    let gateway = to(&server.url(), &format!("{MODERN}\ntype = \"sse\""));
    let peer = Peer::open(&gateway, "far").await;
    assert_eq!(peer.text("bad", json!({ "region": 1 })).await, "");
    assert!(!server.seen().iter().any(is_for_a_call));
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_names_a_version_of_ours_is_asked_again_and_not_shaken_hands_with() {
    let server = Scripted::start(|seen, before| match seen.message["method"].as_str() {
        Some("server/discover") if before == 0 => {
            let data = json!({ "supported": ["2026-07-28"], "requested": "2026-07-28" });
            let error = json!({ "code": -32022, "message": "Unsupported protocol version", "data": data });
            let text = json!({ "jsonrpc": "2.0", "id": seen.message["id"], "error": error }).to_string();
            vec![head(400, "application/json", ""), Step::Send(text)]
        }
        Some("tools/list") => tools(seen, json!([plain("a")])),
        _ => modern(seen),
    })
    .await;
    let gateway = to(&server.url(), "sharing = \"shared\"");
    let (answer, _connection) = Modern::at(&gateway, "far")
        .post(json!(1), "tools/list", json!({}))
        .await;
    let listed = answer.json().await;
    assert_eq!(listed["result"]["tools"][0]["name"], "a", "{listed}");
    assert_eq!(
        (server.count("server/discover"), server.count("initialize")),
        (2, 0)
    );
    gateway.stop().await;
}
