//! What operators see of sessions, and how they end them.

use http::{Method, StatusCode};
use serde_json::json;

use super::gateway;
use super::operator::Operator;
use crate::support::Client;

#[tokio::test]
async fn a_session_is_shown_without_its_id_and_ended_by_its_handle() {
    let gateway =
        gateway("[servers.other]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\n");
    let operator = Operator::of(&gateway).await;
    let client = Client::open(&gateway, "mock").await;
    let other = Client::open(&gateway, "other").await;
    let (_stream, _connection) = client.fork().await.listen().await;

    let list = operator.get("/sessions").await;
    let shown = list["sessions"].as_array().expect("a list");
    assert_eq!(shown.len(), 2);
    let id = client.session();
    let first = &shown[0];
    let expect = json!({
        "id": format!("{}…", &id[..8]), "handle": first["handle"], "server": "mock", "principal": "anonymous", "mode": null,
        "transport": "streamable-http", "protocolVersion": "2025-11-25",
        "client": { "name": "it", "version": "1.0.0" },
        "created": first["created"], "lastActivity": first["lastActivity"],
        "lease": { "kind": "shared", "reason": "sharing = shared", "instance": first["lease"]["instance"] },
        "openStreams": 1, "inFlight": 0,
    });
    assert_eq!(*first, expect);
    assert!(first["created"].as_u64() <= first["lastActivity"].as_u64());
    assert_eq!(shown[1]["lease"]["kind"], "session");
    assert!(
        !list.to_string().contains(id),
        "whoever has the id may use the session"
    );
    let of_server = operator.get("/servers/other/sessions").await;
    assert_eq!(of_server, json!({ "sessions": [shown[1]] }));
    assert_eq!(operator.get("/servers/mock").await["sessions"], 1);

    let path = format!("/sessions/{}", first["handle"].as_str().expect("text"));
    let (status, _) = operator.request(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let not_found = (404, "session_not_found".to_owned());
    assert_eq!(operator.refused(Method::DELETE, &path, None).await, not_found);
    assert_eq!(
        operator
            .refused(Method::DELETE, &format!("/sessions/{id}"), None)
            .await,
        not_found
    );
    let mut client = client;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(client.post(&list).await.status(), StatusCode::NOT_FOUND);
    let mut other = other;
    assert_eq!(
        other.post(&list).await.status(),
        StatusCode::OK,
        "the other one goes on"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_status_says_what_the_gateway_holds() {
    let gateway = gateway(
        "[servers.off]\ncommand = \"x\"\nenabled = false\n[servers.absent]\ncommand = \"/nowhere/x\"\n",
    );
    let operator = Operator::of(&gateway).await;
    let empty = operator.get("/status").await;
    let expect = json!({
        "version": env!("CARGO_PKG_VERSION"), "pid": empty["pid"], "uptimeSeconds": empty["uptimeSeconds"],
        "draining": false, "sessions": 0, "openStreams": 0, "inFlight": 0, "suspended": 0, "tasks": empty["tasks"],
        "cache": { "answers": 0, "bytes": 0, "hits": 0, "misses": 0 },
        "servers": { "connected": 0, "disconnected": 2, "error": 0, "disabled": 1 },
        "configuration": { "problems": [], "needsRestart": [] },
    });
    assert_eq!(empty, expect);
    operator.order("absent", "start").await;
    let client = Client::open(&gateway, "mock").await;
    let mut asking = client.fork().await;
    let asking = tokio::spawn(async move { asking.call("sleep", json!({ "ms": 3_600_000 })).await });
    let (_stream, _connection) = client.fork().await.listen().await;
    let busy = crate::support::within("the call", async {
        loop {
            let status = operator.get("/status").await;
            if status["inFlight"] == 1 {
                return status;
            }
        }
    });
    let busy = busy.await;
    assert_eq!((&busy["sessions"], &busy["openStreams"]), (&json!(1), &json!(1)));
    let servers = json!({ "connected": 1, "disconnected": 0, "error": 1, "disabled": 1 });
    assert_eq!(busy["servers"], servers);
    assert!(busy["tasks"].as_u64() > empty["tasks"].as_u64(), "{busy}");
    asking.abort();
    gateway.stop().await;
}

#[tokio::test]
async fn the_last_lines_of_stderr_are_kept_by_instance() {
    let gateway = gateway(
        "[servers.wordy]\ncommand = \"sh\"\nargs = [\"-c\", \"echo one >&2; echo two >&2; exec sleep 60\"]\n\
         handshake-timeout = \"60s\"\nstop-grace = \"1s\"\nsharing = \"shared\"\n",
    );
    let operator = Operator::of(&gateway).await;
    assert_eq!(
        operator.get("/servers/wordy/stderr").await,
        json!({ "server": "wordy", "instances": [] })
    );
    // It never answers the handshake; what it says meanwhile is there to be read.
    let start = operator.order("wordy", "start");
    let read = async {
        loop {
            let stderr = operator.get("/servers/wordy/stderr").await;
            if stderr["instances"][0]["lines"] == json!(["one", "two"]) {
                return stderr;
            }
            tokio::task::yield_now().await;
        }
    };
    let stderr = tokio::select! {
        stderr = crate::support::within("two lines", read) => stderr,
        record = start => panic!("a start without a handshake: {record}"),
    };
    assert_eq!(stderr["instances"][0]["phase"], "starting");
    operator.order("wordy", "stop").await;
}
