//! A PID namespace for the child, with a tiny init in it.
//!
//! The guard leaves its own PID namespace for the processes that it will fork; the first of them is pid 1 of the new
//! one. That is not the server, which would have to reap orphans and would not hear SIGTERM without a handler, but a
//! copy of the guard that starts the server, reaps, and ends what is left. Should it die, the kernel kills the rest.

use std::{
    fs,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use rustix::{
    process::{
        Pid, PidfdFlags, Signal, getgid, getpid, getuid, kill_process_group, pidfd_open, pidfd_send_signal,
        set_parent_process_death_signal,
    },
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    Exit,
    descendants::{Descendants, child_in_namespace},
    guard::start_program,
    link::Ends,
    signals::{self, Fork},
    wire::{Order, RECORD, Report, Stage},
};

/// The running init, from outside.
#[derive(Debug)]
pub(super) struct Init {
    /// Its pid here.
    pub(super) pid: Pid,
    /// The server's pid here, which is also its group's.
    pub(super) server: Pid,
    server_fd: OwnedFd,
    reports: UnixStream,
}

/// What a call that may fork came back as.
pub(super) enum Entered {
    /// This is the guard still.
    Guard(Result<Init, Report>),
    /// This was the init, whose work is done: leave `main`.
    InitDone,
}

/// Makes the namespace and starts the order's program in it.
pub(super) fn enter(order: &Order, ends: Ends) -> Entered {
    let failed =
        |stage| move |error: io::Error| Report::Failed(stage, error.raw_os_error().unwrap_or(libc::EIO));
    let forked = unshare_pids().and_then(|()| {
        let (outside, inside) = UnixStream::pair()?;
        // SAFETY: the guard has one thread.
        Ok((unsafe { signals::fork() }?, outside, inside))
    });
    match forked {
        Err(error) => Entered::Guard(Err(failed(Stage::Namespace)(error))),
        Ok((Fork::Child, outside, inside)) => {
            drop(outside);
            run_init(order, ends, inside);
            Entered::InitDone
        }
        Ok((Fork::Parent(pid), outside, inside)) => {
            drop((inside, ends));
            let greeted = greet(pid, outside);
            Entered::Guard(greeted.unwrap_or_else(|error| Err(failed(Stage::Namespace)(error))))
        }
    }
}

/// Leaves the PID namespace for coming children: as root directly, otherwise with a user namespace around it in which
/// the user and group stay who they are.
fn unshare_pids() -> io::Result<()> {
    // SAFETY: no descriptor table is unshared.
    match unsafe { unshare_unsafe(UnshareFlags::NEWPID) } {
        Err(rustix::io::Errno::PERM) => {}
        other => return Ok(other?),
    }
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: as above.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWPID) }?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// The guard's part of the start: learns the server's pid as it is here and lets init go on.
fn greet(pid: Pid, mut reports: UnixStream) -> io::Result<Result<Init, Report>> {
    let inner = match read_report(&mut reports)? {
        Report::Started(inner) => inner,
        failed => return Ok(Err(failed)),
    };
    // Init waits for our word before it reaps, so the server is there to be found even if it has ended already.
    let server = child_in_namespace(pid, inner)?.ok_or(io::ErrorKind::NotFound)?;
    let server_fd = pidfd_open(server, PidfdFlags::empty())?;
    reports.write_all(&[0])?;
    Ok(Ok(Init {
        pid,
        server,
        server_fd,
        reports,
    }))
}

fn read_report(mut reports: impl Read) -> io::Result<Report> {
    let mut record = [0; RECORD];
    reports.read_exact(&mut record)?;
    Report::decode(record).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Init {
    /// Kills the server, upon which init ends the rest and itself. Init may have reaped it: its number means nothing.
    pub(super) fn kill_server(&self) {
        let _ = pidfd_send_signal(&self.server_fd, Signal::KILL);
    }

    /// What init said of the server's end before its own; if it was killed first, the server was killed with it.
    pub(super) fn last_words(&mut self) -> (Exit, u32) {
        match read_report(&mut self.reports) {
            Ok(Report::Ended(exit, stragglers, _)) => (exit, stragglers),
            _ => (Exit::Signal(Signal::KILL.as_raw()), 0),
        }
    }
}

/// Pid 1 of the namespace. Errors here mean that the guard is gone, and then so is init a moment later.
fn run_init(order: &Order, ends: Ends, mut reports: UnixStream) {
    // The guard's death kills init; had it died before this call, the word below would never come.
    if set_parent_process_death_signal(Some(Signal::KILL)).is_err() || getpid() != Pid::INIT {
        return;
    }
    let server = match start_program(order, ends) {
        Ok(server) => server,
        Err(report) => return drop(reports.write_all(&report.encode())),
    };
    let started = Report::Started(server.as_raw_pid().cast_unsigned());
    if reports.write_all(&started.encode()).is_err() || reports.read_exact(&mut [0]).is_err() {
        return;
    }
    let mut descendants = Descendants::led_by(server);
    descendants.reap_all(true);
    descendants.begin_end();
    // As pid 1, checked above, we reach with this everything in our own namespace except ourselves, and nothing else.
    debug_assert_eq!(getpid(), Pid::INIT, "only the init of a namespace may do this");
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    descendants.reap_all(false);
    let exit = descendants.leader_exit().unwrap_or(Exit::Unknown);
    let _ = reports.write_all(&Report::Ended(exit, descendants.killed(), 0).encode());
}
