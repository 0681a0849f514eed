//! Answers that modern servers allow to be kept: who gets them, for how long, and what ends that.

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, text, until};
use crate::support::{self, Gateway, Guarded};

const ALICE: &str = "alice-token-0123456789";
const BOB: &str = "bob-token-0123456789abc";
const HOUR: u64 = 3_600_000;
const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";

/// Starts a gateway with a modern mock that allows its answers to be kept for so long, by whom `scope` says.
fn gateway(ttl_ms: u64, scope: &str, more: &str) -> Gateway {
    let ttl = ttl_ms.to_string();
    let arguments = ["--era", "modern", "--ttl-ms", &*ttl, "--cache-scope", scope];
    Gateway::with_mock(&arguments, &format!("protocol-era = \"modern\"\n{more}"))
}

fn client(gateway: &Gateway) -> Client<'_> {
    Client::of(gateway, "mock", json!({}))
}

async fn read(client: &Client<'_>, uri: &str) -> Value {
    let (status, answer) = client.ask("resources/read", json!({ "uri": uri })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["result"]["contents"][0]["uri"], uri, "{answer}");
    answer["result"].clone()
}

async fn state(client: &Client<'_>) -> Value {
    serde_json::from_str(text(&client.call("state", json!({})).await)).expect("JSON")
}

/// Returns how often the server itself was asked.
async fn asked(client: &Client<'_>, method: &str) -> u64 {
    state(client).await["asked"][method].as_u64().unwrap_or(0)
}

async fn reads(client: &Client<'_>) -> u64 {
    asked(client, "resources/read").await
}

/// Waits until the gateway hears of changes: what it was told before is not kept.
async fn listening(client: &Client<'_>) {
    until("it listens", async || state(client).await["listens"] != json!([])).await;
}

/// Waits until the gateway has also read the lists that it reads for itself.
async fn settled(client: &Client<'_>) {
    listening(client).await;
    until("it has read the lists", async || {
        let state = state(client).await;
        let lists = [
            "tools/list",
            "resources/list",
            "resources/templates/list",
            "prompts/list",
        ];
        lists.iter().all(|list| state["asked"][list] == 1)
    })
    .await;
}

