//! Finding and ending what descends from a process.
//!
//! Only *children* are ever killed by number, never deeper descendants: a child that nobody but us can reap keeps its
//! pid, so the number cannot have passed to a stranger. When a child dies, its own children become ours, because we are
//! a child subreaper; round by round nothing is left. A process that left its group or session is still a descendant.
//! Parents before children also keeps the count exact: a killed parent can no longer reap what is killed after it.
//!
//! Whoever forks and exits faster than a listing takes is caught by its group, after some rounds. One that also starts
//! a new session each time outruns any listing: for that there is the PID namespace.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, WaitStatus, getpgrp, getpid, kill_process, kill_process_group, wait,
    },
};

use super::{Exit, signals::SignalFd};

/// How long killed processes may take to vanish.
pub(super) const SWEEP_LIMIT: Duration = Duration::from_secs(10);
/// How long a round waits: an orphan's becoming ours is announced by nothing.
pub(super) const SWEEP_ROUND: Duration = Duration::from_millis(5);

/// Rounds after which the groups of children are killed too.
const PATIENT_ROUNDS: u32 = 10;

/// A child and the process group that it is in. Until the child is reaped, both numbers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relative {
    pub(super) pid: Pid,
    pub(super) group: Option<Pid>,
}

impl Relative {
    /// Kills it; with its whole group in a later `round`, unless that is our own group.
    pub(super) fn kill(self, round: u32) {
        // Refused only for another user's process, which then counts as a survivor.
        let _ = kill_process(self.pid, Signal::KILL);
        if let Some(group) = self
            .group
            .filter(|group| round >= PATIENT_ROUNDS && *group != getpgrp())
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The children of `parent`, zombies included, as `/proc` shows them.
pub(super) fn children_of(parent: Pid) -> io::Result<Vec<Relative>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        // A process that ended since the listing has no file any more.
        let Some((pid, stat)) = pid.and_then(|pid| Some((pid, fs::read(stat_path(pid)).ok()?))) else {
            continue;
        };
        if let Some((of, group)) = parent_and_group(&stat)
            && of == parent.as_raw_pid()
        {
            children.push(Relative {
                pid,
                group: Pid::from_raw(group),
            });
        }
    }
    Ok(children)
}

fn stat_path(pid: Pid) -> String {
    format!("/proc/{}/stat", pid.as_raw_pid())
}

/// Parent and group in the text of a `stat` file. The name in parentheses may hold anything, so the last `)` counts.
fn parent_and_group(stat: &[u8]) -> Option<(i32, i32)> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[name_end + 1..])
        .ok()?
        .split_ascii_whitespace()
        .skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The child of `init` that is number `inner` in the PID namespace of `init`.
pub(super) fn child_in_namespace(init: Pid, inner: u32) -> io::Result<Option<Pid>> {
    let inner = inner.to_string();
    Ok(children_of(init)?.into_iter().map(|child| child.pid).find(|pid| {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.and_then(|numbers| numbers.split_ascii_whitespace().last()) == Some(&inner)
    }))
}

/// How a process that was waited for ended.
pub(super) fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (_, Some(signal)) => Exit::Signal(signal),
        _ => Exit::Unknown,
    }
}

/// Whether a process waits to be reaped or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There is at least one child.
    Some,
    /// There is none, and therefore no descendant either.
    None,
}

/// The descendants of this single-threaded process, which is their subreaper: reaps all of them, ends all of them.
#[derive(Debug)]
pub(super) struct Descendants {
    leader: Pid,
    leader_exit: Option<Exit>,
    killed: u32,
    ending: bool,
}

impl Descendants {
    /// Descendants of which `leader` is the one whose end matters.
    pub(super) fn led_by(leader: Pid) -> Self {
        Self {
            leader,
            leader_exit: None,
            killed: 0,
            ending: false,
        }
    }

    /// How the leader ended, if it has.
    pub(super) fn leader_exit(&self) -> Option<Exit> {
        self.leader_exit
    }

    /// How many others than the leader were killed since the end began.
    pub(super) fn killed(&self) -> u32 {
        self.killed
    }

    /// Marks the moment from which a killed process counts as one that we killed.
    pub(super) fn begin_end(&mut self) {
        self.ending = true;
    }

    /// Reaps every child that has ended, without waiting.
    pub(super) fn reap(&mut self) -> Left {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.note(pid, exit_of(status)),
                Ok(None) => return Left::Some,
                Err(Errno::INTR) => {}
                Err(_) => return Left::None,
            }
        }
    }

    /// Reaps every child, waiting until there is none or, if so chosen, until the leader has ended.
    pub(super) fn reap_all(&mut self, until_leader: bool) {
        while !(until_leader && self.leader_exit.is_some()) {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => self.note(pid, exit_of(status)),
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn note(&mut self, pid: Pid, exit: Exit) {
        if pid == self.leader {
            self.leader_exit = Some(exit);
        } else if self.ending && exit == Exit::Signal(Signal::KILL.as_raw()) {
            self.killed += 1;
        }
    }

    /// Kills until nothing is left or [`SWEEP_LIMIT`] is over; returns how many children are left.
    pub(super) fn end_all(&mut self, signals: &SignalFd) -> u32 {
        self.begin_end();
        let deadline = Instant::now() + SWEEP_LIMIT;
        for round in 0.. {
            if self.reap() == Left::None {
                return 0;
            }
            let children = children_of(getpid()).unwrap_or_else(|_| {
                vec![Relative {
                    pid: self.leader,
                    group: None,
                }]
            });
            if Instant::now() > deadline {
                return u32::try_from(children.len()).unwrap_or(u32::MAX);
            }
            children.into_iter().for_each(|child| child.kill(round));
            wait_for(signals, SWEEP_ROUND);
        }
        unreachable!("the deadline comes before the rounds run out")
    }
}

/// Waits for a signal, for at most `limit`.
pub(super) fn wait_for(signals: &SignalFd, limit: Duration) {
    let limit = Timespec::try_from(limit).expect("our limits are seconds");
    let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], Some(&limit));
    signals.drain();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_behind_a_hostile_name() {
        assert_eq!(parent_and_group(b"42 (cat) S 7 41 42 0"), Some((7, 41)));
        assert_eq!(parent_and_group(b"42 (a) S 1 (b) R 7 41 42"), Some((7, 41)));
        assert_eq!(parent_and_group(b"42 (cat)"), None);
        assert_eq!(parent_and_group(b""), None);
    }
}
