//! What a guest asks of the host, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::rig::{MESSAGE, built, ctx, evil, failure, matter};
use crate::config::HttpGrant;
use crate::plugin::trial::{EVIL, Guest, RESULT};
use crate::plugin::{ErrorKind, Plugin};

/// Returns a guest that does something so many times.
fn repeating(guest: Guest, times: u32, body: &str) -> Guest {
    let body = format!(
        "(loop $l {body} (local.set $i (i32.add (local.get $i) (i32.const 1))) \
         (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))"
    );
    guest.doing("on-message", body)
}

#[tokio::test]
async fn a_flood_of_calls_of_the_host() {
    let guest = Guest::new().importing("clock", "now-ms", "(result i64)");
    let plugin = built(&repeating(guest.clone(), 1000, "(drop (call $now-ms))"), |_| {}).await;
    evil(&plugin).await.expect("a thousand are allowed");
    let plugin = built(&repeating(guest, 1001, "(drop (call $now-ms))"), |_| {}).await;
    let (kind, detail) = failure(&plugin).await;
    assert_eq!(kind, ErrorKind::HostCall);
    assert!(
        detail.contains("more than 1000 calls of the host (host-calls-max)"),
        "{detail}"
    );
}

/// Counts what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().ends_with("host::log") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_flood_of_log_is_counted_and_not_written() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let guest = Guest::new().importing("log", "write", "(param i32 i32 i32 i32 i32)");
    let write = "(call $write (i32.const 3) (i32.const 8192) (i32.const 2) (i32.const 0) (i32.const 0))";
    let plugin = built(&repeating(guest, 900, write), |spec| spec.limits.log_rate = 7).await;
    evil(&plugin).await.expect("it is served all the same");
    let written = lines.0.load(Ordering::Relaxed);
    // Seven in a second; a second may begin while it runs.
    assert!((7..=16).contains(&written), "{written} of 900");
}

#[tokio::test]
async fn a_log_line_longer_than_a_call_may_move() {
    let guest = Guest::new()
        .importing("log", "write", "(param i32 i32 i32 i32 i32)")
        .doing(
            "on-message",
            "(call $write (i32.const 3) (i32.const 0) (i32.const 70000) (i32.const 0) (i32.const 0))",
        );
    let plugin = built(&guest, |spec| spec.limits.output_max = 64 << 10).await;
    let (kind, detail) = failure(&plugin).await;
    assert_eq!(kind, ErrorKind::BadDecision, "{detail}");
}

/// Asks for the whole message so many times.
fn copying(times: u32) -> Guest {
    let guest = Guest::new().importing("message", "get", "(param i32 i32 i32)");
    repeating(
        guest,
        times,
        &format!(
            "(call $get (i32.const 0) (i32.const 0) (i32.const {RESULT}))\
        (global.set $heap (i32.const 131072)) (i64.store (i32.const {RESULT}) (i64.const 0))"
        ),
    )
}

