//! Servers of either era behind the gateway, and what a modern client sees of them.

use serde_json::{Value, json};

use super::client::{Client, VERSION, gateway, text, until};

/// What a client may see of a server must not depend on its era.
#[tokio::test]
async fn a_server_of_either_era_looks_modern() {
    for era in ["legacy", "modern", "both"] {
        let gateway = gateway(era, "");
        let client = Client::of(&gateway, "mock", json!({}));
        let (status, found) = client.ask("server/discover", json!({})).await;
        let found = &found["result"];
        assert_eq!(
            (status, &found["resultType"]),
            (200, &json!("complete")),
            "{era}: {found}"
        );
        assert_eq!(found["supportedVersions"], json!([VERSION]));
        assert!(
            found["ttlMs"].is_u64() && found["cacheScope"].is_string(),
            "{found}"
        );
        assert_eq!(
            found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "portcullis-mock"
        );
        let (_, listed) = client.ask("tools/list", json!({})).await;
        let listed = &listed["result"];
        assert_eq!(listed["resultType"], "complete");
        assert!(listed["ttlMs"].is_u64() && listed["cacheScope"].is_string());
        let result = client.call("echo", json!({ "x": 1 })).await;
        assert_eq!(
            (text(&result), &result["resultType"]),
            ("{\"x\":1}", &json!("complete")),
            "{era}"
        );
        let (status, missing) = client
            .ask("resources/read", json!({ "uri": "test://nope" }))
            .await;
        let error = &missing["error"];
        assert_eq!(
            (status, &error["code"], &error["data"]["uri"]),
            (200, &json!(-32602), &json!("test://nope"))
        );
        let state: Value = serde_json::from_str(text(&client.call("state", json!({})).await)).expect("JSON");
        let is_modern = state.to_string().contains(VERSION);
        assert_eq!(is_modern, era != "legacy", "{era}: {state}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_ends_at_what_it_does_not_know_is_asked_in_the_other_era() {
    let gateway = crate::support::Gateway::start(
        "[servers.mock]\ncommand = \"@self\"\nsharing = \"shared\"\nbackoff-initial = \"10ms\"\n\
         args = [\"mock-server\", \"--era\", \"legacy\", \"--crash-on\", \"server/discover\"]\n",
    );
    let client = Client::of(&gateway, "mock", json!({}));
    let result = client.call("echo", json!({ "x": 1 })).await;
    assert_eq!(text(&result), "{\"x\":1}");
    let record = gateway.admin("servers/mock").await;
    assert_eq!(record["restarts"], 1, "{record}");
    gateway.stop().await;
}

/// A process that the gateway ends says nothing of its server.
#[tokio::test]
async fn a_probe_that_nobody_waits_for_any_more_proves_nothing() {
    let gateway = crate::support::Gateway::start(
        "[servers.mock]\ncommand = \"@self\"\nsharing = \"session\"\n\
         args = [\"mock-server\", \"--era\", \"modern\", \"--slow-start\", \"500\"]\n",
    );
    let client = Client::of(&gateway, "mock", json!({}));
    let pids = async || {
        let record = gateway.admin("servers/mock").await;
        let instances = record["instances"].as_array().expect("instances");
        instances
            .iter()
            .map(|one| one["pid"].as_u64())
            .collect::<Vec<_>>()
    };
    tokio::select! {
        (_, answer) = client.ask("tools/list", json!({})) => panic!("it has hardly started: {answer}"),
        () = until("it is probed", async || pids().await.iter().any(Option::is_some)) => {}
    }
    until("nobody waits for it", async || pids().await.is_empty()).await;
    let (status, listed) = client.ask("tools/list", json!({})).await;
    assert_eq!(status, 200, "{listed}");
    assert!(
        !gateway.output().contains("restart scheduled"),
        "it was not taken for one with a handshake"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_probe_is_shaken_hands_with() {
    let gateway = crate::support::Gateway::with_mock(
        &["--era", "legacy", "--silent-probe"],
        "probe-timeout = \"50ms\"",
    );
    let client = Client::of(&gateway, "mock", json!({}));
    assert_eq!(text(&client.call("echo", json!({ "x": 1 })).await), "{\"x\":1}");
    gateway.stop().await;
}

/// It has been asked for both by then: what it says to the handshake decides. That it is modern is known from then on, and
/// later processes are waited for.
#[tokio::test]
async fn a_server_that_is_slow_to_start_is_spoken_with_in_the_era_in_which_it_answers_the_handshake() {
    for (era, first) in [("both", "2025-11-25"), ("modern", VERSION)] {
        let gateway = crate::support::Gateway::with_mock(
            &[
                "--era",
                era,
                "--slow-start",
                "1000",
                "--crash-on",
                "completion/complete",
            ],
            "probe-timeout = \"50ms\"\nbackoff-initial = \"1ms\"",
        );
        let client = Client::of(&gateway, "mock", json!({}));
        let spoken = async || {
            assert_eq!(text(&client.call("echo", json!({ "x": 1 })).await), "{\"x\":1}");
            let record = gateway.admin("servers/mock").await;
            let instances = record["instances"].as_array().expect("instances").iter();
            let versions = instances.filter_map(|one| Some(one["protocolVersion"].as_str()?.to_owned()));
            versions.collect::<Vec<_>>()
        };
        assert_eq!(spoken().await, [first], "{era}");
        let (_, ended) = client.ask("completion/complete", json!({})).await;
        assert!(ended["error"].is_object(), "{era}: {ended}");
        assert!(spoken().await.iter().any(|version| version == VERSION), "{era}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_configuration_pins_the_era() {
    for (pinned, is_modern) in [("legacy", false), ("modern", true)] {
        let gateway = gateway("both", &format!("protocol-era = \"{pinned}\""));
        let client = Client::of(&gateway, "mock", json!({}));
        let result = client.call("state", json!({})).await;
        assert_eq!(text(&result).contains(VERSION), is_modern, "{pinned}: {result}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn whoever_closes_the_stream_takes_the_request_back() {
    for era in ["legacy", "modern"] {
        let gateway = gateway(era, "");
        let client = Client::of(&gateway, "mock", json!({}));
        let params = json!({ "name": "progress", "arguments": { "steps": 1_000_000, "ms": 5 }, "_meta": { "progressToken": "t" } });
        let (body, headers) = client.request(json!(1), "tools/call", params);
        let mut events = client.send(&body, &headers).await.events();
        let progress = events.next().await.expect("progress").json();
        assert_eq!(progress["params"]["progressToken"], "t", "{era}");
        drop(events);
        until("the call is cancelled", async || {
            let state = client.call("state", json!({})).await;
            let state: Value = serde_json::from_str(text(&state)).expect("JSON");
            state["cancelled"] == 1
        })
        .await;
        gateway.stop().await;
    }
}
