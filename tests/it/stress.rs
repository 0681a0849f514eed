//! The stress topics at today's figures. What must hold holds hard: each request one right answer, and
//! descriptors, memory and threads back where they were. Speed is printed, and asserted only where it is promised and
//! far exceeded: `make bench` measures it.
//!
//! - `PORTCULLIS_STRESS_SCALE`: how many times as much of everything that is done again and again; the soak uses it.

mod swap;
mod torture;

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

use crate::support::{
    Client, Footprint, Gateway, eventually, number, raise_descriptor_limit, text_of, within,
};

const MIB: u64 = 1 << 20;
/// Sessions that are kept, unless the configuration says otherwise.
const SESSIONS_MAX: usize = 10_000;

/// Returns a count as often as the soak wants it.
fn scaled(count: usize) -> usize {
    let scale = usize::try_from(number("PORTCULLIS_STRESS_SCALE", 1)).expect("it fits");
    count * scale.max(1)
}

/// These tests measure what a process holds and how fast it is; they take turns.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Says what was measured, past the harness's capture: a figure that nobody sees is of no use.
fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "stress: {text}");
}

async fn echo(client: &mut Client, text: &str) {
    let message = client.call("echo", json!({ "text": text })).await;
    assert!(
        text_of(&message).contains(text),
        "the answer of another call: {:.200}",
        text_of(&message)
    );
}

/// Runs every future as a task of its own and waits for all; a panic in one is the test's.
async fn all<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    work.into_iter().collect::<JoinSet<_>>().join_all().await
}

/// Lets `sessions` clients make `calls` small calls each; returns the messages per second (a call is two).
async fn load(clients: Vec<Client>, calls: usize) -> (Vec<Client>, f64) {
    let total = clients.len() * calls * 2;
    let start = Instant::now();
    let work = clients
        .into_iter()
        .enumerate()
        .map(move |(session, mut client)| async move {
            for call in 0..calls {
                echo(&mut client, &format!("{session}.{call}.")).await;
            }
            client
        });
    let clients = all(work).await;
    (clients, total as f64 / start.elapsed().as_secs_f64())
}

