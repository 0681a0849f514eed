//! The transports besides Streamable HTTP: HTTP+SSE of 2024-11-05, and the seed's own habit of plain JSON.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::peer::{BOTH, LATEST, Peer, call, initialize, request, until};
use crate::support::{Connection, EventStream, Gateway, text_of};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
    message: &Value,
) -> (StatusCode, Bytes) {
    let mut connection = Connection::open(gateway.address()).await;
    let headers = [headers, &[JSON]].concat();
    let body = message.to_string().into();
    let answer = connection.send(Method::POST, path, &headers, body).await;
    let status = answer.status();
    (status, answer.bytes().await)
}

/// A client of HTTP+SSE.
struct OldClient {
    events: EventStream,
    endpoint: String,
    _connection: Connection,
}

impl OldClient {
    async fn connect(gateway: &Gateway, path: &str) -> Self {
        let mut connection = Connection::open(gateway.address()).await;
        let headers = [("accept", "text/event-stream")];
        let answer = connection.send(Method::GET, path, &headers, Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("mcp-session-id"), None, "that is Streamable HTTP");
        let mut events = answer.events();
        let first = events.next().await.expect("the endpoint");
        assert_eq!((&*first.kind, first.id), ("endpoint", None));
        assert!(first.data.starts_with("/mcp/mock?sessionId="), "{}", first.data);
        Self {
            events,
            endpoint: first.data,
            _connection: connection,
        }
    }

    async fn open(gateway: &Gateway) -> Self {
        let mut client = Self::connect(gateway, "/mcp/mock").await;
        let answer = client.ask(gateway, &initialize("2024-11-05", json!({}))).await;
        assert_eq!(answer["result"]["protocolVersion"], "2024-11-05", "{answer}");
        client
            .tell(
                gateway,
                &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            )
            .await;
        client
    }

    async fn tell(&self, gateway: &Gateway, message: &Value) {
        let (status, body) = post(gateway, &self.endpoint, &[], message).await;
        assert_eq!((status, &body[..]), (StatusCode::ACCEPTED, &b""[..]), "{message}");
    }

    async fn message(&mut self) -> Value {
        let event = self.events.next().await.expect("the stream goes on");
        assert_eq!((&*event.kind, &event.id, event.retry), ("message", &None, None));
        event.json()
    }

    async fn ask(&mut self, gateway: &Gateway, message: &Value) -> Value {
        self.tell(gateway, message).await;
        self.message().await
    }
}

