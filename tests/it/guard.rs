//! Real programs under the guard: what arrives, what is told, and that nothing is left.

mod apart;
mod cost;
mod helper;
mod killed;

use std::{ffi::OsString, os::unix::fs::PermissionsExt};

use crate::support::census::{self, Census};
use portcullis::upstream::launch::{Exit, GuardedLaunch, Launch, LaunchError, LaunchSpec, Launched};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// A process in the group, one in another session, and a daemon that forked twice; all of them hold the pipes.
const NEST: &str = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & exit' &) ; echo up; wait";

fn guarded() -> GuardedLaunch {
    GuardedLaunch::with_guard(env!("CARGO_BIN_EXE_portcullis")).expect("the keeper starts")
}

/// A specification of a shell that runs `script`, marked for `census`.
fn shell(census: &Census, script: &str) -> LaunchSpec {
    let mut spec = LaunchSpec::new("sh");
    spec.args = vec!["-c".into(), script.into()];
    spec.env = vec![
        ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
        census.variable(),
    ];
    spec
}

async fn start(spec: &LaunchSpec) -> Launched {
    guarded().launch(spec).await.expect("it starts")
}

/// Reads the next line of the child.
async fn line(launched: &mut Launched) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while launched.stdout.read(&mut byte).await.expect("it can be read") == 1 && byte[0] != b'\n' {
        line.push(char::from(byte[0]));
    }
    line
}

async fn rest(launched: &mut Launched) -> String {
    let mut text = String::new();
    launched
        .stdout
        .read_to_string(&mut text)
        .await
        .expect("it can be read");
    text
}

#[tokio::test]
async fn the_three_pipes_reach_the_child() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "cat; echo complaint >&2; exit 7")).await;
    launched.stdin.write_all(b"hello").await.expect("the child reads");
    drop(launched.stdin);
    let (mut out, mut complaint) = (String::new(), String::new());
    launched
        .stdout
        .read_to_string(&mut out)
        .await
        .expect("end of file");
    launched
        .stderr
        .read_to_string(&mut complaint)
        .await
        .expect("end of file");
    assert_eq!((out.as_str(), complaint.as_str()), ("hello", "complaint\n"));
    let end = launched.process.wait().await;
    assert_eq!((end.exit, end.stragglers, end.survivors), (Exit::Code(7), 0, 0));
    assert_eq!(
        launched.process.wait().await,
        end,
        "a later wait returns the same"
    );
    census.await_none();
}

#[tokio::test]
async fn megabytes_pass_in_both_directions() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "exec cat")).await;
    let sent: Vec<u8> = (0..16_u32 << 20)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut received = Vec::new();
    let mut stdin = launched.stdin;
    let write = async {
        stdin.write_all(&sent).await.expect("the child reads");
        drop(stdin);
    };
    let (read, ()) = tokio::join!(launched.stdout.read_to_end(&mut received), write);
    read.expect("end of file");
    assert!(
        received == sent,
        "{} bytes came back other than sent",
        received.len()
    );
    assert_eq!(launched.process.wait().await.exit, Exit::Code(0));
}

#[tokio::test]
async fn the_child_starts_clean() {
    let census = Census::new();
    // What this process forgot to mark must not come through either.
    let forgotten = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
    let _forgotten = forgotten.expect("it is there");
    let script = "for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; grep -E '^Sig(Blk|Ign)' /proc/self/status; \
                  read -r _ _ _ _ group _ < /proc/self/stat; [ $group = $$ ] && echo leads";
    let mut launched = start(&shell(&census, script)).await;
    let zero = "0".repeat(16);
    assert_eq!(
        rest(&mut launched).await,
        format!("0\n1\n2\nSigBlk:\t{zero}\nSigIgn:\t{zero}\nleads\n")
    );
    let mut environment = shell(&census, "");
    environment.program = "/usr/bin/env".into();
    environment.args.clear();
    let mut launched = start(&environment).await;
    let (name, mark) = census.variable();
    let shown = rest(&mut launched).await;
    let mut shown: Vec<_> = shown.lines().collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            &*format!("{}={}", name.display(), mark.display()),
            "PATH=/usr/local/bin:/usr/bin:/bin"
        ]
    );
    environment.cwd = Some("/usr".into());
    environment.program = "pwd".into();
    assert_eq!(rest(&mut start(&environment).await).await, "/usr\n");
}

