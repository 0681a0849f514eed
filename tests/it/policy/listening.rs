//! Listening is no way around a mode: what may not be subscribed to is not acknowledged, and none of it is told.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Connection, EventStream, Guarded, text_of};

const WATCHED: &str = "test://watched-resource";
const ALLOWED: &str = "test://static-binary";
const ID: &str = "io.modelcontextprotocol/subscriptionId";

fn guarded(era: &str, mode: &str) -> Guarded {
    let server = format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", {era:?}]\nsharing = \"shared\"\n\
         protocol-era = {era:?}\n"
    );
    Guarded::start(
        &["mode-access"],
        "default-mode = \"tried\"",
        &format!("[[plugins]]\nname = \"mode-access\"\n{server}[modes.tried]\n{mode}\n"),
    )
}

async fn post(guarded: &Guarded, method: &str, params: Value) -> (crate::support::Answer, Connection) {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().map(str::to_owned);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let mut headers = vec![
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
    let mut connection = Connection::open(guarded.gateway.address()).await;
    let answer = connection
        .send(Method::POST, "/mcp/mock", &headers, body.into())
        .await;
    (answer, connection)
}

async fn call(guarded: &Guarded, tool: &str, arguments: Value) -> String {
    let (answer, _connection) = post(
        guarded,
        "tools/call",
        json!({ "name": tool, "arguments": arguments }),
    )
    .await;
    text_of(&answer.json().await).to_owned()
}

async fn listen(guarded: &Guarded) -> (EventStream, Connection, Value) {
    let wanted = json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": [WATCHED, ALLOWED, "TEST://watched-resource", "test://x/../watched-resource"],
    });
    let (answer, connection) = post(
        guarded,
        "subscriptions/listen",
        json!({ "notifications": wanted }),
    )
    .await;
    let mut events = answer.events();
    let first = events.next().await.expect("it is acknowledged").json();
    (events, connection, first["params"]["notifications"].clone())
}

async fn expect(events: &mut EventStream, method: &str) {
    let message = events.next().await.expect("the stream goes on").json();
    assert_eq!(message["method"], format!("notifications/{method}"), "{message}");
    assert_eq!(message["params"]["_meta"][ID], 1, "{message}");
}

#[tokio::test]
async fn a_forbidden_resource_cannot_be_listened_to() {
    for era in ["legacy", "modern"] {
        let guarded = guarded(
            era,
            "allowed-servers = [\"mock\"]\nallowed-capabilities = [\"tools\", \"resources\"]\n\
             resources = { deny = [\"test://watched-*\"] }",
        );
        let (mut events, _connection, honoured) = listen(&guarded).await;
        assert_eq!(
            honoured,
            json!({
                "toolsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": [ALLOWED],
            }),
            "{era}"
        );
        let state: Value = serde_json::from_str(&call(&guarded, "state", json!({})).await).expect("JSON");
        let told = format!("{}{}", state["subscriptions"], state["listens"]);
        assert!(
            told.contains(ALLOWED) && !told.contains("watched"),
            "{era}: {told}"
        );
        call(&guarded, "touch", json!({ "uri": WATCHED, "force": true })).await;
        call(&guarded, "change", json!({ "kind": "prompts" })).await;
        call(&guarded, "touch", json!({ "uri": ALLOWED })).await;
        call(&guarded, "change", json!({ "kind": "tools" })).await;
        expect(&mut events, "resources/updated").await;
        expect(&mut events, "tools/list_changed").await;
    }
}

#[tokio::test]
async fn forbidden_capabilities_are_not_acknowledged() {
    for era in ["legacy", "modern"] {
        let guarded = guarded(
            era,
            "allowed-servers = [\"mock\"]\nallowed-capabilities = [\"tools\"]",
        );
        let (mut events, _connection, honoured) = listen(&guarded).await;
        assert_eq!(honoured, json!({ "toolsListChanged": true }), "{era}");
        for kind in ["prompts", "resources", "tools"] {
            call(&guarded, "change", json!({ "kind": kind })).await;
        }
        expect(&mut events, "tools/list_changed").await;
    }
}

#[tokio::test]
async fn a_forbidden_server_is_not_listened_to() {
    for era in ["legacy", "modern"] {
        let guarded = guarded(
            era,
            "allowed-servers = [\"other\"]\nallowed-capabilities = [\"*\"]",
        );
        let params = json!({ "notifications": { "toolsListChanged": true } });
        let (answer, _connection) = post(&guarded, "subscriptions/listen", params).await;
        let answer = answer.json().await;
        assert!(answer["error"]["code"].is_number(), "{era}: {answer}");
        let pid = guarded.gateway.admin("servers/mock").await["pid"].clone();
        assert_eq!(pid, Value::Null, "{era}: it was not even started");
    }
}
