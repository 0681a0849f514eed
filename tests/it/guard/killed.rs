//! The gateway, the guard, or both are killed: nothing is left.

use portcullis::upstream::launch::Exit;
use rustix::process::Signal;

use super::{
    NEST,
    census::{self, Census, await_gone},
    helper::{Gateway, signal},
    line, rest, shell, start,
};

fn gateway(census: &Census, script: &str) -> Gateway {
    let gateway = Gateway::start(census, "together", None, script).expect("no namespace was asked for");
    census::until(|| census.alive().contains(&gateway.server));
    gateway
}

#[test]
fn nothing_survives_a_killed_gateway() {
    let census = Census::new();
    let gateway = gateway(&census, NEST);
    census.await_nest();
    let guard = gateway.guard;
    gateway.kill();
    census.await_none();
    await_gone(guard);
}

#[test]
fn a_stopped_guard_wakes_up_when_the_gateway_is_killed() {
    let census = Census::new();
    let gateway = gateway(&census, NEST);
    let guard = gateway.guard;
    signal(guard, Signal::STOP);
    gateway.kill();
    census.await_none();
    await_gone(guard);
}

#[test]
fn stopped_servers_end_too() {
    let census = Census::new();
    let gateway = gateway(&census, NEST);
    census.await_nest();
    for pid in census.alive() {
        // One of those that only fork may have ended since it was counted.
        let _ = rustix::process::kill_process(census::pid_of(pid), Signal::STOP);
    }
    gateway.kill();
    census.await_none();
}

#[test]
fn a_gateway_ends_what_a_killed_guard_leaves() {
    let census = Census::new();
    let gateway = gateway(&census, NEST);
    signal(gateway.guard, Signal::KILL);
    census.await_none();
    census::until(|| census::children(gateway.pid).is_empty());
    gateway.kill();
}

#[test]
fn the_guard_ignores_every_signal_that_can_be_ignored() {
    let census = Census::new();
    let gateway = gateway(&census, NEST);
    for harmless in [
        Signal::HUP,
        Signal::INT,
        Signal::TERM,
        Signal::QUIT,
        Signal::USR1,
        Signal::PIPE,
        Signal::CONT,
    ] {
        signal(gateway.guard, harmless);
    }
    let guard = gateway.guard;
    census.await_nest();
    gateway.kill();
    census.await_none();
    await_gone(guard);
}

#[test]
fn the_server_itself_dies_when_gateway_and_guard_are_killed_at_once() {
    let census = Census::new();
    let gateway = gateway(&census, "echo up; exec sleep 1000");
    // A stopped gateway cannot do the guard's work, and the guard is dead before the gateway is.
    signal(gateway.pid, Signal::STOP);
    signal(gateway.guard, Signal::KILL);
    gateway.kill();
    census.await_none();
}

#[tokio::test]
async fn a_killed_guard_is_told_from_an_end() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "sleep 1000 & echo up; wait")).await;
    line(&mut launched).await;
    signal(
        census::parent(launched.process.pid().expect("it is a process")).expect("the guard"),
        Signal::KILL,
    );
    let end = launched.process.wait().await;
    assert_eq!(end.exit, Exit::Unknown);
    assert_eq!(rest(&mut launched).await, "", "the group went with it");
    census.await_none();
}

#[tokio::test]
async fn a_guard_that_does_not_answer_is_killed() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "sleep 1000 & echo up; wait")).await;
    line(&mut launched).await;
    let guard = census::parent(launched.process.pid().expect("it is a process")).expect("the guard");
    signal(guard, Signal::STOP);
    // Its limit passes at once.
    tokio::time::pause();
    launched.process.kill();
    assert_eq!(launched.process.wait().await.exit, Exit::Unknown);
    await_gone(guard);
    census.await_none();
}