#[tokio::test]
async fn the_guard_shows_no_secret_and_reaps_strangers() {
    let census = Census::new();
    // A hundred orphans that end by themselves while the server lives.
    let script = "i=0; while [ $i -lt 100 ]; do (true & ); i=$((i+1)); done; echo up; cat";
    let mut launched = start(&shell(&census, script)).await;
    assert_eq!(line(&mut launched).await, "up");
    let server = launched.process.pid().expect("it is a process");
    let guard = census::parent(server).expect("the server runs");
    let shown = std::fs::read(format!("/proc/{guard}/cmdline")).expect("the guard runs");
    assert_eq!(String::from_utf8_lossy(&shown), "portcullis\0__guard\0");
    assert!(
        std::fs::read(format!("/proc/{guard}/environ"))
            .expect("the guard runs")
            .is_empty()
    );
    assert_eq!(
        census::session(server),
        Some(guard),
        "no terminal is within reach of the server"
    );
    census::until(|| census::children(guard) == [server]);
    drop(launched.stdin);
    let end = launched.process.wait().await;
    assert_eq!(
        (end.exit, end.stragglers),
        (Exit::Code(0), 0),
        "what ended by itself is no straggler"
    );
}

#[tokio::test]
async fn killing_a_wrapper_kills_all_that_descends_from_it() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "sleep 1000 & echo up; wait")).await;
    assert_eq!(line(&mut launched).await, "up");
    launched.process.kill();
    let end = launched.process.wait().await;
    assert_eq!(end.to_string(), "killed by SIGKILL, 1 left behind and killed");
    assert_eq!(rest(&mut launched).await, "", "nobody holds the pipe");
    census.await_none();
    let mut launched = start(&shell(&census, NEST)).await;
    assert_eq!(line(&mut launched).await, "up");
    census.await_nest();
    launched.process.kill();
    let end = launched.process.wait().await;
    assert_eq!((end.exit, end.survivors), (Exit::Signal(9), 0));
    assert!(end.stragglers >= 3, "{end}");
    assert_eq!(census.count(), 0, "nothing is left when the wait is over");
}

#[tokio::test]
async fn what_a_child_leaves_behind_ends_with_it() {
    for (left, script) in [
        ("in the group", "sleep 1000 & echo up; exit 3"),
        ("in a session of its own", "setsid sleep 1000 & echo up; exit 3"),
        (
            "a daemon",
            "(setsid sh -c 'sleep 1000 & echo up; exit' &); exit 3",
        ),
    ] {
        let census = Census::new();
        let mut launched = start(&shell(&census, script)).await;
        let end = launched.process.wait().await;
        assert_eq!((end.exit, end.survivors), (Exit::Code(3), 0), "{left}");
        assert!(end.stragglers >= 1, "{left}: {end}");
        assert_eq!(census.count(), 0, "{left}");
        rest(&mut launched).await;
    }
}

#[tokio::test]
async fn what_forks_and_exits_for_ever_is_caught() {
    let census = Census::new();
    let mut launched = start(&shell(
        &census,
        "hop() { hop & exit 0; }; echo up; hop & wait; sleep 1000",
    ))
    .await;
    assert_eq!(line(&mut launched).await, "up");
    launched.process.kill();
    let end = launched.process.wait().await;
    assert_eq!((end.exit, end.survivors), (Exit::Signal(9), 0));
    assert_eq!(census.count(), 0);
}

#[tokio::test]
async fn a_request_to_end_is_heard_or_ignored() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "echo up; exec sleep 1000")).await;
    line(&mut launched).await;
    launched.process.terminate();
    assert_eq!(launched.process.wait().await.to_string(), "killed by SIGTERM");
    let script = "trap 'echo ignored' TERM; echo up; while :; do read -r _ || sleep 1000 & wait; done";
    let mut launched = start(&shell(&census, script)).await;
    line(&mut launched).await;
    launched.process.terminate();
    assert_eq!(line(&mut launched).await, "ignored");
    launched.process.kill();
    assert_eq!(launched.process.wait().await.exit, Exit::Signal(9));
    census.await_none();
}

