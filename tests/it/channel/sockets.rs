//! WebSocket: who gets in, how it ends, and what holds at the limits.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::ends::{LATEST, flood, gateway, gateway_with};
use crate::support::{Channel, Connection, Gateway, eventually, text_of, within};

const MCP: (&str, &str) = ("sec-websocket-protocol", "mcp");
const ALICE: &str = "alice-token-0123456789";

fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params })
}

async fn enter(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Option<String>, StatusCode> {
    let entered = Channel::socket_with(gateway.address(), path, headers).await;
    entered
        .map(|(_, protocol)| protocol)
        .map_err(|(status, _)| status)
}

async fn sessions(gateway: &Gateway) -> Value {
    gateway.admin("sessions").await["sessions"].clone()
}

async fn in_flight(gateway: &Gateway, count: u64) {
    let wait = async { while gateway.admin("status").await["inFlight"] != count {} };
    within("requests in flight", wait).await;
}

async fn no_sessions(gateway: &Gateway) {
    let wait = async { while sessions(gateway).await != json!([]) {} };
    within("the end of the session", wait).await;
}

#[tokio::test]
async fn mcp_is_echoed_and_others_are_refused_with_a_reason() {
    let gateway = gateway();
    let protocol = |text| ("sec-websocket-protocol", text);
    assert_eq!(
        enter(&gateway, "/mcp/mock", &[MCP]).await,
        Ok(Some("mcp".to_owned()))
    );
    assert_eq!(
        enter(&gateway, "/mcp/mock", &[protocol("chat, mcp")]).await,
        Ok(Some("mcp".to_owned()))
    );
    assert_eq!(enter(&gateway, "/mcp/mock", &[]).await, Ok(None));
    let refused = Channel::socket_with(gateway.address(), "/mcp/mock", &[protocol("chat")]).await;
    let (status, body) = refused.err().expect("it is refused");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("Sec-WebSocket-Protocol: mcp"), "{body}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_host_an_origin_a_version_or_a_name_that_is_not_accepted_is_refused() {
    let gateway = gateway();
    for (path, header, expected) in [
        ("/mcp/mock", ("host", "evil.example"), StatusCode::FORBIDDEN),
        (
            "/mcp/mock",
            ("origin", "http://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        (
            "/mcp/mock",
            ("mcp-protocol-version", "1999-01-01"),
            StatusCode::BAD_REQUEST,
        ),
        (
            "/mcp/mock",
            ("authorization", "Bearer nobody"),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "/mcp/mock",
            ("x-portcullis-mode", "chat"),
            StatusCode::BAD_REQUEST,
        ),
        ("/mcp/nothing", MCP, StatusCode::NOT_FOUND),
        ("/modes/chat/mcp/mock", MCP, StatusCode::NOT_FOUND),
        ("/healthz", MCP, StatusCode::OK),
    ] {
        assert_eq!(
            enter(&gateway, path, &[header]).await,
            Err(expected),
            "{path} {header:?}"
        );
    }
    let origin = ("origin", "http://localhost:3000");
    assert_eq!(
        enter(&gateway, "/mcp/mock", &[MCP, origin]).await,
        Ok(Some("mcp".to_owned()))
    );
    no_sessions(&gateway).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_comes_by_header_or_as_a_subprotocol_and_not_in_the_url() {
    let gateway = gateway_with(
        &format!("[anonymous]\nenabled = false\n[principals.alice]\ntoken = \"{ALICE}\""),
        "",
    );
    let encoded = URL_SAFE_NO_PAD.encode(ALICE);
    let bearer = format!("Bearer {ALICE}");
    let protocols = format!("mcp, bearer.{encoded}");
    let by_header =
        Channel::socket_with(gateway.address(), "/mcp/mock", &[MCP, ("authorization", &bearer)]).await;
    let by_protocol = Channel::socket_with(
        gateway.address(),
        "/mcp/mock",
        &[("sec-websocket-protocol", &protocols)],
    )
    .await;
    let (_one, protocol) = by_header.unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_eq!(protocol.as_deref(), Some("mcp"));
    let (_two, protocol) = by_protocol.unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_eq!(protocol.as_deref(), Some("mcp"), "and nothing of the token");
    let sessions = sessions(&gateway).await;
    let principals: Vec<_> = sessions
        .as_array()
        .expect("a list")
        .iter()
        .map(|session| &session["principal"])
        .collect();
    assert_eq!(principals, ["alice", "alice"]);
    assert_eq!(sessions[0]["transport"], "websocket");
    let wrong = format!("mcp, bearer.{}", URL_SAFE_NO_PAD.encode("nobody"));
    for (path, headers) in [
        ("/mcp/mock", &[MCP][..]),
        ("/mcp/mock", &[("sec-websocket-protocol", &*wrong)]),
        (&*format!("/mcp/mock?access_token={ALICE}"), &[MCP]),
    ] {
        assert_eq!(
            enter(&gateway, path, headers).await,
            Err(StatusCode::UNAUTHORIZED),
            "{path}"
        );
    }
    let twice = [
        ("sec-websocket-protocol", &*protocols),
        ("authorization", &bearer),
    ];
    assert_eq!(
        enter(&gateway, "/mcp/mock", &twice).await,
        Err(StatusCode::BAD_REQUEST)
    );
    assert!(!gateway.output().contains(&encoded), "nothing of it in the log");
    gateway.stop().await;
}

#[tokio::test]
async fn the_session_ends_with_its_socket_and_gives_everything_back() {
    let gateway = Gateway::with_mock(&[], "");
    let mut other = Channel::socket(&gateway, "/mcp/mock").await;
    other.open(LATEST, json!({})).await;
    for politely in [true, false] {
        let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
        channel.open(LATEST, json!({})).await;
        channel.say(&call(1, "hang", json!({}))).await;
        in_flight(&gateway, 1).await;
        if politely {
            channel.close_input().await;
            assert!(channel.closed().await.is_some() || channel.hear().await.is_none());
        }
        drop(channel);
        let one = async { while sessions(&gateway).await.as_array().map(Vec::len) != Some(1) {} };
        within("the end of the session", one).await;
        assert_eq!(gateway.admin("status").await["inFlight"], 0);
    }
    let told = async {
        loop {
            let answer = other.call("state", json!({})).await;
            let state: Value = serde_json::from_str(text_of(&answer)).expect("JSON");
            if state["cancelled"] == 2 {
                return;
            }
        }
    };
    within("the server is told that nobody waits", told).await;
    drop(other);
    gateway.stop().await;
}

#[tokio::test]
async fn the_gateway_says_why_it_closes() {
    let gateway = gateway_with("[http]\nbody-max = \"1KiB\"", "");
    let oversized = "x".repeat(2_000_000);
    let fragment = |kind, is_last| {
        let frame = Frame::message(vec![b'x'; 600], OpCode::Data(kind), is_last);
        Message::Frame(frame)
    };
    for (messages, code) in [
        (vec![Message::binary(b"{}".to_vec())], CloseCode::Unsupported),
        (vec![Message::text(oversized)], CloseCode::Size),
        (
            vec![fragment(Data::Text, false), fragment(Data::Continue, true)],
            CloseCode::Size,
        ),
        (
            vec![Message::Frame(Frame::message(
                vec![0xff, 0xfe],
                OpCode::Data(Data::Text),
                true,
            ))],
            CloseCode::Invalid,
        ),
        (
            vec![Message::Frame(Frame::message(
                "x",
                OpCode::Data(Data::Continue),
                true,
            ))],
            CloseCode::Protocol,
        ),
    ] {
        let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
        for message in messages {
            channel.as_socket().feed(message).await.expect("there is room");
        }
        // The other end may close before everything has left.
        let _ = channel.as_socket().flush().await;
        let frame = channel.closed().await;
        assert_eq!(frame.map(|frame| frame.code), Some(code));
    }
    no_sessions(&gateway).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_says_that_it_goes_away() {
    let gateway = gateway();
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    channel.open(LATEST, json!({})).await;
    let params =
        json!({ "name": "progress", "arguments": { "steps": 5, "ms": 50 }, "_meta": { "progressToken": 1 } });
    channel
        .say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
        .await;
    channel.message().await;
    gateway.process().signal(Signal::TERM);
    let messages = channel.up_to(&json!(1)).await;
    assert_eq!(text_of(messages.last().expect("an answer")), "made 5 steps");
    let frame = channel.closed().await.expect("it says so");
    assert_eq!(frame.code, CloseCode::Away);
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_that_the_gateway_ends_closes_its_socket() {
    let gateway = gateway();
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    channel.open(LATEST, json!({})).await;
    gateway.order(http::Method::POST, "servers/mock/disable").await;
    let frame = channel.closed().await.expect("it says so");
    assert_eq!(
        (frame.code, &*frame.reason),
        (CloseCode::Away, "the session has ended")
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_quiet_client_is_pinged_and_one_that_does_not_answer_is_gone() {
    let gateway = gateway_with("[http]\nkeep-alive = \"500ms\"", "");
    let mut quiet = Channel::socket(&gateway, "/mcp/mock").await;
    quiet.open(LATEST, json!({})).await;
    let mut deaf = Channel::socket(&gateway, "/mcp/mock").await;
    deaf.open(LATEST, json!({})).await;
    let one = async { while sessions(&gateway).await.as_array().map(Vec::len) != Some(1) {} };
    // Reading is what answers pings: this one reads, and says nothing of its own.
    let reading = async {
        for number in 0.. {
            let next = within("a ping", quiet.as_socket().next()).await;
            assert!(matches!(next, Some(Ok(Message::Ping(_)))), "{number}: {next:?}");
        }
    };
    tokio::select! {
        () = within("the end of the other one", one) => {}
        () = reading => panic!("it goes on"),
    }
    assert!(text_of(&quiet.call("echo", json!({ "text": "here" })).await).contains("here"));
    drop(deaf);
    gateway.stop().await;
}

#[tokio::test]
async fn a_slow_server_is_no_reason_to_give_up_its_client() {
    let gateway = Gateway::start(
        "[http]\nkeep-alive = \"100ms\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--delay\", \"1000\"]\nsharing = \"session\"\n",
    );
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    let opened = channel.open(LATEST, json!({})).await;
    assert!(opened["result"].is_object(), "{opened}");
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_read_is_not_read_from_and_loses_nothing() {
    let gateway = gateway_with("[sessions]\noutbox-events-max = 4", "");
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    channel.open(LATEST, json!({})).await;
    // An answer is as long as its question.
    let ping = |number: usize| {
        let id = format!("{number} {}", "x".repeat(200_000));
        json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string()
    };
    let sent = flood(&gateway, &mut channel, ping).await;
    for number in 0..=sent {
        let answer = channel.message().await;
        let id = answer["id"].as_str().expect("a text");
        assert!(id.starts_with(&format!("{number} ")), "{number}: {id:.20}");
        channel.as_socket().flush().now_or_never();
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_read_does_not_hold_up_the_end() {
    let gateway = gateway_with("[http]\ndrain-timeout = \"100ms\"", "stop-grace = \"100ms\"");
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    channel.open(LATEST, json!({})).await;
    channel.say(&call(1, "big", json!({ "bytes": 60_000_000 }))).await;
    in_flight(&gateway, 1).await;
    in_flight(&gateway, 0).await;
    let output = tokio::task::spawn_blocking(move || {
        gateway.process().signal(Signal::TERM);
        assert!(gateway.process().ends_within(crate::support::LIMIT));
        gateway.output()
    });
    let output = output.await.expect("it ends");
    assert!(
        output.contains("stopped") && !output.contains("left behind"),
        "{output}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_messages_and_not_the_answer() {
    let gateway = gateway_with("[sessions]\noutbox-events-max = 4", "line-max = \"1MiB\"");
    let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
    channel.open(LATEST, json!({})).await;
    let count = 200_000;
    channel.say(&call("n", "notify", json!({ "count": count }))).await;
    in_flight(&gateway, 1).await;
    in_flight(&gateway, 0).await;
    let messages = channel.up_to(&json!("n")).await;
    assert!(messages.len() <= count, "some were dropped: {}", messages.len());
    assert!(text_of(&channel.call("echo", json!({ "text": "on" })).await).contains("on"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_socket_counts_as_a_connection_for_as_long_as_it_is_there() {
    let gateway = gateway_with("[http]\nconnections-max = 2", "");
    let mut one = Channel::socket(&gateway, "/mcp/mock").await;
    let mut two = Channel::socket(&gateway, "/mcp/mock").await;
    let third = tokio::spawn({
        let address = gateway.address();
        async move {
            let mut connection = Connection::open(address).await;
            connection
                .send(http::Method::GET, "/healthz", &[], bytes::Bytes::new())
                .await
                .status()
        }
    });
    // They are served while it waits.
    for channel in [&mut one, &mut two] {
        let opened = channel.open(LATEST, json!({})).await;
        assert!(opened["result"].is_object(), "{opened}");
    }
    assert!(!third.is_finished());
    drop(one);
    assert_eq!(
        within("the third one's turn", third).await.expect("no panic"),
        StatusCode::OK
    );
    drop(two);
    gateway.stop().await;
}

#[tokio::test]
async fn what_it_holds_goes_with_it() {
    let gateway = Gateway::with_mock(&[], "");
    let mut warm = Channel::socket(&gateway, "/mcp/mock").await;
    warm.open(LATEST, json!({})).await;
    drop(warm);
    no_sessions(&gateway).await;
    let before = gateway.process().footprint().descriptors;
    for _ in 0..50 {
        let mut channel = Channel::socket(&gateway, "/mcp/mock").await;
        channel.open(LATEST, json!({})).await;
        channel.end().await;
    }
    no_sessions(&gateway).await;
    let descriptors = || gateway.process().footprint().descriptors;
    eventually("descriptors", descriptors, |now| *now <= before + 2).await;
    gateway.stop().await;
}
