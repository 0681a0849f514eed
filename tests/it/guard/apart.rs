//! Servers in a PID namespace of their own, where the system allows one.

use portcullis::upstream::launch::{Exit, Launch, LaunchError, LaunchSpec, Launched, PidNamespace};
use rustix::process::Signal;

use super::{
    NEST,
    census::{self, Census, await_gone},
    guarded,
    helper::{Gateway, signal},
    line, rest, shell, start,
};

/// Starts `spec` in a namespace, or nothing where the system refuses.
async fn apart(spec: LaunchSpec) -> Option<Launched> {
    let spec = LaunchSpec {
        pid_namespace: PidNamespace::Required,
        ..spec
    };
    match guarded().launch(&spec).await {
        Err(LaunchError::Namespace { .. }) => None,
        launched => Some(launched.expect("it starts")),
    }
}

#[tokio::test]
async fn it_is_a_namespace_with_an_init_of_ours() {
    let census = Census::new();
    let Some(mut launched) = apart(shell(&census, "echo $$; read -r _; exit 6")).await else {
        return;
    };
    assert_eq!(line(&mut launched).await, "2", "the server is not pid 1");
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).expect("the process runs");
    assert_ne!(
        namespace(launched.process.pid().expect("it is a process")),
        namespace(std::process::id())
    );
    assert_eq!(
        census.alive(),
        [launched.process.pid().expect("it is a process")],
        "the pid is the server's, as it is here"
    );
    drop(launched.stdin);
    let end = launched.process.wait().await;
    assert_eq!((end.exit, end.stragglers), (Exit::Code(6), 0));
}

#[tokio::test]
async fn the_ends_are_told_as_elsewhere() {
    let census = Census::new();
    let Some(mut asked) = apart(shell(&census, "echo up; exec sleep 1000")).await else {
        return;
    };
    line(&mut asked).await;
    asked.process.terminate();
    assert_eq!(asked.process.wait().await.to_string(), "killed by SIGTERM");
    let mut killed = apart(shell(&census, NEST)).await.expect("it was allowed before");
    line(&mut killed).await;
    killed.process.kill();
    let end = killed.process.wait().await;
    assert_eq!((end.exit, end.survivors), (Exit::Signal(9), 0));
    assert!(end.stragglers >= 3, "{end}");
    assert_eq!((rest(&mut killed).await.as_str(), census.count()), ("", 0));
    let mut left = apart(shell(&census, "setsid sleep 1000 & exit 3"))
        .await
        .expect("it was allowed before");
    assert_eq!(
        left.process.wait().await.to_string(),
        "exit status 3, 1 left behind and killed"
    );
    let dropped = apart(shell(&census, NEST)).await.expect("it was allowed before");
    drop(dropped);
    census.await_none();
}

#[tokio::test]
async fn what_cannot_start_in_it_says_why() {
    let spec = LaunchSpec {
        pid_namespace: PidNamespace::Auto,
        ..LaunchSpec::new("no-such-program")
    };
    let error = guarded().launch(&spec).await.expect_err("it cannot start");
    assert!(matches!(error, LaunchError::NotFound { .. }), "{error:?}");
    let census = Census::new();
    let mut automatic = start(&LaunchSpec {
        pid_namespace: PidNamespace::Auto,
        ..shell(&census, "exit 2")
    })
    .await;
    assert_eq!(
        automatic.process.wait().await.exit,
        Exit::Code(2),
        "with or without a namespace"
    );
}

/// Kills the guard and the gateway while neither can answer the other's death; the kernel ends the rest.
fn kill_both_at_once(user: Option<u32>) {
    let census = Census::new();
    let Some(gateway) = Gateway::start(&census, "apart", user, NEST) else {
        return;
    };
    census.await_nest();
    let guard = gateway.guard;
    signal(gateway.pid, Signal::STOP);
    signal(guard, Signal::KILL);
    gateway.kill();
    census.await_none();
    await_gone(guard);
}

#[test]
fn nothing_survives_gateway_and_guard_killed_at_once() {
    kill_both_at_once(None);
}

#[test]
fn nothing_survives_without_root_either() {
    // Only root can become somebody else; anybody else is unprivileged in the test above. The files must be reachable.
    if rustix::process::getuid().is_root() && reachable_for_others() {
        kill_both_at_once(Some(65_534));
    }
}

fn reachable_for_others() -> bool {
    let guard = std::path::Path::new(env!("CARGO_BIN_EXE_portcullis"));
    guard.ancestors().all(|path| {
        path.metadata()
            .is_ok_and(|metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 1 == 1)
    })
}

#[test]
fn a_killed_init_takes_all_with_it() {
    let census = Census::new();
    let Some(gateway) = Gateway::start(&census, "apart", None, NEST) else {
        return;
    };
    let init = census::parent(gateway.server).expect("init");
    assert_ne!(init, gateway.guard);
    signal(init, Signal::KILL);
    census.await_none();
    await_gone(gateway.guard);
    gateway.kill();
}