#[tokio::test]
async fn a_wait_may_be_given_up_and_repeated() {
    let census = Census::new();
    let mut launched = start(&shell(&census, "cat")).await;
    for _ in 0..10 {
        tokio::select! { biased; end = launched.process.wait() => panic!("{end}"), () = tokio::task::yield_now() => {} }
    }
    drop(launched.stdin);
    assert_eq!(launched.process.wait().await.exit, Exit::Code(0));
}

#[tokio::test]
async fn dropping_the_handle_ends_everything() {
    let census = Census::new();
    let mut launched = start(&shell(&census, NEST)).await;
    line(&mut launched).await;
    drop(launched.process);
    let mut text = String::new();
    launched
        .stdout
        .read_to_string(&mut text)
        .await
        .expect("end of file");
    assert_eq!(text, "", "nobody holds the pipe");
    census.await_none();
}

#[tokio::test]
async fn many_start_at_once() {
    let census = Census::new();
    let launch = guarded();
    let spec = shell(&census, "read -r line; echo $line; sleep 1000 & exit 5");
    let runs = (0..100).map(|number| {
        let (launch, spec) = (&launch, &spec);
        async move {
            let mut launched = launch.launch(spec).await.expect("it starts");
            launched
                .stdin
                .write_all(format!("{number}\n").as_bytes())
                .await
                .expect("it reads");
            assert_eq!(line(&mut launched).await, number.to_string());
            let end = launched.process.wait().await;
            assert_eq!((end.exit, end.stragglers), (Exit::Code(5), 1));
        }
    });
    futures_util::future::join_all(runs).await;
    assert_eq!(census.count(), 0);
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let directory = std::env::temp_dir().join(format!("portcullis-guard-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&directory).expect("a directory");
    let script = |name: &str, text: &str, mode: u32| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        path.into_os_string()
    };
    let launch = guarded();
    let refusal = async |program: OsString, cwd: Option<&str>| {
        let spec = LaunchSpec {
            cwd: cwd.map(Into::into),
            ..LaunchSpec::new(program)
        };
        launch.launch(&spec).await.expect_err("it cannot start")
    };
    let missing = refusal("no-such-program".into(), None).await;
    assert!(
        matches!(&missing, LaunchError::NotFound { program } if program == "no-such-program"),
        "{missing:?}"
    );
    let orphaned = refusal(script("orphaned", "#!/no/such/interpreter\n", 0o755), None).await;
    assert!(matches!(orphaned, LaunchError::NotFound { .. }), "{orphaned:?}");
    let plain = refusal(script("plain", "#!/bin/sh\n", 0o644), None).await;
    assert!(matches!(plain, LaunchError::PermissionDenied { .. }), "{plain:?}");
    let nowhere = refusal("true".into(), Some("/no/such/directory")).await;
    assert!(matches!(nowhere, LaunchError::Cwd { .. }), "{nowhere:?}");
    let file = refusal("true".into(), Some("/etc/passwd")).await;
    assert!(matches!(file, LaunchError::Cwd { .. }), "{file:?}");
    let long = LaunchSpec {
        args: vec!["x".repeat(9 << 20).into()],
        ..LaunchSpec::new("true")
    };
    let long = launch.launch(&long).await.expect_err("the order's limit");
    assert!(matches!(long, LaunchError::Io { .. }), "{long:?}");
    let long = LaunchSpec {
        args: vec!["x".repeat(4 << 20).into()],
        ..LaunchSpec::new("true")
    };
    let long = launch.launch(&long).await.expect_err("the kernel's limit");
    assert!(matches!(long, LaunchError::Io { .. }), "{long:?}");
    std::fs::remove_dir_all(&directory).expect("it is ours");
}

#[tokio::test]
async fn a_program_that_is_no_guard_is_named() {
    for program in ["/bin/true", "/no/such/guard"] {
        let launch = GuardedLaunch::with_guard(program).expect("the keeper starts");
        let error = launch
            .launch(&LaunchSpec::new("true"))
            .await
            .expect_err("no guard");
        assert!(matches!(error, LaunchError::Guard { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_guard_started_by_hand_explains_itself() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("__guard")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("only when the gateway starts it"));
}

#[tokio::test]
async fn lines_come_through_a_buffered_reader() {
    let census = Census::new();
    let launched = start(&shell(&census, "echo one; echo two")).await;
    let mut lines = BufReader::new(launched.stdout).lines();
    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("one"));
    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("two"));
}
