//! A server is stopped by order, or because nobody uses it.

use http::Method;

use super::{Nuisance, Scene, assert_none_left};
use crate::support::eventually;

const QUICK: &str = "stop-grace = \"100ms\"";

/// Gives an order after which nothing of the server is left, while the gateway lives.
async fn nothing_is_left_after(method: Method, path: &str) {
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, "", QUICK).await;
        let status = scene.gateway.order(method.clone(), path).await;
        assert!(status.is_success(), "{path}: {status}");
        assert_none_left(&scene.census, &scene.all);
        // A guard that has ended is reaped a moment later.
        let left = || scene.gateway.process().descendants();
        eventually(path, left, Vec::is_empty).await;
    }
}

#[tokio::test]
async fn stopped() {
    nothing_is_left_after(Method::POST, "servers/mock/stop").await;
}

#[tokio::test]
async fn disabled() {
    nothing_is_left_after(Method::POST, "servers/mock/disable").await;
}

#[tokio::test]
async fn unregistered() {
    nothing_is_left_after(Method::DELETE, "servers/mock").await;
}

#[tokio::test]
async fn restarted() {
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, "", QUICK).await;
        let status = scene.gateway.order(Method::POST, "servers/mock/restart").await;
        assert!(status.is_success(), "{status}");
        for process in &scene.all {
            assert!(
                !process.is_alive(),
                "{nuisance:?}: {process:?} outlived the restart"
            );
        }
        crate::support::census::until(|| scene.census.count() == nuisance.processes());
    }
}

#[tokio::test]
async fn idle() {
    let idle = "stop-grace = \"100ms\"\nidle-timeout = \"1s\"\nlinger = \"0s\"";
    for nuisance in Nuisance::ALL {
        let scene = Scene::set(nuisance, "", idle).await;
        assert_none_left(&scene.census, &scene.all);
    }
}
