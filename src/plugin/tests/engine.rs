//! The engine's own limits: a pool that is used up, and a machine that has no room for one.

use std::time::{Duration, Instant};

use super::rig::{MANIFEST, build_in, fine};
use crate::plugin::engine::pool;
use crate::plugin::trial::Guest;
use crate::plugin::{ErrorKind, PluginEngine, PluginHost};

#[tokio::test]
async fn a_pool_that_is_used_up_is_an_error_and_not_the_plugins_fault() {
    let engine = PluginEngine::pooled(pool(2)).expect("an engine");
    assert!(engine.is_pooling());
    let host = PluginHost::new(engine, std::sync::Arc::default());
    let plugin = build_in(&host, MANIFEST, &Guest::new(), |_| {})
        .await
        .expect("a plugin");
    let deadline = Instant::now() + Duration::from_secs(60);
    let first = plugin.pool.checkout(deadline).await.expect("the warm one");
    let second = plugin.pool.checkout(deadline).await.expect("one more");
    let stopped = plugin.pool.checkout(deadline).await.err().expect("no third one");
    assert_eq!(stopped.kind, ErrorKind::Overload, "{}", stopped.detail);
    assert!(!stopped.kind.is_fault());
    assert!(stopped.detail.contains("limit of 2"), "{}", stopped.detail);
    drop(first);
    let third = plugin.pool.checkout(deadline).await.expect("there is room again");
    third.give_back(Instant::now());
    drop(second);
    fine(&plugin).await;
}

#[tokio::test]
async fn without_address_space_for_a_pool_instances_are_allocated_one_by_one() {
    let engine = PluginEngine::pooled(pool(1 << 24)).expect("an engine all the same");
    assert!(!engine.is_pooling());
    let host = PluginHost::new(engine, std::sync::Arc::default());
    let guest = Guest::new().doing("on-message", "(loop $l (br $l))");
    let plugin = build_in(&host, MANIFEST, &guest, |_| {}).await.expect("a plugin");
    fine(&plugin).await;
    assert_eq!(super::rig::failure(&plugin).await.0, ErrorKind::Timeout);
    let crowded = Guest::new().with(&"(memory 1)".repeat(4));
    let refusal = build_in(&host, MANIFEST, &crowded, |_| {})
        .await
        .expect_err("five memories")
        .to_string();
    assert!(refusal.contains("memory count too high"), "{refusal}");
}

#[tokio::test]
async fn an_engine_that_counts_fuel_runs_the_same_guests() {
    let host = PluginHost::new(
        PluginEngine::with_fuel().expect("an engine"),
        std::sync::Arc::default(),
    );
    let plugin = build_in(&host, MANIFEST, &Guest::new(), |_| {})
        .await
        .expect("a plugin");
    fine(&plugin).await;
}

#[tokio::test]
async fn what_was_compiled_before_runs() {
    let host = super::rig::host();
    let compiled = host
        .engine()
        .compile(&Guest::new().component())
        .expect("compiled");
    // SAFETY: the bytes are what `compile` returned.
    #[expect(unsafe_code, reason = "as the cache of compiled code does")]
    let component = unsafe { host.engine().load(&compiled) };
    assert!(component.is_ok());
}
