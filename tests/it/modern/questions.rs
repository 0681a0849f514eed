//! Servers that ask back: in their answers, or while they work, which the gateway makes an answer.

use serde_json::{Value, json};

use super::client::{Client, gateway, text, until};

const ALL: fn() -> Value = || json!({ "sampling": {}, "elicitation": {}, "roots": {} });

/// Asks, answers with `response`, and returns the result of the request that is made again.
pub(super) async fn round(client: &Client<'_>, tool: &str, arguments: Value, response: Value) -> Value {
    let asked = client.call(tool, arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let requests = asked["inputRequests"].as_object().expect("requests");
    let responses: Value = requests
        .keys()
        .map(|key| (key.clone(), response.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let again = json!({
        "name": tool, "arguments": arguments, "inputResponses": responses, "requestState": asked["requestState"],
    });
    let (_, answer) = client.ask("tools/call", again).await;
    answer
}

#[tokio::test]
async fn a_server_of_either_era_asks_the_client() {
    for era in ["legacy", "modern"] {
        let gateway = gateway(era, "");
        let client = Client::of(&gateway, "mock", ALL());
        let sampled =
            json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" });
        let answer = round(&client, "test_sampling", json!({ "prompt": "capital?" }), sampled).await;
        assert_eq!(text(&answer["result"]), "LLM response: Paris", "{era}: {answer}");
        assert_eq!(answer["result"]["resultType"], "complete");
        let accepted = json!({ "action": "accept", "content": { "username": "u", "email": "e@x" } });
        let answer = round(
            &client,
            "test_elicitation",
            json!({ "message": "who?" }),
            accepted,
        )
        .await;
        assert!(
            text(&answer["result"]).contains("action=accept"),
            "{era}: {answer}"
        );
        gateway.stop().await;
    }
}

/// A process that knows its client is kept for its next call.
#[tokio::test]
async fn calls_of_one_client_follow_each_other_on_one_process() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", ALL());
    let first = client.call("pid", json!({})).await;
    let second = client.call("pid", json!({})).await;
    assert_eq!(text(&first), text(&second));
    let other = Client::of(&gateway, "mock", json!({ "sampling": {} }));
    assert_ne!(
        text(&other.call("pid", json!({})).await),
        text(&first),
        "its server was told something else"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_suspended_call_is_gone_on_with_once_by_its_own_request_alone() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", ALL());
    let arguments = json!({ "prompt": "capital?" });
    let asked = client.call("test_sampling", arguments.clone()).await;
    let state = asked["requestState"].clone();
    let key = asked["inputRequests"]
        .as_object()
        .expect("requests")
        .keys()
        .next()
        .expect("one")
        .clone();
    let sampled =
        json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" });
    let again = |arguments: Value, state: Value| {
        let responses: serde_json::Map<_, _> = [(key.clone(), sampled.clone())].into_iter().collect();
        json!({ "name": "test_sampling", "arguments": arguments, "inputResponses": responses, "requestState": state })
    };
    let refused = async |params: Value, why: &str| {
        let (_, answer) = client.ask("tools/call", params).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let text = answer["error"]["message"].as_str().expect("a text");
        assert!(text.contains(why), "{text}");
    };
    refused(
        again(json!({ "prompt": "other" }), state.clone()),
        "not the one that it was",
    )
    .await;
    let mut tampered = state.as_str().expect("text").to_owned();
    tampered.pop();
    refused(
        again(arguments.clone(), tampered.into()),
        "not made by this gateway",
    )
    .await;
    let (_, answer) = client
        .ask("tools/call", again(arguments.clone(), state.clone()))
        .await;
    assert_eq!(text(&answer["result"]), "LLM response: Paris", "{answer}");
    refused(again(arguments, state), "gone on with").await;
    gateway.stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_asked_again() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", ALL());
    let arguments = json!({ "prompt": "capital?" });
    let asked = client.call("test_sampling", arguments.clone()).await;
    let again =
        json!({ "name": "test_sampling", "arguments": arguments, "requestState": asked["requestState"] });
    let (_, answer) = client.ask("tools/call", again).await;
    assert_eq!(answer["result"]["resultType"], "input_required");
    assert_eq!(answer["result"]["inputRequests"], asked["inputRequests"]);
    assert_ne!(answer["result"]["requestState"], asked["requestState"]);
    gateway.stop().await;
}

/// A suspended call can be gone on with once. Where that is refused nobody will come again, and nothing is kept.
#[tokio::test]
async fn a_call_that_is_not_gone_on_with_ends_with_its_process() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", ALL());
    let arguments = json!({ "method": "roots/list" });
    let asked = client.call("ask", arguments.clone()).await;
    let sessions = gateway.admin("sessions").await;
    assert_eq!(
        sessions["sessions"].as_array().map(Vec::len),
        Some(1),
        "{sessions}"
    );
    let params = json!({
        "name": "ask", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "roots-list-1": { "roots": [] } },
    });
    let (body, mut headers) = client.request(json!(2), "tools/call", params.clone());
    headers.push(("mcp-param-note".to_owned(), "not in the body".to_owned()));
    let refused = client.send(&body, &headers).await;
    assert_eq!(refused.status(), 400);
    let (_, spent) = client.ask("tools/call", params).await;
    let why = spent["error"]["message"].as_str().expect("a text");
    assert!(why.contains("gone on with, or has ended"), "{why}");
    until("the session has ended", async || {
        gateway.admin("sessions").await["sessions"] == json!([])
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_suspended_call_whose_server_is_gone_says_so() {
    let gateway = gateway("legacy", "sharing = \"session\"");
    let client = Client::of(&gateway, "mock", ALL());
    let arguments = json!({ "prompt": "capital?" });
    let asked = client.call("test_sampling", arguments.clone()).await;
    let servers = gateway.admin("servers/mock").await;
    assert_eq!(
        gateway.order(http::Method::POST, "servers/mock/restart").await,
        200,
        "{servers}"
    );
    let again =
        json!({ "name": "test_sampling", "arguments": arguments, "requestState": asked["requestState"] });
    let (_, answer) = client.ask("tools/call", again).await;
    assert_eq!(answer["error"]["code"], -32003, "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_suspended_call_ends_after_its_time_with_its_process() {
    let gateway = crate::support::Gateway::start(
        "[requests]\nsuspended-timeout = \"200ms\"\nsuspended-max = 1\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"legacy\"]\n",
    );
    let client = Client::of(&gateway, "mock", ALL());
    let arguments = json!({ "prompt": "capital?" });
    let asked = client.call("test_sampling", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required");
    // The server is refused what it asks when no more calls may wait; the call goes on without.
    let second = client.call("test_sampling", arguments.clone()).await;
    assert!(text(&second).contains("suspended-max"), "{second}");
    // Another request does not go on with it, but learns whether it is there.
    let other = json!({ "name": "test_sampling", "arguments": {}, "requestState": asked["requestState"] });
    until("the call has ended", async || {
        let (_, answer) = client.ask("tools/call", other.clone()).await;
        let why = answer["error"]["message"].as_str().expect("a text").to_owned();
        why.contains("has ended") || why.contains("expired")
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_told_what_it_lacks() {
    for era in ["legacy", "modern"] {
        let gateway = gateway(era, "sharing = \"session\"");
        let client = Client::of(&gateway, "mock", json!({}));
        let params = json!({ "name": "test_missing_capability", "arguments": {} });
        let (status, answer) = client.ask("tools/call", params).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (400, &json!(-32021)), "{era}: {answer}");
        assert_eq!(error["data"]["requiredCapabilities"], json!({ "sampling": {} }));
        gateway.stop().await;
    }
}

/// Log messages are for requests that ask for them, and only where it is known whose they are.
#[tokio::test]
async fn log_messages_come_if_they_are_asked_for() {
    for (era, sharing, wanted, expect) in [
        ("legacy", "session", true, 3),
        ("legacy", "session", false, 0),
        ("modern", "session", true, 3),
        ("modern", "session", false, 0),
        ("modern", "shared", true, 0),
    ] {
        let gateway = gateway(era, &format!("sharing = \"{sharing}\""));
        let client = Client::of(&gateway, "mock", json!({}));
        let mut params = json!({ "name": "test_tool_with_logging", "arguments": {} });
        if wanted {
            params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
        }
        let (body, headers) = client.request(json!(1), "tools/call", params);
        let answer = client.send(&body, &headers).await;
        let mut logged = 0;
        if answer.is_stream() {
            let mut events = answer.events();
            while let Some(event) = events.next().await {
                logged += usize::from(event.json()["method"] == "notifications/message");
            }
        }
        assert_eq!(logged, expect, "{era} {sharing} {wanted}");
        gateway.stop().await;
    }
}

/// A server with a handshake that asks during each call and, in the same breath, says how far it is.
const HASTY: &str = r#"
number() { printf %s "$1" | grep -o "\"$2\":[0-9]*" | head -n 1 | cut -d: -f2; }
say() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$@"; }
progress() { printf '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%s}}' "$1" "$2"; }
while read -r line; do
  id=$(number "$line" id)
  case $line in
    *'"initialize"'*) say "$id" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"hasty","version":"1"}}' ;;
    *'"tools/list"'*) say "$id" '{"tools":[{"name":"hurry","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*)
      call=$id token=$(number "$line" progressToken)
      printf '{"jsonrpc":"2.0","id":"q","method":"roots/list"}\n%s\n%s\n' "$(progress "$token" 1)" "$(progress "$token" 2)" ;;
    *'"result"'*) say "$call" '{"content":[{"type":"text","text":"done"}]}' ;;
    *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  esac
done"#;

/// The client hears with its next request what was said while it was being asked.
#[tokio::test]
async fn progress_waits_for_a_client_that_is_asked() {
    let server = format!("[servers.hasty]\ncommand = \"sh\"\nargs = [\"-c\", '''{HASTY}''']\n");
    let gateway = crate::support::Gateway::start(&server);
    let client = Client::of(&gateway, "hasty", ALL());
    let params = json!({ "name": "hurry", "arguments": {}, "_meta": { "progressToken": "before" } });
    let (_, asked) = client.ask("tools/call", params).await;
    let asked = &asked["result"];
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let key = asked["inputRequests"]
        .as_object()
        .and_then(|all| all.keys().next());
    let again = json!({
        "name": "hurry", "arguments": {}, "requestState": asked["requestState"],
        "inputResponses": { key.expect("a question"): { "roots": [] } }, "_meta": { "progressToken": "after" },
    });
    let (body, headers) = client.request(json!("b"), "tools/call", again);
    let mut events = client.send(&body, &headers).await.events();
    for step in [1, 2] {
        let progress = events.next().await.expect("progress").json()["params"].clone();
        assert_eq!(
            (&progress["progressToken"], &progress["progress"]),
            (&json!("after"), &json!(step)),
            "{progress}"
        );
    }
    let answer = events.next().await.expect("the answer").json();
    assert_eq!(text(&answer["result"]), "done", "{answer}");
    gateway.stop().await;
}