#[tokio::test]
async fn http_sse_says_where_to_post_and_answers_on_the_stream() {
    let gateway = Gateway::with_mock(&[], "");
    let mut client = OldClient::open(&gateway).await;
    let answer = client
        .ask(&gateway, &call("x", "echo", json!({ "text": "hello" })))
        .await;
    assert_eq!(
        (&answer["id"], text_of(&answer)),
        (&json!("x"), r#"{"text":"hello"}"#)
    );
    assert_eq!(
        client.ask(&gateway, &request(1, "ping", json!({}))).await["result"],
        json!({})
    );
    client
        .tell(&gateway, &call(2, "change", json!({ "kind": "tools" })))
        .await;
    let (one, two) = (client.message().await, client.message().await);
    assert_eq!(
        (&one["method"], &two["id"]),
        (&json!("notifications/tools/list_changed"), &json!(2)),
        "{one} {two}"
    );
    let (status, _) = post(
        &gateway,
        "/mcp/mock?sessionId=nobody",
        &[],
        &request(1, "ping", json!({})),
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    gateway.stop().await;
}

#[tokio::test]
async fn an_http_sse_session_outlives_its_stream_and_ends_when_idle() {
    let gateway = Gateway::start(
        "[sessions]\nidle-timeout = \"1s\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let client = OldClient::open(&gateway).await;
    let endpoint = client.endpoint.clone();
    drop(client);
    // What is said before the gateway has noticed goes with the stream.
    let gone = async || (gateway.admin("status").await["openStreams"] == 0).then_some(());
    until("the stream is gone", gone).await;
    let (status, _) = post(&gateway, &endpoint, &[], &request(7, "ping", json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "the session is still there");
    let mut again = OldClient::connect(&gateway, &endpoint).await;
    assert_eq!(again.endpoint, endpoint);
    assert_eq!(again.message().await["id"], 7, "the answer waited for a stream");
    drop(again);
    // Looking at the session itself would be activity.
    let ended = async || gateway.output().contains("session ended").then_some(());
    until("the idle session ends", ended).await;
    let (status, _) = post(&gateway, &endpoint, &[], &request(8, "ping", json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    gateway.stop().await;
}

#[tokio::test]
async fn requests_before_initialize_are_refused_except_ping() {
    let gateway = Gateway::with_mock(&[], "");
    let mut client = OldClient::connect(&gateway, "/mcp/mock").await;
    assert_eq!(
        client.ask(&gateway, &request(1, "ping", json!({}))).await["result"],
        json!({})
    );
    let refused = client.ask(&gateway, &request(2, "tools/list", json!({}))).await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(2), &json!(-32600)),
        "{refused}"
    );
    let batch = json!([request(3, "ping", json!({}))]);
    assert_eq!(
        post(&gateway, &client.endpoint, &[], &batch).await.0,
        StatusCode::BAD_REQUEST
    );
    let opened = client.ask(&gateway, &initialize("2024-11-05", json!({}))).await;
    assert!(opened["result"].is_object(), "{opened}");
    let twice = client.ask(&gateway, &initialize("2024-11-05", json!({}))).await;
    assert_eq!(twice["error"]["code"], -32600, "{twice}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_is_refused_in_the_end() {
    let gateway = Gateway::start(
        "[sessions]\noutbox-events-max = 4\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let client = OldClient::open(&gateway).await;
    let endpoint = client.endpoint.clone();
    drop(client);
    let refusal = until("the refusal", async || {
        let (status, body) = post(&gateway, &endpoint, &[], &request("p", "ping", json!({}))).await;
        (status != StatusCode::ACCEPTED).then_some((status, body))
    })
    .await;
    assert_eq!(refusal.0, StatusCode::SERVICE_UNAVAILABLE);
    let refusal: Value = serde_json::from_slice(&refusal.1).expect("JSON");
    assert_eq!(
        (&refusal["id"], &refusal["error"]["code"]),
        (&json!("p"), &json!(-32004))
    );
    let mut again = OldClient::connect(&gateway, &endpoint).await;
    for _ in 0..4 {
        assert_eq!(again.message().await["id"], "p", "what was taken is answered");
    }
    assert_eq!(again.ask(&gateway, &request(9, "ping", json!({}))).await["id"], 9);
    gateway.stop().await;
}

#[tokio::test]
async fn x_session_id_names_a_session_and_is_answered_as_json() {
    let gateway = Gateway::with_mock(&[], "");
    let peer = Peer::open(&gateway, "mock").await;
    let slow = super::peer::call_with_token(1, 1, "progress", json!({ "steps": 3 }));
    for accept in [None, Some("application/json"), Some(BOTH)] {
        let mut headers = vec![("x-session-id", peer.id())];
        headers.extend(accept.map(|accept| ("accept", accept)));
        let (status, body) = post(&gateway, "/mcp/mock", &headers, &slow).await;
        let message: Value = serde_json::from_slice(&body).expect("plain JSON");
        assert_eq!((status, text_of(&message)), (StatusCode::OK, "made 3 steps"));
    }
    let unknown = [("x-session-id", "8d3a3f0e-5ff5-4f5e-9a55-0c5a5c5a5c5a")];
    assert_eq!(
        post(&gateway, "/mcp/mock", &unknown, &slow).await.0,
        StatusCode::NOT_FOUND
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_one_shot_is_exactly_this_and_nothing_else() {
    let gateway = Gateway::with_mock(&[], "");
    let echo = call(1, "echo", json!({ "text": "hello" }));
    let version = ("mcp-protocol-version", LATEST);
    for headers in [&[][..], &[("accept", "application/json")], &[("accept", "*/*")]] {
        let (status, body) = post(&gateway, "/mcp/mock", headers, &echo).await;
        let message: Value = serde_json::from_slice(&body).expect("plain JSON");
        assert_eq!(
            (status, text_of(&message)),
            (StatusCode::OK, r#"{"text":"hello"}"#),
            "{headers:?}"
        );
    }
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    let refused: [(&[(&str, &str)], &Value); 7] = [
        (&[version], &echo),
        (&[("accept", BOTH)], &echo),
        (&[("accept", "text/event-stream")], &echo),
        (&[version, ("accept", BOTH)], &echo),
        (&[], &json!([echo])),
        (&[], &notification),
        (&[], &answer),
    ];
    for (headers, message) in refused {
        let (status, _) = post(&gateway, "/mcp/mock", headers, message).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{headers:?} {message}");
    }
    let (status, _) = post(&gateway, "/mcp/mock", &[], &initialize(LATEST, json!({}))).await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE, "initialize is no one-shot");
    let record = gateway.admin("servers/mock").await;
    assert_eq!(record["sessions"], 0, "each ended with its answer: {record}");
    gateway.stop().await;
}