#[tokio::test]
async fn what_a_call_copies_of_the_message_is_counted_together() {
    let len = MESSAGE.len();
    let plugin = built(&copying(3), |spec| spec.limits.body_copy_max = 3 * len).await;
    evil(&plugin).await.expect("three times is allowed");
    evil(&plugin).await.expect("in each call");
    let plugin = built(&copying(4), |spec| spec.limits.body_copy_max = 3 * len).await;
    let (kind, detail) = failure(&plugin).await;
    assert_eq!(kind, ErrorKind::HostCall);
    assert!(detail.contains("body-copy-max"), "{detail}");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_an_answer_and_no_failure() {
    let guest = Guest::new().importing("message", "text", "(param i32)").doing(
        "on-message",
        format!(
            "(call $text (i32.const {RESULT})) \
             (if (i32.eqz (i32.load8_u (i32.const {RESULT}))) (then unreachable)) \
             (i64.store (i32.const {RESULT}) (i64.const 0))"
        ),
    );
    let plugin = built(&guest, |spec| spec.limits.body_copy_max = 10).await;
    evil(&plugin).await.expect("it was told");
}

#[tokio::test]
async fn a_key_that_stands_twice_ends_the_call_and_is_not_the_plugins_fault() {
    let mut guest = Guest::new().importing("message", "get", "(param i32 i32 i32)");
    let [at, len] = guest.image.text("/params/a");
    let body = format!("(call $get (i32.const {at}) (i32.const {len}) (i32.const {RESULT}))");
    let plugin = built(&guest.doing("on-message", body), |_| {}).await;
    for _ in 0..10 {
        let twice = plugin
            .on_message(&ctx(EVIL), &matter(r#"{"params":{"a":1,"a":2}}"#))
            .await;
        assert_eq!(twice.expect_err("no guess").kind, ErrorKind::Message);
    }
    assert_eq!(plugin.breaker(), crate::plugin::BreakerState::Closed);
}

#[tokio::test]
async fn too_many_random_bytes_at_once() {
    let guest = Guest::new()
        .wanting("import random;")
        .importing("random", "get-bytes", "(param i32 i32)")
        .doing(
            "on-message",
            format!("(call $get-bytes (i32.const 65537) (i32.const {RESULT}))"),
        );
    let plugin = built(&guest, |spec| spec.grant.random = true).await;
    assert_eq!(failure(&plugin).await.0, ErrorKind::HostCall);
}

/// Returns a guest that has the whole message checked against a schema, and denies what does not fit.
fn checking(schema: &str) -> Guest {
    let mut guest =
        Guest::new()
            .wanting("import schema;")
            .importing("schema", "validate", "(param i32 i32 i32 i32 i32)");
    let [at, len] = guest.image.text(schema);
    let mut denial = vec![1];
    denial.extend(guest.image.denial(None));
    let denial = guest.image.verdict(&denial, [0, 0]);
    guest.doing(
        "on-message",
        format!(
            "(call $validate (i32.const 0) (i32.const 0) (i32.const {at}) (i32.const {len}) (i32.const {RESULT})) \
             (if (i32.load8_u (i32.const {RESULT})) (then (return (i32.const {denial}))))"
        ),
    )
}

#[tokio::test]
async fn a_schema_decides_and_one_that_takes_for_ever_ends_the_call_in_time() {
    for (schema, fits) in [(r#"{"required":["id"]}"#, true), (r#"{"required":["x"]}"#, false)] {
        let plugin = built(&checking(schema), |spec| spec.grant.schema = true).await;
        for _ in 0..2 {
            let judged = evil(&plugin).await.expect("a verdict");
            assert_eq!(judged.outcome.is_ok(), fits, "{schema}");
        }
    }
    // 2^24 steps: some seconds, in which the only thread of this runtime serves others.
    let step = |n: usize| {
        format!(
            r##""{n}":{{"allOf":[{{"$ref":"#/$defs/{0}"}},{{"$ref":"#/$defs/{0}"}}]}}"##,
            n + 1
        )
    };
    let steps: Vec<_> = (0..24).map(step).collect();
    let doubling = format!(
        r##"{{"$defs":{{{},"24":true}},"$ref":"#/$defs/0"}}"##,
        steps.join(",")
    );
    let plugin = built(&checking(&doubling), |spec| spec.grant.schema = true).await;
    let start = std::time::Instant::now();
    let (kind, detail) = failure(&plugin).await;
    assert_eq!(kind, ErrorKind::Timeout, "{detail}");
    assert!(detail.contains("takes too long"), "{detail}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// A plugin that denies what it gets no HTTP answer for.
async fn caller(url: &str, grant: HttpGrant, timeout: Duration) -> Plugin {
    let mut guest = Guest::new().wanting("import http;").importing(
        "http",
        "send",
        &format!("(param {})", "i32 ".repeat(10)),
    );
    let [method, method_len] = guest.image.text("GET");
    let [url, url_len] = guest.image.text(url);
    let mut denial = vec![1];
    denial.extend(guest.image.denial(None));
    let denial = guest.image.verdict(&denial, [0, 0]);
    let numbers = [method, method_len, url, url_len, 0, 0, 0, 0, 600_000, RESULT];
    let arguments: String = numbers
        .iter()
        .map(|number| format!("(i32.const {number})"))
        .collect();
    let guest = guest.doing(
        "on-message",
        format!(
            "(call $send {arguments}) \
             (if (i32.load8_u (i32.const {RESULT})) (then (return (i32.const {denial})))) \
             (memory.fill (i32.const {RESULT}) (i32.const 0) (i32.const 64))"
        ),
    );
    built(&guest, |spec| {
        spec.grant.http = Some(grant);
        spec.limits.timeout = timeout;
    })
    .await
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    (listener, address)
}

fn grant(host: &str, private_addresses: bool) -> HttpGrant {
    HttpGrant {
        hosts: vec![host.to_owned()],
        private_addresses,
    }
}

#[tokio::test]
async fn http_goes_where_the_grant_says_and_nowhere_else() {
    let (listener, address) = listener().await;
    let url = format!("http://{address}/judge");
    let time = Duration::from_secs(60);
    for refused in [
        grant(&address, false),
        grant("127.0.0.1:1", true),
        grant("example.com", true),
    ] {
        let plugin = caller(&url, refused, time).await;
        assert!(evil(&plugin).await.expect("a verdict").outcome.is_err());
    }
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener
            .accept()
            .await
            .expect("the only connection that was allowed");
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.expect("a request");
        assert!(request[..read].starts_with(b"GET /judge HTTP/1.1\r\n"));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.expect("an answer");
    });
    let plugin = caller(&url, grant(&address, true), time).await;
    assert_eq!(evil(&plugin).await.expect("a verdict").outcome, Ok(None));
    server.await.expect("it was asked");
}

#[tokio::test]
async fn a_server_that_does_not_answer_takes_the_calls_time_and_the_guest_still_decides() {
    let (listener, address) = listener().await;
    let url = format!("http://{address}/");
    let plugin = caller(&url, grant(&address, true), Duration::from_millis(50)).await;
    let judged = evil(&plugin).await.expect("a verdict");
    assert!(judged.outcome.is_err(), "it denied");
    drop(listener);
}
