//! Instances: kept, handed out to one call at a time, thrown away when in doubt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::rig::{built, eventually, evil, fine};
use crate::config::Isolation;
use crate::plugin::trial::Guest;
use crate::plugin::{ErrorKind, Plugin};

const SPIN: &str = "(loop $l (br $l))";
const LONG: Duration = Duration::from_secs(600);

fn far() -> Instant {
    Instant::now() + LONG
}

fn made(plugin: &Plugin) -> u64 {
    plugin.instances().2
}

#[tokio::test]
async fn one_warm_instance_serves_one_call_after_the_other() {
    let plugin = built(&Guest::new(), |_| {}).await;
    for _ in 0..100 {
        fine(&plugin).await;
    }
    let (idle, busy, made, memory) = plugin.instances();
    assert_eq!((idle, busy, made, memory), (1, 0, 1, 1 << 20));
}

#[tokio::test]
async fn each_call_gets_a_new_one_where_that_is_wanted() {
    let plugin = built(&Guest::new(), |spec| spec.isolation = Isolation::Fresh).await;
    for _ in 0..3 {
        fine(&plugin).await;
    }
    assert_eq!(
        plugin.instances(),
        (0, 0, 4, 1 << 20),
        "one at the start and three for calls"
    );
}

#[tokio::test]
async fn an_instance_goes_after_its_share_of_calls() {
    let plugin = built(&Guest::new(), |spec| spec.limits.calls_max = 3).await;
    for _ in 0..7 {
        fine(&plugin).await;
    }
    assert_eq!(made(&plugin), 3);
}

#[tokio::test]
async fn an_instance_that_has_grown_fat_goes() {
    let guest = Guest::new().doing("on-message", "(drop (memory.grow (i32.const 16)))");
    let plugin = built(&guest, |spec| spec.limits.memory_keep = 512 << 10).await;
    fine(&plugin).await;
    assert_eq!(made(&plugin), 1);
    evil(&plugin).await.expect("a verdict");
    fine(&plugin).await;
    assert_eq!(made(&plugin), 2);
    assert_eq!(plugin.instances().3, 2 << 20, "the largest seen");
}

#[tokio::test]
async fn the_one_used_last_is_used_next_and_the_others_go_in_time() {
    let plugin = built(&Guest::new(), |_| {}).await;
    let mut out = Vec::new();
    for _ in 0..3 {
        out.push(plugin.pool.checkout(far()).await.expect("an instance"));
    }
    assert_eq!(plugin.instances().1, 3);
    out.into_iter()
        .for_each(|checkout| checkout.give_back(Instant::now()));
    assert_eq!((plugin.instances().0, made(&plugin)), (3, 3));
    fine(&plugin).await;
    assert_eq!(plugin.instances().0, 3, "it was put back");
    plugin.pool.shrink(Instant::now());
    assert_eq!(plugin.instances().0, 3, "none is old");
    plugin.pool.shrink(far());
    assert_eq!(plugin.instances().0, 1, "one stays warm");
    plugin.pool.shrink(far());
    assert_eq!(plugin.instances().0, 1);
    fine(&plugin).await;
    assert_eq!(made(&plugin), 3);
}

#[tokio::test]
async fn instances_beyond_the_most_are_for_one_call() {
    let plugin = built(&Guest::new(), |spec| spec.limits.instances_max = 1).await;
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(plugin.pool.checkout(far()).await.expect("an instance"));
    }
    let busy = plugin
        .pool
        .checkout(Instant::now())
        .await
        .err()
        .expect("no fifth one");
    assert_eq!(busy.kind, ErrorKind::Overload);
    out.into_iter()
        .for_each(|checkout| checkout.give_back(Instant::now()));
    assert_eq!((plugin.instances().0, made(&plugin)), (1, 4));
}

#[tokio::test]
async fn whoever_waits_gets_the_first_that_is_free() {
    let plugin = built(&Guest::new(), |spec| spec.limits.instances_max = 1).await;
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(plugin.pool.checkout(far()).await.expect("an instance"));
    }
    let waits = plugin.pool.checkout(far());
    tokio::pin!(waits);
    assert!(futures_util::poll!(&mut waits).is_pending());
    out.pop().expect("four").give_back(Instant::now());
    waits.await.expect("an instance").give_back(Instant::now());
    assert_eq!(made(&plugin), 4, "it was used again");
}

#[tokio::test]
async fn calls_that_find_all_instances_spinning_are_told_so() {
    let guest = Guest::new().doing("on-message", SPIN);
    let plugin = built(&guest, |spec| {
        spec.limits.instances_max = 1;
        spec.limits.timeout = Duration::from_millis(100);
    })
    .await;
    // On one thread four spinning guests take four times as long as the fifth call can wait.
    let calls = join_all((0..5).map(|_| evil(&plugin))).await;
    let kinds: Vec<_> = calls
        .into_iter()
        .map(|judged| judged.expect_err("no verdict").kind)
        .collect();
    let timeouts = [ErrorKind::Timeout; 4];
    assert_eq!((&kinds[..4], kinds[4]), (&timeouts[..], ErrorKind::Overload));
    assert_eq!(plugin.instances(), (0, 0, 4, 1 << 20));
    fine(&plugin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_any_more_ends_and_takes_its_instance_with_it() {
    let guest = Guest::new().doing("on-message", SPIN);
    let plugin = Arc::new(built(&guest, |spec| spec.limits.timeout = LONG).await);
    let its = plugin.clone();
    let call = tokio::spawn(async move { evil(&its).await });
    eventually(|| plugin.instances().1 == 1).await;
    call.abort();
    assert!(call.await.expect_err("aborted").is_cancelled());
    let (idle, busy, ..) = plugin.instances();
    assert_eq!((idle, busy), (0, 0));
    fine(&plugin).await;
    assert_eq!(made(&plugin), 2);
    assert_eq!(plugin.errors(), [], "it says nothing of the plugin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_is_replaced_lives_as_long_as_its_calls() {
    let guest = Guest::new().doing("on-message", SPIN);
    let plugin = Arc::new(built(&guest, |spec| spec.limits.timeout = Duration::from_millis(50)).await);
    let weak = Arc::downgrade(&plugin);
    let its = plugin.clone();
    let call = tokio::spawn(async move { evil(&its).await.expect_err("too long").kind });
    eventually(|| plugin.instances().1 == 1).await;
    drop(plugin);
    assert!(weak.upgrade().is_some());
    assert_eq!(call.await.expect("no panic"), ErrorKind::Timeout);
    assert!(weak.upgrade().is_none());
}