#[tokio::test]
async fn clients_of_either_era_share_an_answer() {
    let gateway = gateway(HOUR, "public", "");
    let modern = client(&gateway);
    listening(&modern).await;
    let first = read(&modern, TEXT).await;
    assert_eq!(
        (&first["ttlMs"], &first["cacheScope"]),
        (&json!(HOUR), &json!("public"))
    );

    let mut legacy = support::Client::open(&gateway, "mock").await;
    let answer = legacy
        .request(json!("its own"), "resources/read", json!({ "uri": TEXT }))
        .await;
    let result = &answer["result"];
    assert_eq!(result["contents"], first["contents"]);
    for hint in ["ttlMs", "cacheScope", "resultType"] {
        assert!(result.get(hint).is_none(), "{hint} in {result}");
    }

    let params = json!({ "uri": TEXT, "_meta": { "progressToken": "t", "traceparent": "00-1" } });
    let (_, again) = modern.ask("resources/read", params).await;
    let mut again = again["result"].clone();
    let left = again["ttlMs"].as_u64().expect("a number");
    assert!((1..=HOUR).contains(&left), "{left}");
    again["ttlMs"] = json!(HOUR);
    assert_eq!(again, first);
    assert_eq!(reads(&modern).await, 1);

    let status = gateway.admin("status").await;
    let cache = &status["cache"];
    assert_eq!(
        (&cache["answers"], &cache["hits"], &cache["misses"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert!(
        cache["bytes"].as_u64().is_some_and(|bytes| bytes > 100),
        "{cache}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn another_question_is_asked() {
    let gateway = gateway(HOUR, "public", "");
    let plain = client(&gateway);
    let able = Client::of(&gateway, "mock", json!({ "roots": {} }));
    listening(&plain).await;
    for _ in 0..2 {
        read(&plain, TEXT).await;
        read(&plain, BINARY).await;
        read(&able, TEXT).await;
    }
    assert_eq!(reads(&plain).await, 3);
    for _ in 0..2 {
        let (_, missing) = plain.ask("resources/read", json!({ "uri": "test://nope" })).await;
        assert!(missing["error"].is_object(), "{missing}");
        let again = json!({ "uri": TEXT, "inputResponses": {} });
        let (_, again) = plain.ask("resources/read", again).await;
        assert!(again["result"].is_object(), "{again}");
    }
    assert_eq!(
        reads(&plain).await,
        7,
        "neither an error nor a continuation is kept"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_is_kept_no_longer_than_its_server_says() {
    let short = gateway(20, "public", "");
    let asking = client(&short);
    until("it is asked again", async || {
        let left = read(&asking, TEXT).await["ttlMs"].as_u64().expect("a number");
        assert!((1..=20).contains(&left), "{left}");
        reads(&asking).await >= 3
    })
    .await;
    until("what is too old goes", async || {
        short.admin("status").await["cache"]["answers"] == 0
    })
    .await;
    short.stop().await;

    let never = gateway(0, "public", "");
    let asking = client(&never);
    for _ in 0..2 {
        assert_eq!(read(&asking, TEXT).await["ttlMs"], 0);
    }
    assert_eq!(reads(&asking).await, 2);
    never.stop().await;
}

#[tokio::test]
async fn what_the_server_says_has_changed_is_asked_for_again() {
    let gateway = gateway(HOUR, "public", "");
    let client = client(&gateway);
    settled(&client).await;
    let names = async || {
        let (_, listed) = client.ask("tools/list", json!({})).await;
        listed["result"]["tools"].to_string()
    };
    assert!(!names().await.contains("\"added\""));
    read(&client, TEXT).await;
    let change = async |kind: &str| {
        client
            .call("change", json!({ "kind": kind, "name": "added" }))
            .await;
    };
    let touch = async |uri: &str| {
        client.call("touch", json!({ "uri": uri, "force": true })).await;
    };
    change("tools").await;
    assert!(names().await.contains("\"added\""));
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 1);
    touch(BINARY).await;
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 1);
    touch(TEXT).await;
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 2);
    change("resources").await;
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 3);
    // Nobody heard what changed until it was listened to again.
    client.call("end_listens", json!({})).await;
    until("it is asked again", async || {
        read(&client, TEXT).await;
        reads(&client).await == 4
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn nothing_outlives_its_process() {
    let gateway = gateway(HOUR, "public", "");
    let client = client(&gateway);
    read(&client, TEXT).await;
    gateway.order(Method::POST, "servers/mock/restart").await;
    assert_eq!(gateway.admin("status").await["cache"]["answers"], 0);
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 1, "the new process was asked");

    gateway.order(Method::POST, "servers/mock/disable").await;
    let (_, refused) = client.ask("resources/read", json!({ "uri": TEXT })).await;
    assert!(refused["error"].is_object(), "{refused}");
    assert_eq!(gateway.admin("status").await["cache"]["answers"], 0);
    gateway.order(Method::POST, "servers/mock/enable").await;
    read(&client, TEXT).await;
    assert_eq!(reads(&client).await, 1, "the new process was asked");
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_private_is_its_principals() {
    let principals =
        format!("[principals.alice]\ntoken = \"{ALICE}\"\n[principals.bob]\ntoken = \"{BOB}\"\n");
    for (scope, expect) in [("private", 3), ("public", 1)] {
        let gateway = gateway(HOUR, scope, &principals);
        let nobody = client(&gateway);
        let (alice, bob) = (
            client(&gateway).with_token(ALICE),
            client(&gateway).with_token(BOB),
        );
        listening(&nobody).await;
        for _ in 0..2 {
            for client in [&alice, &bob, &nobody] {
                assert_eq!(read(client, TEXT).await["cacheScope"], scope);
            }
        }
        assert_eq!(reads(&nobody).await, expect, "{scope}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_process_of_ones_own_has_answers_of_its_own() {
    let gateway = Gateway::start(&format!(
        "[principals.alice]\ntoken = \"{ALICE}\"\n[principals.bob]\ntoken = \"{BOB}\"\n[servers.mock]\n\
         command = \"@self\"\nargs = [\"mock-server\", \"--era\", \"modern\", \"--ttl-ms\", \"{HOUR}\"]\n\
         sharing = \"principal\"\n"
    ));
    for client in [
        client(&gateway).with_token(ALICE),
        client(&gateway).with_token(BOB),
    ] {
        listening(&client).await;
        read(&client, TEXT).await;
        read(&client, TEXT).await;
        assert_eq!(reads(&client).await, 1);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_limits_hold() {
    for (limits, expect, left) in [
        ("entries-max = 1", 3, 1),
        ("bytes-max = \"400B\"", 3, 1),
        ("entries-max = 2", 2, 2),
        ("entries-max = 0", 3, 0),
        ("entry-bytes-max = 0", 3, 0),
        ("entry-bytes-max = \"100B\"", 3, 0),
        ("bytes-max = 0", 3, 0),
    ] {
        let gateway = gateway(HOUR, "public", &format!("[cache]\n{limits}"));
        let client = client(&gateway);
        listening(&client).await;
        for uri in [TEXT, BINARY, TEXT] {
            read(&client, uri).await;
        }
        assert_eq!(reads(&client).await, expect, "{limits}");
        let status = gateway.admin("status").await;
        assert_eq!(status["cache"]["answers"], left, "{limits}: {status}");
        gateway.stop().await;
    }
}

const MODES: &str = r#"
[anonymous]
modes = ["some", "all"]
[modes.some]
allowed-servers = ["mock"]
allowed-capabilities = ["tools", "resources"]
tools = { deny = ["echo"] }
resources = { deny = ["test://static-text"] }
[modes.all]
allowed-servers = ["mock"]
allowed-capabilities = ["*"]
"#;

fn in_modes(ttl_ms: u64) -> Guarded {
    let server = format!(
        "[servers.mock]\ncommand = \"@self\"\nsharing = \"shared\"\n\
         args = [\"mock-server\", \"--era\", \"modern\", \"--ttl-ms\", \"{ttl_ms}\"]\n"
    );
    Guarded::start(
        &["mode-access"],
        "",
        &format!("[[plugins]]\nname = \"mode-access\"\n{MODES}{server}"),
    )
}

#[tokio::test]
async fn modes_share_what_the_server_says_and_each_sees_its_part() {
    for (ttl_ms, expect) in [(HOUR, 2), (0, 5)] {
        let guarded = in_modes(ttl_ms);
        let some = client(&guarded.gateway).in_mode("some");
        let all = client(&guarded.gateway).in_mode("all");
        settled(&all).await;
        for (client, sees_all) in [(&some, false), (&all, true), (&some, false), (&all, true)] {
            let (_, listed) = client.ask("tools/list", json!({})).await;
            let listed = &listed["result"];
            assert_eq!(
                listed["tools"].to_string().contains("\"name\":\"echo\""),
                sees_all
            );
            assert!(listed["tools"].to_string().contains("\"name\":\"state\""));
            assert_eq!(listed["cacheScope"], "private", "whatever is left of it");
            assert!(listed["ttlMs"].as_u64().expect("a number") <= ttl_ms);
        }
        assert_eq!(asked(&all, "tools/list").await, expect);
        let (_, found) = all.ask("server/discover", json!({})).await;
        assert_eq!(found["result"]["cacheScope"], "private");
    }
}

#[tokio::test]
async fn what_is_kept_opens_nothing() {
    let guarded = in_modes(HOUR);
    let some = client(&guarded.gateway).in_mode("some");
    let all = client(&guarded.gateway).in_mode("all");
    listening(&all).await;
    read(&all, TEXT).await;
    let (_, refused) = some.ask("resources/read", json!({ "uri": TEXT })).await;
    assert!(refused["error"].is_object(), "{refused}");
    assert!(!refused.to_string().contains("This is the content"), "{refused}");
    assert_eq!(read(&all, TEXT).await["cacheScope"], "private");
    assert_eq!(reads(&all).await, 1);
}
