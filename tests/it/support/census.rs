//! Counting processes: those whose environment carries a mark of the test, and the relatives of a pid.

use std::{
    ffi::OsString,
    fs,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Marks processes through their environment and finds them again, wherever they went.
pub(crate) struct Census {
    mark: String,
}

impl Census {
    pub(crate) fn new() -> Self {
        Self::with_mark(uuid::Uuid::new_v4().to_string())
    }

    pub(crate) fn with_mark(mark: String) -> Self {
        Self { mark }
    }

    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    pub(crate) fn variable(&self) -> (OsString, OsString) {
        ("MARK".into(), self.mark.clone().into())
    }

    /// The marked processes that run. A zombie has no environment any more and does not count.
    pub(crate) fn alive(&self) -> Vec<u32> {
        let wanted = format!("MARK={}", self.mark);
        let marked = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted.as_bytes())
        };
        pids().filter(marked).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.alive().len()
    }

    /// Waits until the shell of a nest and its three children run. In the middle of an exec a process shows no mark.
    #[track_caller]
    pub(crate) fn await_nest(&self) {
        until(|| self.count() >= 4);
    }

    /// Waits until no marked process runs.
    #[track_caller]
    pub(crate) fn await_none(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(pid) = self.alive().first() {
            await_end(*pid, deadline);
        }
    }
}

/// Waits for the end of a process.
#[track_caller]
pub(crate) fn await_gone(pid: u32) {
    await_end(pid, Instant::now() + PATIENCE);
}

#[track_caller]
fn await_end(pid: u32, deadline: Instant) {
    let Ok(pidfd) = pidfd_open(pid_of(pid), PidfdFlags::empty()) else {
        return;
    };
    let rest = deadline.saturating_duration_since(Instant::now());
    let limit = Timespec::try_from(rest).expect("seconds fit");
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).expect("a pidfd can be polled");
    assert!(
        ended == 1,
        "{pid} is left: {:?}",
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
    );
}

/// Waits for something that announces itself in no way.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen");
        std::thread::yield_now();
    }
}

pub(crate) fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("a pid is positive")
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The parent of a process that runs or waits to be reaped.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

/// The session of a process, as the number of its leader.
pub(crate) fn session(pid: u32) -> Option<u32> {
    let session = rustix::process::getsid(Some(pid_of(pid))).ok()?;
    Some(session.as_raw_pid().cast_unsigned())
}

/// The children of a process, zombies included.
pub(crate) fn children(of: u32) -> Vec<u32> {
    pids().filter(|pid| parent(*pid) == Some(of)).collect()
}
