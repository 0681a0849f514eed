//! Starting and stopping again and again.

use super::{Nuisance, assert_none_left};
use crate::support::census::Census;
use crate::support::{Client, Footprint, Gateway, eventually, text_of};

const CYCLES: usize = 200;
/// What so many may leave of memory.
const GROWTH_MAX: u64 = 8 << 20;
/// What is lost is lost in every round; what the allocator keeps, the more the busier the machine is, is used again.
const ROUNDS: usize = 4;

/// Opens a session with a process of its own, uses it and ends it.
async fn cycle(gateway: &Gateway) {
    let mut client = Client::open(gateway, "mock").await;
    let answer = client.call("echo", serde_json::json!({ "text": "up" })).await;
    assert!(text_of(&answer).contains("up"));
    client.close().await;
}

/// Goes through all cycles and returns how much more memory the gateway has then.
async fn round(gateway: &Gateway, census: &Census) -> u64 {
    let idle = || gateway.process().descendants().is_empty();
    eventually("no process", idle, |idle| *idle).await;
    let before = gateway.process().footprint();
    for _ in 0..CYCLES {
        cycle(gateway).await;
    }
    assert_none_left(census, &[]);
    eventually("no process", idle, |idle| *idle).await;
    let back = |now: &Footprint| now.descriptors <= before.descriptors && now.threads <= before.threads + 1;
    let after = eventually("back at the start", || gateway.process().footprint(), back).await;
    after.memory.saturating_sub(before.memory)
}

#[tokio::test]
async fn descriptors_threads_and_memory_are_back_after_200_processes() {
    let census = Census::new();
    let more = "sharing = \"session\"\nstop-grace = \"5s\"\nlinger = \"0s\"";
    let gateway = Gateway::start(&Nuisance::Polite.table(&census, more));
    for _ in 0..20 {
        cycle(&gateway).await; // What is made once is made now.
    }
    let mut grown = Vec::new();
    while grown.last().is_none_or(|grown| *grown >= GROWTH_MAX) {
        assert!(
            grown.len() < ROUNDS,
            "bytes more after {CYCLES} processes each: {grown:?}"
        );
        grown.push(round(&gateway, &census).await);
    }
}
