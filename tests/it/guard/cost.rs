//! What a guard costs: time at the start, memory while the server runs.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use portcullis::upstream::launch::{Launch, LaunchSpec};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{
    census::{self, Census},
    guarded, line, shell,
};

const STARTS: usize = 100;
const GUARDS: usize = 20;
/// What a guard may hold for itself, in KiB. Nearly all of it are the pages of the program that the loader relocates, and
/// that grow with the program; a runtime, a thread or the gateway's tables would come on top.
const PRIVATE_MAX: u64 = 4096;
/// How much later a server may speak because of its guard; far above what is measured.
const DELAY_MAX: Duration = Duration::from_millis(50);

/// Says what was measured, past the harness's capture.
fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "guard: {text}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Starts a shell without a guard; returns when it had said its first word.
async fn start_bare(spec: &LaunchSpec) -> Duration {
    let began = Instant::now();
    let mut child = Command::new(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    let mut word = [0; 3];
    let stdout = child.stdout.as_mut().expect("it was piped");
    stdout.read_exact(&mut word).await.expect("it speaks");
    let spoke = began.elapsed();
    drop(child.stdin.take());
    child.wait().await.expect("it ends");
    spoke
}

/// One after the other and interleaved, so that both see the same machine.
#[tokio::test]
async fn a_start_takes_a_moment_longer() {
    let census = Census::new();
    let (launch, spec) = (guarded(), shell(&census, "echo up; exec cat"));
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut launched = launch.launch(&spec).await.expect("it starts");
        assert_eq!(line(&mut launched).await, "up");
        with.push(began.elapsed());
        drop(launched.stdin);
        launched.process.wait().await;
        without.push(start_bare(&spec).await);
    }
    let (with, without) = (median(with), median(without));
    report(&format!(
        "a server speaks after {with:?}, without a guard after {without:?} (medians of {STARTS})"
    ));
    assert!(with < without + DELAY_MAX, "{with:?} instead of {without:?}");
}

/// Returns the kibibytes of these fields of `smaps_rollup`, added up.
fn memory(pid: u32, fields: &[&str]) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the guard runs");
    let amounts = rollup.lines().filter_map(|line| {
        let (field, amount) = line.split_once(':')?;
        let amount = amount.trim().strip_suffix(" kB")?;
        fields.contains(&field).then(|| amount.parse::<u64>().ok())?
    });
    amounts.sum()
}

#[tokio::test]
async fn a_guard_holds_little() {
    let census = Census::new();
    let (launch, spec) = (guarded(), shell(&census, "echo up; exec cat"));
    let mut servers = Vec::new();
    for _ in 0..GUARDS {
        let mut launched = launch.launch(&spec).await.expect("it starts");
        assert_eq!(line(&mut launched).await, "up");
        servers.push(launched);
    }
    let guards = servers.iter().map(|server| {
        census::parent(server.process.pid().expect("it is a process")).expect("it has a guard")
    });
    let (private, proportional): (Vec<u64>, Vec<u64>) = guards
        .map(|guard| {
            let private = memory(guard, &["Private_Clean", "Private_Dirty"]);
            (private, memory(guard, &["Pss"]))
        })
        .unzip();
    let most = private.iter().max().copied().unwrap_or_default();
    report(&format!(
        "{GUARDS} guards hold {} KiB of their own, {} KiB with their share of what is common; the largest {most} KiB",
        private.iter().sum::<u64>(),
        proportional.iter().sum::<u64>()
    ));
    assert!(most < PRIVATE_MAX, "{private:?} KiB");
}
