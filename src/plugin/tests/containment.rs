//! Time, memory, stack and traps: a guest that goes too far loses its instance, and the next call gets a new one.

use std::time::Duration;

use super::rig::{build, built, failure, fine, refused};
use crate::plugin::ErrorKind;
use crate::plugin::trial::{Guest, RESULT};

const SPIN: &str = "(loop $l (br $l))";

#[track_caller]
fn check((kind, detail): &(ErrorKind, String), wanted: ErrorKind, text: &str) {
    assert_eq!(*kind, wanted, "{detail}");
    assert!(detail.contains(text), "{detail}");
}

async fn contained(guest: Guest, kind: ErrorKind, text: &str) {
    let plugin = built(&guest, |spec| spec.limits.memory_max = 4 << 20).await;
    fine(&plugin).await;
    check(&failure(&plugin).await, kind, text);
    let (idle, busy, made, _) = plugin.instances();
    assert_eq!((idle, busy, made), (1, 0, 2), "the broken instance is gone");
    assert_eq!(plugin.errors(), [(kind, 1)]);
}

#[tokio::test]
async fn a_guest_that_spins() {
    contained(
        Guest::new().doing("on-message", SPIN),
        ErrorKind::Timeout,
        "too long",
    )
    .await;
}

#[tokio::test]
async fn a_guest_that_panics() {
    let guest = Guest::new()
        .with("(func $panicked unreachable)")
        .doing("on-message", "(call $panicked)");
    contained(
        guest,
        ErrorKind::Trap,
        "unreachable` instruction executed in panicked",
    )
    .await;
}

#[tokio::test]
async fn a_guest_that_recurses() {
    let guest = Guest::new()
        .with("(func $deeper (call $deeper) (call $deeper))")
        .doing("on-message", "(call $deeper)");
    contained(guest, ErrorKind::Trap, "call stack exhausted").await;
}

#[tokio::test]
async fn a_guest_whose_memory_grows() {
    let guest = Guest::new().doing(
        "on-message",
        "(loop $l (drop (memory.grow (i32.const 16))) (br $l))",
    );
    contained(guest, ErrorKind::Memory, "memory-max").await;
}

#[tokio::test]
async fn a_guest_that_wants_all_memory_at_once() {
    let guest = Guest::new().doing("on-message", "(drop (memory.grow (i32.const 65000)))");
    contained(guest, ErrorKind::Memory, "memory-max").await;
}

#[tokio::test]
async fn several_memories_count_together() {
    // 16 + 16 + 16 pages are 3 MiB of 4.
    let guest = Guest::new().with("(memory $b 16) (memory $c 16)").doing(
        "on-message",
        "(drop (memory.grow $b (i32.const 8))) (drop (memory.grow $c (i32.const 8))) (drop (memory.grow (i32.const 1)))",
    );
    contained(guest, ErrorKind::Memory, "memory-max").await;
}

#[tokio::test]
async fn a_memory_that_does_not_grow_is_not_counted() {
    let grow = "(loop $l (drop (memory.grow (i32.const 1))) (local.set $i (i32.add (local.get $i) (i32.const 1))) \
                (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))";
    let guest = Guest::new().memory("16 17").doing("on-message", grow);
    let plugin = built(&guest, |spec| spec.limits.memory_max = 4 << 20).await;
    super::rig::evil(&plugin).await.expect("17 pages are allowed");
    assert_eq!(plugin.instances(), (1, 0, 1, 17 << 16));
}

#[tokio::test]
async fn a_memory_of_64_bits_cannot_ask_for_so_much_that_counting_fails() {
    let guest = Guest::new().with("(memory $b i64 1)").doing(
        "on-message",
        "(drop (memory.grow $b (i64.const 0xffffffffffff))) (drop (memory.grow $b (i64.const -1))) unreachable",
    );
    let plugin = built(&guest, |_| {}).await;
    let (kind, detail) = failure(&plugin).await;
    assert!(matches!(kind, ErrorKind::Memory | ErrorKind::Trap), "{detail}");
}

#[tokio::test]
async fn a_table_that_grows() {
    // It is told that it cannot, and does not take the answer well.
    let guest = Guest::new().with("(table $t 1 funcref)").doing(
        "on-message",
        "(loop $l (br_if $l (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0)))) unreachable",
    );
    contained(guest, ErrorKind::Trap, "unreachable").await;
}

#[tokio::test]
async fn more_memory_from_the_start_than_it_may_have() {
    let guest = Guest::new().memory("1025");
    let text = refused(&guest).await;
    assert!(text.contains("memory-max"), "{text}");
}

#[tokio::test]
async fn a_guest_that_fails_before_its_first_call() {
    let cases = [
        (Guest::new().doing("init", SPIN), "it cannot be started (timeout)"),
        (
            Guest::new().doing("init", "unreachable"),
            "it cannot be started (trap)",
        ),
        (
            Guest::new().doing("describe", SPIN),
            "describe failed: it took too long",
        ),
        (
            Guest::new().doing("describe", "unreachable"),
            "describe failed: wasm trap",
        ),
        (
            Guest::new().with(&format!("(func $start {SPIN}) (start $start)")),
            "it cannot be started (timeout)",
        ),
        (
            Guest::new().with("(func $start unreachable) (start $start)"),
            "it cannot be started (trap)",
        ),
    ];
    for (guest, text) in cases {
        let refusal = refused(&guest).await;
        assert!(refusal.contains(text), "{refusal}");
    }
}

