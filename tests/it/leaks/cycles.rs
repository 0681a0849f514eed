//! Starting and stopping again and again.

use super::{Nuisance, assert_none_left};
use crate::support::census::Census;
use crate::support::{Client, Gateway, eventually, text_of};

const CYCLES: usize = 200;

/// Opens a session with a process of its own, uses it and ends it.
async fn cycle(gateway: &Gateway) {
    let mut client = Client::open(gateway, "mock").await;
    let answer = client.call("echo", serde_json::json!({ "text": "up" })).await;
    assert!(text_of(&answer).contains("up"));
    client.close().await;
}

#[tokio::test]
async fn descriptors_threads_and_memory_are_back_after_200_processes() {
    let census = Census::new();
    let more = "sharing = \"session\"\nstop-grace = \"5s\"\nlinger = \"0s\"";
    let gateway = Gateway::start(&Nuisance::Polite.table(&census, more));
    for _ in 0..20 {
        cycle(&gateway).await; // What is made once is made now.
    }
    let idle = |gateway: &Gateway| gateway.process().descendants().is_empty();
    eventually("no process", || idle(&gateway), |idle| *idle).await;
    let before = gateway.process().footprint();
    for _ in 0..CYCLES {
        cycle(&gateway).await;
    }
    assert_none_left(&census, &[]);
    eventually("no process", || idle(&gateway), |idle| *idle).await;
    let back = |now: &crate::support::Footprint| {
        now.descriptors <= before.descriptors && now.threads <= before.threads + 1
    };
    let after = eventually("back at the start", || gateway.process().footprint(), back).await;
    let grown = after.memory.saturating_sub(before.memory);
    assert!(grown < 8 << 20, "{grown} bytes more after {CYCLES} processes");
}
