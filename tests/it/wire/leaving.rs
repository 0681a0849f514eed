//! Clients that go away while their session opens, and clients that stay but never read.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::peer::{LATEST, Peer, call, initialize, until};
use crate::support::{Client, Gateway, text_of, within};

/// Sends a request to the mock on a connection of its own and reads nothing of the answer.
async fn send(address: SocketAddr, session: Option<&str>, method: &str, body: &str) -> TcpStream {
    let session = session.map_or(String::new(), |id| {
        format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {LATEST}\r\n")
    });
    let accept = match method {
        "GET" => "text/event-stream",
        _ => "application/json, text/event-stream",
    };
    let request = format!(
        "{method} /mcp/mock HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{session}\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    stream
}

async fn record_until(gateway: &Gateway, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
    until(what, async || {
        Some(gateway.admin("servers/mock").await).filter(&accept)
    })
    .await
}

#[tokio::test]
async fn a_client_that_goes_while_its_session_opens_leaves_nothing() {
    for sharing in ["session", "shared"] {
        let gateway = Gateway::start(&format!(
            "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--hang-handshake\"]\nsharing = \"{sharing}\"\n\
             handshake-timeout = \"1h\"\nlinger = \"100ms\"\nstop-grace = \"100ms\"\n"
        ));
        let before = gateway.admin("status").await["tasks"].clone();
        let body = initialize(LATEST, json!({})).to_string();
        let stream = send(gateway.address(), None, "POST", &body).await;
        let starting = |record: &Value| record["phase"] == "starting" && record["pid"].is_u64();
        let record = record_until(&gateway, "the process of the session", starting).await;
        assert_eq!(
            (&record["sessions"], &record["instances"][0]["leases"]),
            (&json!(1), &json!(1)),
            "{record}"
        );
        drop(stream);
        let gone = |record: &Value| {
            let leases = record["instances"].as_array().into_iter().flatten();
            record["sessions"] == 0 && leases.into_iter().all(|instance| instance["leases"] == 0)
        };
        record_until(&gateway, "the end of session and lease", gone).await;
        if sharing == "session" {
            // The instance was its own: its process goes, and so does every task.
            let nothing = |record: &Value| record["instances"] == json!([]);
            record_until(&gateway, "the end of the instance", nothing).await;
            until("the end of the process", async || {
                gateway.process().descendants().is_empty().then_some(())
            })
            .await;
            until("the end of the tasks", async || {
                (gateway.admin("status").await["tasks"] == before).then_some(())
            })
            .await;
        }
        assert_eq!(gateway.admin("sessions").await, json!({ "sessions": [] }));
        gateway.stop().await;
    }
}

const MIB: u64 = 1 << 20;

/// A gateway that gives up on a client that takes nothing for so long.
fn impatient() -> Gateway {
    Gateway::start(
        "[http]\ntcp-user-timeout = \"2s\"\n[requests]\ntimeout = \"60s\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\nstop-grace = \"100ms\"\n",
    )
}

/// Reads what is left in a socket up to the end or the break of the connection.
async fn until_broken(mut stream: TcpStream) -> u64 {
    let (mut total, mut space) = (0, vec![0; 64 * 1024]);
    while let Ok(count @ 1..) = within("the end of the connection", stream.read(&mut space)).await {
        total += count as u64;
    }
    total
}

/// Returns whether the gateway's side of a connection is there, as `/proc/net/tcp` shows it.
fn is_connected(gateway: &Gateway, stream: &TcpStream) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("this is Linux");
    let peer = stream.local_addr().expect("it is connected").port();
    let ends = [gateway.address().port(), peer].map(|port| format!(":{port:04X}"));
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        ends.iter()
            .all(|end| fields.next().is_some_and(|field| field.ends_with(end)))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_never_read_holds_up_nobody_and_is_cut_off() {
    let gateway = impatient();
    let (mute, mut other) = (
        Peer::open(&gateway, "mock").await,
        Client::open(&gateway, "mock").await,
    );
    let stream = send(gateway.address(), Some(mute.id()), "GET", "").await;
    let open_streams = async || gateway.admin("status").await["openStreams"].clone();
    until("the stream", async || (open_streams().await == 1).then_some(())).await;
    let before = gateway.process().footprint().memory;
    let line = "x".repeat(500_000);
    let log = call(1, "log", json!({ "text": line, "level": "error" }));
    // Beside another request these go to the session's own stream, which is the one that nobody reads.
    let hanging = send(
        gateway.address(),
        Some(mute.id()),
        "POST",
        &call(2, "hang", json!({})).to_string(),
    )
    .await;
    until("the hanging call", async || {
        (gateway.admin("status").await["inFlight"] == 1).then_some(())
    })
    .await;
    let flood = async {
        for _ in 0..100 {
            mute.ask(&log).await;
        }
    };
    let others = async {
        for number in 0..200 {
            let text = format!("{number}.");
            let answer = other.call("echo", json!({ "text": text })).await;
            assert!(text_of(&answer).contains(&text));
        }
    };
    let memory = async {
        let cut = until("the end of the stream", async || {
            let seen = gateway.process().footprint().memory;
            assert!(
                seen < before + 64 * MIB,
                "{} bytes are held for a client that reads nothing",
                seen - before
            );
            (open_streams().await == 0).then_some(())
        });
        cut.await;
    };
    tokio::join!(flood, others, memory);
    let taken = until_broken(stream).await;
    assert!(
        taken < 50_000_000,
        "{taken} bytes of 50,000,000 fitted into the sockets"
    );
    assert_eq!(
        text_of(&mute.ask(&call(3, "echo", json!({}))).await),
        "{}",
        "the session goes on"
    );
    drop(hanging);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_never_read_holds_up_nobody_and_is_cut_off() {
    let gateway = impatient();
    let (mute, mut other) = (
        Peer::open(&gateway, "mock").await,
        Client::open(&gateway, "mock").await,
    );
    let big = call(1, "big", json!({ "bytes": 30_000_000 })).to_string();
    let stream = send(gateway.address(), Some(mute.id()), "POST", &big).await;
    until("the end of the connection", async || {
        let answer = other.call("echo", json!({ "text": "go on" })).await;
        assert!(text_of(&answer).contains("go on"));
        (!is_connected(&gateway, &stream)).then_some(())
    })
    .await;
    let taken = until_broken(stream).await;
    assert!(taken < 30_000_000, "{taken} bytes came: all of it");
    assert_eq!(text_of(&mute.ask(&call(2, "echo", json!({}))).await), "{}");
    gateway.stop().await;
}
