//! Processes that the mock leaves around, for tests of what a supervisor ends, and its deafness to SIGTERM.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::noise;
use super::options::{IdleKind, MockOptions};

/// A descendant that is forgotten by everyone still ends, after this.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// Starts what the options ask for and returns the pids. They are also written to standard error.
///
/// # Errors
/// If a process cannot be started.
pub(crate) fn start(options: &MockOptions) -> io::Result<Vec<u32>> {
    let wanted = [
        (options.grandchild, IdleKind::Grandchild),
        (options.daemon, IdleKind::Daemon),
    ];
    let mut pids = Vec::new();
    for (_, kind) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        let child = spawn(kind, options)?;
        let name = name_of(kind);
        noise::say(&format!("mock-server: {name} pid {}", child.id()));
        pids.push(child.id());
    }
    Ok(pids)
}

/// What such a process does: nothing, for an hour.
pub(crate) fn idle(kind: IdleKind) {
    if kind == IdleKind::Daemon {
        leave_session();
    }
    noise::say("ready");
    std::thread::sleep(IDLE_MAX);
}

/// Starts the descendant and waits until it is what it is to be: deaf, or in a session of its own.
fn spawn(kind: IdleKind, options: &MockOptions) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["mock-server", "--idle", name_of(kind)]);
    if options.ignore_sigterm {
        command.arg("--ignore-sigterm");
    }
    let stdout = if kind == IdleKind::Daemon {
        Stdio::inherit()
    } else {
        Stdio::null()
    };
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stderr = child
        .stderr
        .take()
        .expect("standard error was asked for as a pipe");
    BufReader::new(stderr).read_line(&mut String::new())?;
    Ok(child)
}

const fn name_of(kind: IdleKind) -> &'static str {
    match kind {
        IdleKind::Grandchild => "grandchild",
        IdleKind::Daemon => "daemon",
    }
}

#[cfg(unix)]
fn leave_session() {
    // It fails for the leader of a group only, and a child of the mock leads none.
    let _ = rustix::process::setsid();
}

#[cfg(not(unix))]
fn leave_session() {}

/// Ignores SIGTERM from now on.
///
/// # Errors
/// If the handler cannot be installed.
#[cfg(unix)]
pub(crate) fn ignore_sigterm() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _context = runtime.enter();
        signal(SignalKind::terminate())?
    };
    std::thread::Builder::new()
        .name("sigterm".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                while signals.recv().await.is_some() {
                    noise::say("mock-server: SIGTERM ignored");
                }
            });
        })?;
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn ignore_sigterm() -> io::Result<()> {
    Ok(())
}
