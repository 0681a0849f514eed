//! A gateway that is asked to end answers first what is in flight, within its drain time; also requests whose session
//! is not in the store: one-shots, and `initialize` itself.

use std::process::ExitStatus;

use bytes::Bytes;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Connection, Gateway, within};

fn gateway(arguments: &[&str], drain_timeout: &str) -> Gateway {
    let arguments: Vec<&str> = [&["mock-server"], arguments].concat();
    Gateway::start(&format!(
        "http.drain-timeout = {drain_timeout:?}\n[servers.mock]\ncommand = \"@self\"\nargs = {arguments:?}\n\
         stop-grace = \"100ms\"\n"
    ))
}

/// Sends a request without a session, on a connection of its own.
async fn ask(gateway: &Gateway, accept: &'static str, message: Value) -> JoinHandle<Value> {
    let mut connection = Connection::open(gateway.address()).await;
    tokio::spawn(async move {
        let headers = [("content-type", "application/json"), ("accept", accept)];
        let body = Bytes::from(message.to_string());
        let answer = connection.send(Method::POST, "/mcp/mock", &headers, body).await;
        answer.json().await
    })
}

async fn call_sleep(gateway: &Gateway, ms: u64) -> JoinHandle<Value> {
    let params = json!({ "name": "sleep", "arguments": { "ms": ms } });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let asked = ask(gateway, "application/json", message).await;
    until(gateway, |instance| instance["inFlight"] == 1).await;
    asked
}

/// Waits until the server's instance looks like this.
async fn until(gateway: &Gateway, accept: impl Fn(&Value) -> bool) {
    let look = async { while !accept(&gateway.admin("servers/mock").await["instances"][0]) {} };
    within("the request's arrival", look).await;
}

/// Asks the gateway to end, and returns the answer and how the gateway ended.
async fn end(gateway: Gateway, asked: JoinHandle<Value>) -> (Value, ExitStatus) {
    let ended = tokio::task::spawn_blocking(|| gateway.end_by(|process| process.signal(Signal::TERM)));
    let answer = within("the answer", asked).await.expect("there is one");
    (answer, ended.await.expect("the gateway ends"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_session_gets_its_answer() {
    let gateway = gateway(&[], "60s");
    let asked = call_sleep(&gateway, 1_000).await;
    let (answer, status) = end(gateway, asked).await;
    assert_eq!(answer["id"], 7, "{answer}");
    assert!(answer["result"]["content"].is_array(), "{answer}");
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn initialize_gets_its_answer() {
    let gateway = gateway(&["--delay", "1000"], "60s");
    let client = json!({ "name": "it", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params });
    let asked = ask(&gateway, "application/json, text/event-stream", message).await;
    until(&gateway, |instance| instance["phase"] == "starting").await;
    let (answer, status) = end(gateway, asked).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_drain_time_is_told_so() {
    let gateway = gateway(&[], "100ms");
    let asked = call_sleep(&gateway, 600_000).await;
    let (answer, status) = end(gateway, asked).await;
    assert_eq!(answer["id"], 7, "{answer}");
    assert!(answer["error"]["message"].is_string(), "{answer}");
    assert!(status.success(), "{status}");
}