async fn open_clients(gateway: &Gateway, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| Client::open(gateway, "mock"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_share_one_process() {
    let _turn = alone().await;
    raise_descriptor_limit(4_096);
    let gateway = Gateway::with_mock(&[], "");
    let clients = open_clients(&gateway, 1_000).await;
    let record = gateway.admin("servers/mock").await;
    assert_eq!(record["sessions"], 1_000, "{record}");
    let ids: HashSet<&str> = clients.iter().map(Client::session).collect();
    assert_eq!(ids.len(), 1_000, "no two sessions share an id");
    let work = clients
        .into_iter()
        .enumerate()
        .map(|(session, mut client)| async move {
            for call in 0..scaled(10) {
                echo(&mut client, &format!("{session}.{call}.")).await;
            }
            let pid = text_of(&client.call("pid", json!({})).await).to_owned();
            (client, pid)
        });
    let (clients, mut pids): (Vec<_>, Vec<_>) = all(work).await.into_iter().unzip();
    pids.dedup();
    let descendants = gateway.process().descendants();
    assert!(
        pids.len() == 1
            && descendants
                .iter()
                .any(|process| pids[0].contains(&process.pid().to_string())),
        "one process of the gateway's answers all, not {pids:?} of {descendants:?}"
    );
    all(clients.into_iter().map(Client::close)).await;
    let record = gateway.admin("servers/mock").await;
    assert_eq!(
        (&record["sessions"], &record["restarts"]),
        (&json!(0), &json!(0)),
        "{record}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_a_second_are_sustained() {
    let _turn = alone().await;
    let gateway = Gateway::with_mock(&[], "");
    let mut clients = open_clients(&gateway, 50).await;
    let mut rates = Vec::new();
    for _ in 0..scaled(5) {
        let rate;
        (clients, rate) = load(clients, 400).await;
        rates.push(rate);
    }
    report(&format!(
        "messages per second over stretches of 40,000: {rates:.0?} (goal 10,000)"
    ));
    let slowest = rates.into_iter().fold(f64::INFINITY, f64::min);
    assert!(
        slowest >= 10_000.0,
        "{slowest:.0} messages a second are not sustained"
    );
    all(clients.into_iter().map(Client::close)).await;
    gateway.stop().await;
}

/// Sends a call that takes longer than the test, all of it, and closes the connection.
async fn leave_in_the_middle_of_a_call(gateway: &Gateway, client: Client) {
    let params = json!({ "name": "sleep", "arguments": { "ms": 60_000 } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let head = format!(
        "POST /mcp/mock HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\nMcp-Session-Id: {}\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Content-Length: {}\r\n\r\n",
        gateway.address(),
        client.session(),
        body.len()
    );
    let mut stream = TcpStream::connect(gateway.address()).await.expect("it listens");
    stream
        .write_all((head + &body).as_bytes())
        .await
        .expect("the gateway reads");
}

/// Connects and leaves, in one of the ways that clients have of leaving.
async fn connect_and_leave(gateway: &Gateway, cycle: usize) {
    match cycle % 5 {
        0 => {
            let mut client = Client::open(gateway, "mock").await;
            echo(&mut client, &format!("cycle{cycle}.")).await;
            client.close().await;
        }
        // With its stream open, and without a word.
        1 => drop(Client::open(gateway, "mock").await.listen().await),
        2 => leave_in_the_middle_of_a_call(gateway, Client::open(gateway, "mock").await).await,
        // With a reset, in the middle of a request's head.
        3 => {
            let stream = TcpStream::connect(gateway.address()).await.expect("it listens");
            let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            linger.expect("a TCP socket lingers");
            stream
                .try_write(b"POST /mcp/mock HTTP/1.1\r\nHost: ")
                .expect("the socket's buffer is empty");
        }
        // Without a byte.
        _ => drop(TcpStream::connect(gateway.address()).await.expect("it listens")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_comings_and_goings_leave_nothing_behind() {
    let _turn = alone().await;
    // Calls that nobody waits for any more go on in the handshake era; here they end soon.
    let gateway = Arc::new(Gateway::with_mock(&[], "request-timeout = \"2s\""));
    for cycle in 0..100 {
        connect_and_leave(&gateway, cycle).await;
    }
    let process = gateway.process();
    let idle = settled(&gateway, "after the first hundred").await;
    let tasks = tasks_once_idle(&gateway, |_| true).await;
    let cycles = scaled(2_000);
    let next = Arc::new(AtomicUsize::new(0));
    let work = (0..20).map(|_| (Arc::clone(&gateway), Arc::clone(&next)));
    all(work.map(|(gateway, next)| async move {
        while let Some(cycle) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|cycle| *cycle < cycles) {
            connect_and_leave(&gateway, cycle).await;
        }
    }))
    .await;
    let back = |now: &Footprint| now.descriptors <= idle.descriptors && now.threads <= idle.threads;
    let end = eventually("descriptors and threads", || process.footprint(), back).await;
    let tasks_after = tasks_once_idle(&gateway, |now| now <= tasks).await;
    report(&format!(
        "{cycles} comings and goings: {idle:?} and {tasks} tasks before, {end:?} and {tasks_after} tasks after"
    ));
    let growth = end.memory.saturating_sub(idle.memory);
    let abandoned = (cycles / 5 * 2).min(SESSIONS_MAX) as u64;
    assert!(
        growth < abandoned * 10 * 1024 + 16 * MIB,
        "{abandoned} abandoned sessions hold {growth} bytes"
    );
    let mut client = Client::open(&gateway, "mock").await;
    echo(&mut client, "still here").await;
    client.close().await;
    Arc::into_inner(gateway)
        .expect("the cycles are over")
        .stop()
        .await;
}

/// Returns the number of the gateway's tasks once no request is in flight and `accept` likes it.
async fn tasks_once_idle(gateway: &Gateway, accept: impl Fn(u64) -> bool) -> u64 {
    within("an idle gateway and its tasks", async {
        loop {
            let status = gateway.admin("status").await;
            let tasks = status["tasks"].as_u64().expect("a number");
            if status["inFlight"] == 0 && status["openStreams"] == 0 && accept(tasks) {
                return tasks;
            }
        }
    })
    .await
}

/// Returns the footprint once the clients that left are noticed: only the connection that asks is open.
async fn settled(gateway: &Gateway, when: &str) -> Footprint {
    let process = gateway.process();
    let before = eventually(when, || established(gateway), |count| *count == 0).await;
    assert_eq!(before, 0);
    process.footprint()
}

/// Returns the number of TCP connections with the gateway, as its side of them shows in `/proc/net/tcp`.
fn established(gateway: &Gateway) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("this is Linux");
    let local = format!(":{:04X}", gateway.address().port());
    let ours = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some((*fields.get(1)?, *fields.get(3)?))
    });
    // 0A is listening, 06 is TIME_WAIT, which the kernel holds and not the process.
    ours.filter(|(address, state)| address.ends_with(&local) && !["0A", "06"].contains(state))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_10_mb_pass_both_ways_and_block_nobody() {
    let _turn = alone().await;
    let gateway = Gateway::with_mock(&[], "request-timeout = \"60s\"");
    let large =
        open_clients(&gateway, 4)
            .await
            .into_iter()
            .enumerate()
            .map(|(session, mut client)| async move {
                let text = format!("{session}.{}", "x".repeat(10_000_000));
                for _ in 0..scaled(1) {
                    echo(&mut client, &text).await;
                    let message = client.call("big", json!({ "bytes": 10_000_000 })).await;
                    let came = text_of(&message).len();
                    assert!(came >= 10_000_000, "{came} bytes came");
                }
                client.close().await;
            });
    let small = open_clients(&gateway, 4).await;
    let (_, (small, rate)) = tokio::join!(all(large), load(small, 100));
    report(&format!(
        "small messages per second beside four of 10 MB: {rate:.0}"
    ));
    all(small.into_iter().map(Client::close)).await;
    gateway.stop().await;
}

/// Calls until the share is done; returns how many calls had a result. Each has exactly one answer: that is
/// what the client insists on.
async fn call_through_crashes(mut client: Client, session: usize, calls: usize) -> (Client, usize) {
    let mut results = 0;
    for call in 0..calls {
        let text = format!("{session}.{call}.");
        let message = client.call("echo", json!({ "text": text })).await;
        match message["error"]["message"].as_str() {
            Some(reason) => assert!(!reason.is_empty(), "an error says what happened: {message}"),
            None => {
                assert!(
                    text_of(&message).contains(&text),
                    "the answer of another call: {message}"
                );
                results += 1;
            }
        }
    }
    (client, results)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_crash_loop_under_load_each_request_has_one_answer() {
    let _turn = alone().await;
    let patient = "restart-attempts-max = 1000\nbackoff-initial = \"1ms\"\nbackoff-max = \"20ms\"";
    let gateway = Gateway::with_mock(&["--crash-after", "100"], patient);
    let clients = open_clients(&gateway, 20).await.into_iter().enumerate();
    let calls = 20 * scaled(200);
    let done = all(clients.map(|(session, client)| call_through_crashes(client, session, calls / 20))).await;
    let (mut clients, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    let results: usize = results.into_iter().sum();
    let record = gateway.admin("servers/mock").await;
    let restarts = record["restarts"]
        .as_u64()
        .unwrap_or_else(|| panic!("no restarts in {record}"));
    report(&format!(
        "a crash loop under {calls} calls: {results} results, {restarts} restarts"
    ));
    assert!(
        restarts >= 5,
        "100 requests end a process, and {calls} were sent: {record}"
    );
    assert!(
        (calls / 4..calls).contains(&results),
        "crashes cost some calls but not most: {results} of {calls}"
    );
    for client in &mut clients {
        within("the session's next result", next_result(client)).await;
    }
    all(clients.into_iter().map(Client::close)).await;
    gateway.stop().await;
}

/// Calls until there is a result: a session outlives the process behind it.
async fn next_result(client: &mut Client) {
    while client
        .call("echo", json!({ "text": "again" }))
        .await
        .get("result")
        .is_none()
    {}
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_requests_nor_beyond_the_cap_with_sessions() {
    let _turn = alone().await;
    let gateway = Gateway::with_mock(&[], "");
    let process = gateway.process();
    let (clients, _) = load(open_clients(&gateway, 50).await, 400).await;
    let warm = process.footprint().memory;
    let requests = 50 * scaled(2_000);
    let (clients, _) = load(clients, requests / 50).await;
    let worked = process.footprint().memory;
    all(clients.into_iter().map(Client::close)).await;
    report(&format!(
        "memory after 20,000 requests {warm}, after {requests} more {worked}"
    ));
    assert!(
        worked < warm + 8 * MIB,
        "{requests} requests left {} bytes",
        worked.saturating_sub(warm)
    );

    let oldest = Client::open(&gateway, "mock").await;
    let newcomers = abandon_sessions(&gateway, SESSIONS_MAX).await;
    let full = process.footprint().memory;
    let each = full.saturating_sub(worked) / SESSIONS_MAX as u64;
    report(&format!("an abandoned session holds {each} bytes"));
    assert!(each < 10 * 1024, "an abandoned session holds {each} bytes");
    assert_eq!(
        ping(&oldest).await,
        StatusCode::NOT_FOUND,
        "the cap ends the least recently used session"
    );
    drop(newcomers);
    let more = scaled(3_000);
    let newcomers = abandon_sessions(&gateway, more).await;
    let over = process.footprint().memory;
    report(&format!(
        "memory with {SESSIONS_MAX} sessions {full}, with {more} more over the cap {over}"
    ));
    assert!(
        over < full + 8 * MIB,
        "sessions over the cap left {} bytes",
        over.saturating_sub(full)
    );
    assert_eq!(
        ping(&newcomers[0]).await,
        StatusCode::OK,
        "the youngest sessions stay"
    );
    let record = gateway.admin("servers/mock").await;
    assert!(
        record["sessions"]
            .as_u64()
            .is_some_and(|count| count <= SESSIONS_MAX as u64),
        "{record}"
    );
    gateway.stop().await;
}

/// Opens this many sessions that nobody ends, through ten connections; returns the last of each.
async fn abandon_sessions(gateway: &Gateway, count: usize) -> Vec<Client> {
    let work = open_clients(gateway, 10)
        .await
        .into_iter()
        .map(move |mut client| async move {
            for _ in 1..count / 10 {
                client = client.abandon_and_reopen("mock").await;
            }
            client
        });
    all(work).await
}

/// Pings a session through a connection of its own: the other may have been idle for too long.
async fn ping(client: &Client) -> StatusCode {
    let mut client = client.fork().await;
    let answer = client
        .post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
        .await;
    let status = answer.status();
    answer.bytes().await;
    status
}
