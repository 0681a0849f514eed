//! Processes as `/proc` shows them: who descends from whom, and what each holds.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process, pidfd_open, setrlimit,
};

/// One process, told apart from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pid: u32,
    /// Clock ticks between the machine's start and the process's.
    started: u64,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Kernel threads.
    pub(crate) threads: usize,
    /// Resident memory in bytes, pages shared with others counted in part.
    pub(crate) memory: u64,
}

struct Stat {
    parent: u32,
    started: u64,
    is_zombie: bool,
}

impl Process {
    /// Returns the living process with this number.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self {
            pid,
            started: stat.started,
        })
    }

    /// Returns its number.
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// Tells whether it runs; one that has ended and waits for its parent does not.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.is_zombie)
    }

    /// Returns its children, their children and so on, zombies included.
    pub(crate) fn descendants(self) -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("this is Linux").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let table: HashMap<u32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
        let mut found = vec![self];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            let children = table.iter().filter(|(_, stat)| stat.parent == parent.pid);
            found.extend(children.map(|(&pid, stat)| Self {
                pid,
                started: stat.started,
            }));
            next += 1;
        }
        found.split_off(1)
    }

    /// Sends it a signal, unless it is gone.
    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may end between the look and the signal; that is what the caller wants anyway.
            let _ = kill_process(self.number(), signal);
        }
    }

    /// Waits for its end, whoever its parent is; tells whether it ended within the limit.
    pub(crate) fn ends_within(self, limit: Duration) -> bool {
        let Ok(handle) = pidfd_open(self.number(), PidfdFlags::empty()) else {
            return true;
        };
        if !self.is_alive() {
            return true;
        }
        let limit = Timespec::try_from(limit).expect("tests wait for minutes at most");
        let ready = retry_on_intr(|| poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)));
        ready.expect("a pidfd can be polled") > 0
    }

    /// Returns what it holds now; panics if it is gone.
    pub(crate) fn footprint(self) -> Footprint {
        let count = |what: &str| {
            let entries = fs::read_dir(format!("/proc/{}/{what}", self.pid));
            entries
                .unwrap_or_else(|error| panic!("process {} is gone: {error}", self.pid))
                .count()
        };
        Footprint {
            descriptors: count("fd"),
            threads: count("task"),
            memory: self.memory(),
        }
    }

    fn memory(self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("no memory figures of process {}", self.pid)) * 1024
    }

    fn number(self) -> Pid {
        let raw = i32::try_from(self.pid).expect("process numbers fit");
        Pid::from_raw(raw).expect("a process number is not zero")
    }
}

/// Lets this process open as many descriptors as it may be allowed; what it starts afterwards inherits that.
///
/// # Panics
/// If that is fewer than `needed`.
pub(crate) fn raise_descriptor_limit(needed: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} descriptors are needed, not {maximum:?}"
    );
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .expect("the soft limit may be raised");
}

/// Reads `/proc/PID/stat`; the fields are counted after the command's closing parenthesis.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[test]
fn a_child_is_seen_until_it_is_reaped() {
    let me = Process::find(std::process::id()).expect("the test runs");
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("cat");
    let seen = Process::find(child.id()).expect("it waits for input");
    assert!(seen.is_alive() && me.descendants().contains(&seen));
    assert!(
        !seen.ends_within(Duration::from_millis(1)),
        "nobody has told it to end"
    );
    seen.signal(Signal::TERM);
    assert!(seen.ends_within(Duration::from_secs(10)));
    assert!(!seen.is_alive(), "a zombie does not live");
    assert!(me.descendants().contains(&seen), "but it has not been reaped");
    child.wait().expect("it has ended");
    assert!(!me.descendants().contains(&seen));
}

#[test]
fn a_footprint_counts_descriptors_and_memory() {
    let me = Process::find(std::process::id()).expect("the test runs");
    let held: Vec<_> = (0..300)
        .map(|_| fs::File::open("/dev/null").expect("it is there"))
        .collect();
    let memory = vec![1_u8; 64 << 20];
    let footprint = me.footprint();
    assert!(
        footprint.descriptors >= held.len() && footprint.threads >= 1,
        "{footprint:?}"
    );
    assert!(
        footprint.memory >= std::hint::black_box(&memory).len() as u64,
        "{footprint:?}"
    );
}
