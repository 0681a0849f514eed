//! Somebody is killed.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Nuisance, Scene, assert_none_left, kill};
use crate::support::{Client, text_of};

/// So long that no test would wait for it.
const SLOW: &str = "stop-grace = \"10m\"";
const QUICK: &str = "stop-grace = \"200ms\"";

#[tokio::test]
async fn the_gateway_is_killed() {
    for nuisance in Nuisance::ALL {
        Scene::set(nuisance, "", SLOW).await.end_by(kill);
    }
}

#[tokio::test]
async fn the_gateway_is_asked_to_end() {
    for nuisance in Nuisance::ALL {
        for signal in [Signal::TERM, Signal::INT] {
            let scene = Scene::set(nuisance, "", QUICK).await;
            let status = scene.end_by(|gateway| gateway.signal(signal));
            assert!(status.success(), "{nuisance:?} {signal:?}: {status}");
        }
    }
}

#[tokio::test]
async fn a_second_signal_hurries() {
    let scene = Scene::set(Nuisance::Wrapped, "", SLOW).await;
    let asked = Instant::now();
    scene.end_by(|gateway| {
        // Signals of one number that wait are one signal: the second is another one.
        gateway.signal(Signal::INT);
        gateway.signal(Signal::TERM);
    });
    assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_gateway_and_the_server_are_killed() {
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, "", SLOW).await;
        let server = scene.server;
        scene.end_by(|gateway| {
            kill(server);
            kill(gateway);
        });
    }
}

/// The guard is dead before the gateway knows; then the gateway is killed while it clears up.
#[tokio::test]
async fn the_guard_and_then_the_server_are_killed() {
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, "", QUICK).await;
        kill(scene.guard);
        kill(scene.server);
        assert_none_left(&scene.census, &scene.all);
    }
}

/// What was there is gone, and the next request is served by a new process.
#[tokio::test]
async fn the_server_or_its_guard_is_killed_and_the_gateway_goes_on() {
    for nuisance in Nuisance::ALL {
        for victim in [|scene: &Scene| scene.guard, |scene: &Scene| scene.server] {
            let scene = Scene::set(nuisance, "", QUICK).await;
            kill(victim(&scene));
            for process in &scene.all {
                assert!(
                    process.ends_within(crate::support::LIMIT),
                    "{nuisance:?}: {process:?} is left"
                );
            }
            let mut client = Client::open(&scene.gateway, "mock").await;
            let mut answer = client.call("echo", serde_json::json!({ "text": "again" })).await;
            if answer["error"]["data"]["reason"] == "ended" {
                // It was sent before the gateway had seen the end. From this answer on it has.
                answer = client.call("echo", serde_json::json!({ "text": "again" })).await;
            }
            assert!(text_of(&answer).contains("again"));
            let Scene { census, gateway, .. } = scene;
            let all = gateway.process().descendants();
            gateway.end_by(|gateway| gateway.signal(Signal::TERM));
            assert_none_left(&census, &all);
        }
    }
}

/// In the same instant: both are stopped before either is killed, so neither can do anything for the other.
#[tokio::test]
async fn gateway_and_guard_are_killed_at_once_with_pid_namespaces() {
    let namespaces = "[supervision]\npid-namespace = \"auto\"";
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, namespaces, SLOW).await;
        if scene.gateway.output().contains("refuses PID namespaces") {
            // Without them this is the documented limit; that nothing was tested is said past the harness's capture.
            let _ = writeln!(std::io::stderr(), "kills: the system refuses PID namespaces");
            return;
        }
        // In a namespace the parent of the server is its init; the guard is above that.
        let guards = scene.all.clone();
        let marked = scene.census.alive();
        scene.end_by(|gateway| {
            let own: Vec<_> = guards
                .into_iter()
                .filter(|process| !marked.contains(&process.pid()) && is_child(process.pid(), gateway.pid()))
                .collect();
            assert!(!own.is_empty(), "there is a guard");
            gateway.signal(Signal::STOP);
            own.iter().for_each(|guard| guard.signal(Signal::STOP));
            kill(gateway);
            own.into_iter().for_each(kill);
        });
    }
}

fn is_child(pid: u32, parent: u32) -> bool {
    crate::support::census::parent(pid) == Some(parent)
}
