//! A call that waits for its client while those who judge it change, and what others do with its state. Whatever else may
//! cross it stands in `suspended`.

use std::future::poll_fn;
use std::task::Poll;

use serde_json::{Map, Value, json};

use super::client::{Client, gateway, text, until};
use crate::support::{Gateway, Guarded};
use crate::trial::Trial;

const ALICE: &str = "alice-token-0123456789";
const BOB: &str = "bob-token-0123456789abc";
const CHAT: &str = "[modes.chat]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n";
const TOOL: &str = "test_sampling";

/// A gateway with two modes that allow everything, two servers, and a plugin that may join later: it changes what clients
/// say that were asked for a sample.
fn guarded() -> Guarded {
    let mut late = Trial::new("late", "1.0.0");
    "sampling/createMessage".clone_into(&mut late.methods);
    late.changes = vec![["response", "/result/content/text", "\"Rome\""].map(str::to_owned)];
    let server = |name| {
        format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"legacy\"]\n")
    };
    let principal = |name, token| {
        format!("[principals.{name}]\ntoken = \"{token}\"\nmodes = [\"chat\", \"code\"]\nmode = \"chat\"\n")
    };
    let parts = [
        "[[plugins]]\nname = \"mode-access\"\n".to_owned(),
        CHAT.to_owned(),
        CHAT.replace("chat", "code"),
        principal("alice", ALICE),
        principal("bob", BOB),
        server("mock"),
        server("other"),
    ];
    Guarded::start_with(&["mode-access"], &[late], "", &parts.concat())
}

fn client<'a>(gateway: &'a Gateway, server: &str, token: &'static str) -> Client<'a> {
    Client::of(gateway, server, json!({ "sampling": {} })).with_token(token)
}

fn arguments() -> Value {
    json!({ "prompt": "capital?" })
}

