//! Whose a suspended call is, how many may wait, and what a restart leaves of them.

use serde_json::{Value, json};

use super::client::{Client, text};
use crate::support::{Gateway, Guarded, eventually};

const ALICE: &str = "alice-token-0123456789";
const BOB: &str = "bob-token-0123456789abc";
const CAROL: &str = "carol-token-0123456789";

/// Starts a gateway with two servers that ask while they work, for three principals in two modes.
fn gateway(requests: &str) -> Guarded {
    let mode =
        |name: &str| format!("[modes.{name}]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n");
    let principal = |(name, token): (&str, &str)| {
        format!("[principals.{name}]\ntoken = {token:?}\nmodes = [\"chat\", \"code\"]\n")
    };
    let server = |name: &str| {
        format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"legacy\"]\n")
    };
    let parts = [
        format!("[[plugins]]\nname = \"mode-access\"\n[requests]\n{requests}\n"),
        ["chat", "code"].map(mode).concat(),
        [("alice", ALICE), ("bob", BOB), ("carol", CAROL)]
            .map(principal)
            .concat(),
        ["one", "two"].map(server).concat(),
    ];
    Guarded::start(&["mode-access"], "", &parts.concat())
}

fn client<'g>(guarded: &'g Guarded, server: &str, token: &'static str, mode: &str) -> Client<'g> {
    let client = Client::of(&guarded.gateway, server, json!({ "sampling": {} }));
    client.with_token(token).in_mode(mode)
}

/// Calls a tool that asks; returns the request that goes on with the call.
async fn begin(client: &Client<'_>) -> Value {
    let arguments = json!({ "prompt": "capital?" });
    let asked = client.call("test_sampling", arguments.clone()).await;
    let questions = asked["inputRequests"].as_object();
    let questions = questions.unwrap_or_else(|| panic!("it is not asked: {asked}"));
    let said = json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" });
    let responses = questions.keys().map(|key| (key.clone(), said.clone()));
    json!({
        "name": "test_sampling", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": responses.collect::<serde_json::Map<_, _>>(),
    })
}

async fn refused(client: &Client<'_>, method: &str, params: Value, why: &str) {
    let (_, answer) = client.ask(method, params).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let reason = answer["error"]["message"].as_str().expect("a text");
    assert!(reason.contains(why), "{reason}");
}

async fn goes_on(client: &Client<'_>, again: Value) {
    let (_, answer) = client.ask("tools/call", again).await;
    assert_eq!(text(&answer["result"]), "LLM response: Paris", "{answer}");
}

#[tokio::test]
async fn it_belongs_to_its_client_in_its_mode_at_its_server() {
    let guarded = gateway("");
    let alice = client(&guarded, "one", ALICE, "chat");
    let again = begin(&alice).await;
    // A server that has asked for something itself knows states.
    begin(&client(&guarded, "two", ALICE, "chat")).await;
    for (server, token, mode, why) in [
        ("one", BOB, "chat", "for this client and method"),
        ("one", ALICE, "code", "for this client and method"),
        ("two", ALICE, "chat", "of another server"),
    ] {
        let other = client(&guarded, server, token, mode);
        refused(&other, "tools/call", again.clone(), why).await;
    }
    let prompt = json!({ "name": "test_simple_prompt", "requestState": again["requestState"] });
    refused(&alice, "prompts/get", prompt, "for this client and method").await;
    goes_on(&alice, again).await;
}

#[tokio::test]
async fn so_many_wait_of_one_client_and_so_many_in_all() {
    let guarded = gateway("suspended-per-principal-max = 1\nsuspended-max = 2");
    let [alice, bob, carol] = [ALICE, BOB, CAROL].map(|token| client(&guarded, "one", token, "chat"));
    let beyond = async |client: &Client<'_>, limit: &str| {
        let told = client
            .call("test_sampling", json!({ "prompt": "capital?" }))
            .await;
        assert!(text(&told).contains(limit), "{told}");
    };
    let again = begin(&alice).await;
    beyond(&alice, "requests.suspended-per-principal-max").await;
    begin(&bob).await;
    beyond(&carol, "requests.suspended-max").await;
    goes_on(&alice, again).await;
    begin(&carol).await;
}

#[tokio::test]
async fn after_a_restart_it_is_refused_with_the_reason() {
    let first = gateway("");
    let again = begin(&client(&first, "one", ALICE, "chat")).await;
    drop(first);
    let second = gateway("");
    let alice = client(&second, "one", ALICE, "chat");
    refused(&alice, "tools/call", again.clone(), "has been restarted").await;
    begin(&alice).await;
    refused(&alice, "tools/call", again, "has been restarted").await;
}

#[tokio::test]
async fn after_its_time_its_process_is_gone() {
    let gateway = Gateway::start(
        "[requests]\nsuspended-timeout = \"200ms\"\n[servers.one]\ncommand = \"@self\"\n\
         args = [\"mock-server\", \"--era\", \"legacy\"]\nsharing = \"session\"\nlinger = \"0s\"\n",
    );
    begin(&Client::of(&gateway, "one", json!({ "sampling": {} }))).await;
    let processes = || gateway.process().descendants();
    eventually("no process", processes, Vec::is_empty).await;
    gateway.stop().await;
}
