//! A hostile plugin does not keep others from serving.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{MANIFEST, build_in, built, eventually, evil, fine};
use crate::config::PluginSpec;
use crate::plugin::trial::Guest;
use crate::plugin::{ErrorKind, PluginEngine, PluginHost};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_serve_while_a_plugin_spins_on_every_thread() {
    let spinning = Guest::new().doing("on-message", "(loop $l (br $l))");
    let spinner = built(&spinning, |spec| {
        spec.limits.timeout = Duration::from_secs(1);
        spec.limits.instances_max = 4;
    });
    let spinner = Arc::new(spinner.await);
    let good = Arc::new(built(&Guest::new(), |_| {}).await);
    let spins: Vec<_> = (0..4)
        .map(|_| {
            let its = spinner.clone();
            tokio::spawn(async move { evil(&its).await.expect_err("too long").kind })
        })
        .collect();
    eventually(|| spinner.instances().1 == 4).await;
    let its = good.clone();
    let serving = tokio::spawn(async move {
        for _ in 0..50 {
            fine(&its).await;
            tokio::task::yield_now().await;
        }
    });
    serving.await.expect("it serves");
    assert!(
        spins.iter().all(|spin| !spin.is_finished()),
        "it served while they spun"
    );
    for spin in spins {
        assert_eq!(spin.await.expect("no panic"), ErrorKind::Timeout);
    }
    assert_eq!(good.errors(), []);
}

#[tokio::test]
async fn one_broken_plugin_says_nothing_of_another() {
    let broken = built(&Guest::new().doing("on-message", "unreachable"), |_| {}).await;
    let good = built(&Guest::new(), |_| {}).await;
    for _ in 0..10 {
        evil(&broken).await.expect_err("broken");
        fine(&good).await;
    }
    assert_eq!(good.instances().2, 1, "its instance is as good as ever");
}

/// Takes more than a tick, and comes to an end.
const SLOW: &str = "(loop $l
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $l (i32.lt_u (local.get $i) (i32.const 30000000))))";

#[tokio::test]
async fn who_was_slow_to_start_keeps_no_place_that_others_need() {
    let host = PluginHost::new(PluginEngine::new().expect("an engine"), Arc::default());
    let slow_in = async |function| {
        let slow = Guest::new().doing(function, SLOW);
        let patient = |spec: &mut PluginSpec| {
            spec.limits.timeout = Duration::from_secs(60);
            spec.limits.init_timeout = Duration::from_secs(60);
        };
        let plugin = build_in(&host, MANIFEST, &slow, patient).await;
        plugin.expect("a plugin")
    };
    let _started = [slow_in("init").await, slow_in("describe").await];
    let judged = tokio::time::timeout(Duration::from_secs(60), evil(&slow_in("on-message").await)).await;
    judged.expect("nobody is in its way").expect("a verdict");
}