async fn suspended(client: &Client<'_>) -> Value {
    let asked = client.call(TOOL, arguments()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    asked
}

/// Returns the request that goes on with it.
fn again(asked: &Value) -> Value {
    let said = json!({ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m" });
    let keys = asked["inputRequests"].as_object().expect("requests").keys();
    let said: Map<_, _> = keys.map(|key| (key.clone(), said.clone())).collect();
    json!({ "name": TOOL, "arguments": arguments(), "inputResponses": said, "requestState": asked["requestState"] })
}

async fn go_on(client: &Client<'_>, asked: &Value) -> Value {
    client.ask("tools/call", again(asked)).await.1
}

/// Checks that going on is refused in these words.
async fn refused(client: &Client<'_>, asked: &Value, words: &str) {
    let answer = go_on(client, asked).await;
    let why = answer["error"]["message"].as_str();
    assert!(why.is_some_and(|why| why.contains(words)), "{answer}");
}

async fn nothing_is_left(gateway: &Gateway) {
    until("the call has ended", async || {
        let status = gateway.admin("status").await;
        (&status["suspended"], &status["sessions"], &status["inFlight"]) == (&json!(0), &json!(0), &json!(0))
    })
    .await;
}

#[tokio::test]
async fn a_state_is_for_its_principal_in_its_mode_at_its_server() {
    let guarded = guarded();
    let alice = client(&guarded.gateway, "mock", ALICE);
    let asked = suspended(&alice).await;
    let foreign = "not made by this gateway";
    refused(&client(&guarded.gateway, "mock", BOB), &asked, foreign).await;
    let in_code = client(&guarded.gateway, "mock", ALICE).in_mode("code");
    refused(&in_code, &asked, foreign).await;
    let elsewhere = client(&guarded.gateway, "other", ALICE);
    refused(&elsewhere, &asked, "another server").await;
    // The same one, said otherwise.
    let in_chat = client(&guarded.gateway, "mock", ALICE).in_mode("chat");
    let answer = go_on(&in_chat, &asked).await;
    assert_eq!(text(&answer["result"]), "LLM response: Paris", "{answer}");
}

#[tokio::test]
async fn a_tool_that_is_forbidden_meanwhile_is_not_gone_on_with() {
    let guarded = guarded();
    let alice = client(&guarded.gateway, "mock", ALICE);
    let asked = suspended(&alice).await;
    let forbidden = format!("{CHAT}tools = {{ deny = [\"{TOOL}\"] }}\n");
    guarded.rewrite(|text| text.replace(CHAT, &forbidden));
    until("the tool is hidden", async || {
        let (_, listed) = client(&guarded.gateway, "mock", BOB)
            .ask("tools/list", json!({}))
            .await;
        !listed.to_string().contains(TOOL)
    })
    .await;
    let answer = go_on(&alice, &asked).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(
        !answer.to_string().contains("requestState"),
        "the policy says no: {answer}"
    );
    refused(&alice, &asked, "or has ended").await;
    until("it has ended with its process", async || {
        let sessions = guarded.gateway.admin("sessions").await.to_string();
        !sessions.contains("alice")
    })
    .await;
}

#[tokio::test]
async fn who_may_not_choose_the_mode_any_more_has_no_call_that_waits() {
    let guarded = guarded();
    let alice = client(&guarded.gateway, "mock", ALICE).in_mode("code");
    suspended(&alice).await;
    let all = "modes = [\"chat\", \"code\"]";
    guarded.rewrite(|text| text.replacen(all, "modes = [\"chat\"]", 1));
    nothing_is_left(&guarded.gateway).await;
}

#[tokio::test]
async fn what_a_client_says_is_judged_by_those_who_judge_when_it_says_it() {
    let guarded = guarded();
    let alice = client(&guarded.gateway, "mock", ALICE);
    let asked = suspended(&alice).await;
    let joined = "[[plugins]]\nname = \"mode-access\"\n[[plugins]]\nname = \"late\"\n";
    guarded.rewrite(|text| text.replace("[[plugins]]\nname = \"mode-access\"\n", joined));
    let bob = client(&guarded.gateway, "mock", BOB);
    until("the plugin judges", async || {
        let asked = suspended(&bob).await;
        text(&go_on(&bob, &asked).await["result"]).contains("Rome")
    })
    .await;
    let answer = go_on(&alice, &asked).await;
    assert_eq!(text(&answer["result"]), "LLM response: Rome", "{answer}");
}

#[tokio::test]
async fn of_many_that_go_on_at_once_one_is_answered() {
    let gateway = gateway("legacy", "");
    let client = Client::of(&gateway, "mock", json!({ "sampling": {} }));
    for _ in 0..20 {
        let asked = suspended(&client).await;
        let answers = futures_util::future::join_all((0..8).map(|_| go_on(&client, &asked))).await;
        let done = answers.iter().filter(|answer| answer.get("result").is_some());
        let done: Vec<&str> = done.map(|answer| text(&answer["result"])).collect();
        assert_eq!(done, ["LLM response: Paris"], "{answers:?}");
        let refused = answers
            .iter()
            .filter(|answer| answer.to_string().contains("gone on with"));
        assert_eq!(refused.count(), 7, "{answers:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_was_restarted_says_so() {
    let first = gateway("legacy", "");
    let asked = suspended(&Client::of(&first, "mock", json!({ "sampling": {} }))).await;
    first.stop().await;
    let second = gateway("legacy", "");
    let client = Client::of(&second, "mock", json!({ "sampling": {} }));
    refused(&client, &asked, "the gateway has been restarted").await;
    second.stop().await;
}

/// Who closes its connection while its server asks ends the call, or is waited for until its time is over.
#[tokio::test]
async fn who_leaves_while_its_server_asks_leaves_nothing() {
    let gateway = Gateway::start(
        "[requests]\nsuspended-timeout = \"100ms\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"legacy\"]\nlinger = \"0s\"\n",
    );
    for number in 0..40 {
        let client = Client::of(&gateway, "mock", json!({ "sampling": {} }));
        let params = json!({ "name": TOOL, "arguments": arguments() });
        let (body, headers) = client.request(json!(1), "tools/call", params);
        let mut sending = std::pin::pin!(client.send(&body, &headers));
        // So far, and no further: it leaves anywhere between the request and the answer.
        for _ in 0..number {
            let answered = poll_fn(|task| Poll::Ready(sending.as_mut().poll(task).is_ready()));
            if answered.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    nothing_is_left(&gateway).await;
    gateway.stop().await;
}
