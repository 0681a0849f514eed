//! A gateway to be killed: this test binary again, with one test that then plays the gateway.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use portcullis::upstream::launch::{Launch, LaunchError, PidNamespace, become_subreaper};
use rustix::process::{Signal, kill_process};

use super::{
    census::{Census, children, pid_of},
    guarded, line, shell, start,
};

const ROLE: &str = "PORTCULLIS_TEST_GATEWAY";

/// A gateway in a process of its own, with one server under one guard.
pub(super) struct Gateway {
    process: Child,
    _stdin: ChildStdin,
    pub(super) pid: u32,
    pub(super) server: u32,
    pub(super) guard: u32,
}

impl Gateway {
    /// Starts a gateway that runs `script`; without root rights if `user` says so. None where namespaces are refused.
    pub(super) fn start(census: &Census, namespace: &str, user: Option<u32>, script: &str) -> Option<Self> {
        let mut command = command(&format!("{namespace} {} {script}", census.mark()));
        if let Some(user) = user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        let mut process = command.spawn().expect("the test binary starts");
        let stdin = process.stdin.take().expect("it was piped");
        let stdout = BufReader::new(process.stdout.take().expect("it was piped"));
        let says = |line: String| line.split_once("gateway: ").map(|(_, word)| word.to_owned());
        let word = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(says)
            .expect("the gateway speaks");
        let Ok(server) = word.parse() else {
            assert_eq!(word, "no namespace");
            process.wait().expect("it ends");
            return None;
        };
        let [guard] = children(process.id())[..] else {
            panic!("the gateway has one child, the guard")
        };
        Some(Self {
            pid: process.id(),
            process,
            _stdin: stdin,
            server,
            guard,
        })
    }

    /// Kills the gateway and waits until it has ended.
    pub(super) fn kill(mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
    }
}

pub(super) fn signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).expect("the process is there and ours");
}

fn command(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args([
        "--exact",
        "guard::helper::play_the_gateway",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Plays the gateway if this process was started as one, and is a test of nothing otherwise.
#[tokio::test]
async fn play_the_gateway() {
    let Ok(role) = env::var(ROLE) else { return };
    let mut parts = role.splitn(3, ' ').map(str::to_owned);
    let (namespace, mark, script) = (parts.next(), parts.next(), parts.next());
    let census = Census::with_mark(mark.expect("a mark"));
    become_subreaper().expect("a subreaper");
    let script = script.expect("a script");
    match namespace.as_deref() {
        Some("churn") => return churn(&census, &script).await,
        Some("closed") => return without_standard_streams(&census, &script).await,
        _ => {}
    }
    let mut spec = shell(&census, &script);
    spec.pid_namespace = if namespace.as_deref() == Some("apart") {
        PidNamespace::Required
    } else {
        PidNamespace::Off
    };
    let mut launched = match guarded().launch(&spec).await {
        Err(LaunchError::Namespace { .. }) => return say("no namespace"),
        launched => launched.expect("it starts"),
    };
    line(&mut launched).await;
    say(&launched.process.pid().expect("it is a process").to_string());
    // Until the test lets go of us, or kills us.
    let asleep = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    asleep.await.expect("no panic").expect("end of file");
}

fn say(word: &str) {
    writeln!(std::io::stdout(), "\ngateway: {word}").expect("the test listens");
}

/// Starts and ends many servers, then compares descriptors and children.
async fn churn(census: &Census, script: &str) {
    let descriptors = || {
        std::fs::read_dir("/proc/self/fd")
            .expect("/proc is there")
            .count()
    };
    let run = async || {
        let mut launched = start(&shell(census, script)).await;
        launched.process.wait().await
    };
    run().await;
    super::census::until(|| children(std::process::id()).is_empty());
    let before = descriptors();
    for round in 0..200 {
        if round % 2 == 0 {
            run().await;
        } else {
            drop(start(&shell(census, script)).await);
        }
    }
    // The keeper may have held the first guard a moment longer when `before` was counted.
    super::census::until(|| children(std::process::id()).is_empty() && descriptors() <= before);
    say(&std::process::id().to_string());
}

/// Closes descriptors 0 to 2, which then become anything, and starts a server.
async fn without_standard_streams(census: &Census, script: &str) {
    let told = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 10).expect("a copy");
    for descriptor in 0..3 {
        // SAFETY: nobody in this process owns the standard streams; they are never closed by an owner.
        unsafe { rustix::io::close(descriptor) };
    }
    let mut launched = start(&shell(census, script)).await;
    let line = line(&mut launched).await;
    let end = launched.process.wait().await;
    drop(launched);
    let verdict = format!("\ngateway: {line}, {end}\n");
    rustix::io::write(&told, verdict.as_bytes()).expect("the test listens");
    // The descriptors that the test harness would print to are not its own any more.
    kill_process(rustix::process::getpid(), Signal::KILL).expect("it is us");
}

fn word_of(role: &str) -> String {
    let output = command(role)
        .stdin(Stdio::null())
        .output()
        .expect("the test binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.lines().find_map(|line| line.strip_prefix("gateway: "));
    word.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
        .to_owned()
}

#[test]
fn two_hundred_servers_leave_no_descriptor_and_no_zombie() {
    let census = Census::new();
    word_of(&format!(
        "churn {} sleep 1000 & setsid sleep 1000 & exit 0",
        census.mark()
    ));
    census.await_none();
}

#[test]
fn a_gateway_without_standard_streams_works() {
    let census = Census::new();
    let word = word_of(&format!(
        "closed {} echo well; sleep 1000 & exit 4",
        census.mark()
    ));
    assert_eq!(word, "well, exit status 4, 1 left behind and killed");
    census.await_none();
}