#[tokio::test]
async fn an_init_that_refuses_says_why() {
    let mut guest = Guest::new();
    let [at, len] = guest.image.text("the key `deny` has to be a list");
    let answer = guest.image.words(&[1, at, len]);
    let text = refused(&guest.returning("init", answer)).await;
    assert_eq!(text, "init refused: the key `deny` has to be a list");
}

#[tokio::test]
async fn an_init_that_refuses_with_a_novel_is_cut_short() {
    let mut guest = Guest::new();
    let [at, len] = guest.image.text(&"x".repeat(40_000));
    let answer = guest.image.words(&[1, at, len]);
    let text = refused(&guest.returning("init", answer)).await;
    assert!(text.len() < 1100, "{}", text.len());
}

#[tokio::test]
async fn an_init_that_fails_later_on_is_no_verdict() {
    // It starts once, and never again: whoever needs a second instance gets an error.
    let guest = Guest::new()
        .importing("kv", "increment", "(param i32 i32 i64 i32 i64 i32)")
        .wanting("import kv;")
        .doing(
            "init",
            format!(
                "(call $increment (i32.const 0) (i32.const 0) (i64.const 1) (i32.const 0) (i64.const 0) (i32.const {RESULT})) \
                 (if (i64.gt_s (i64.load offset=8 (i32.const {RESULT})) (i64.const 1)) (then unreachable)) \
                 (i64.store (i32.const {RESULT}) (i64.const 0))"
            ),
        )
        .doing("on-message", "unreachable");
    // A store is its plugin's by name, so this one has another name than the other tests' plugins.
    let host = crate::plugin::PluginHost::new(super::rig::host().engine().clone(), std::sync::Arc::default());
    let manifest =
        "[plugin]\nname = \"hostile\"\nversion = \"1.0.0\"\n[hooks]\non-message = { methods = [\"*\"] }";
    let plugin = super::rig::build_in(&host, manifest, &guest, |spec| spec.grant.kv = Some(4096)).await;
    let plugin = plugin.expect("it starts once");
    let kind = super::rig::evil(&plugin).await.expect_err("a trap").kind;
    assert_eq!(kind, ErrorKind::Trap);
    let again = super::rig::evil(&plugin).await.expect_err("no instance");
    check(
        &(again.kind, again.detail),
        ErrorKind::Init,
        "it cannot be started (trap)",
    );
}

#[tokio::test]
async fn a_broken_plugin_is_left_alone_for_a_while() {
    let plugin = built(&Guest::new().doing("on-message", "unreachable"), |_| {}).await;
    for _ in 0..5 {
        let error = super::rig::evil(&plugin).await.expect_err("a trap");
        assert_eq!(error.kind, ErrorKind::Trap);
    }
    let (idle, busy, made, _) = plugin.instances();
    assert_eq!((idle, busy, made), (0, 0, 5));
    let error = super::rig::evil(&plugin).await.expect_err("not asked");
    assert_eq!(error.kind, ErrorKind::Open);
    assert_eq!(plugin.instances().2, 5, "no instance was made for it");
    assert_eq!(plugin.breaker(), crate::plugin::BreakerState::Open);
}

#[tokio::test]
async fn a_guest_that_waited_for_its_turn_has_not_taken_too_long() {
    // Eight guests of 100 ms each on one thread: each has finished long after its own time was over by the clock.
    let count_down = "(local.set $i (i32.const 60000000)) \
        (loop $l (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $l (local.get $i)))";
    let guest = Guest::new().doing("on-message", count_down);
    let plugin = build(&guest, |spec| {
        spec.limits.instances_max = 8;
        spec.limits.timeout = Duration::from_millis(400);
    });
    let plugin = plugin.await.expect("a plugin");
    let start = std::time::Instant::now();
    let calls = futures_util::future::join_all((0..64).map(|_| super::rig::evil(&plugin))).await;
    let served = calls.iter().filter(|judged| judged.is_ok()).count();
    let timeouts = calls
        .iter()
        .filter_map(|judged| judged.as_ref().err())
        .filter(|error| error.kind == ErrorKind::Timeout);
    assert_eq!(timeouts.count(), 0, "{served} served in {:?}", start.elapsed());
    assert!(served >= 8);
}

#[tokio::test]
async fn a_guest_whose_instructions_take_long() {
    // Each is counted as a tick, and takes some: longer than its time, not for ever.
    let fill = "(loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 0x3f00000)) (br $l))";
    let plugin = built(&Guest::new().memory("1024").doing("on-message", fill), |_| {}).await;
    let start = std::time::Instant::now();
    check(&failure(&plugin).await, ErrorKind::Timeout, "too long");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
