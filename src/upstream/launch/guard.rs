//! The guard: our own program, executed again as a tiny process with one thread that watches over one child.
//!
//! A parent-death signal on the child alone keeps no promise: it is tied to the *thread* that spawned, and it is
//! cleared at fork, so the grandchildren of `npx` or `sh -c` live on. The guard therefore stands between. It is a child
//! subreaper, so whatever descends from the child becomes the guard's when it is orphaned, new sessions included. When
//! the child ends, when the gateway says so, or when the gateway is no more, the guard kills until nothing is left,
//! reports, and ends. It hands the three pipes to the child untouched and keeps no end of them.
//!
//! - The gateway killed: the socket reads end of file. Its parent-death signal is SIGCONT, so that even a guard that
//!   somebody stopped wakes up to see it.
//! - The guard killed: the child has a parent-death signal of SIGKILL towards the guard, which never moves to another
//!   thread since there is none; the gateway, itself a subreaper, ends the rest.
//! - Both killed in the same instant: only a PID namespace (`namespace.rs`) ends the grandchildren too.
//!
//! No runtime, no logging, no command line parser, and no signal that could end it but SIGKILL.

use std::{
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command as Program, ExitCode, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{
        Pid, Signal, chdir, getpid, getppid, kill_process_group, set_child_subreaper,
        set_parent_process_death_signal, setsid,
    },
};

use super::{
    Exit,
    descendants::{Descendants, Left, wait_for},
    link::{self, Ends},
    namespace::{self, Entered, Init},
    signals::{self, SignalFd},
    wire::{Command, Order, Report, Stage},
};

/// The first argument that makes this program a guard.
pub const GUARD_VERB: &str = "__guard";

/// How long the init of a namespace may take to tell how a killed server ended.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// The guard's `main`. Call it before anything else, when the first argument is [`GUARD_VERB`].
///
/// Standard input must be the socket that the gateway's side made. The exit code is 0 when nothing is left of the
/// child, and the gateway takes any other end of the guard as a reason to look for itself.
pub fn guard_main() -> ExitCode {
    // SAFETY: this is the first thing the process does, so nothing owns a descriptor from 3 up.
    unsafe { signals::close_inherited() };
    match Guard::prepare().and_then(Guard::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "the guard works only when the gateway starts it: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

struct Guard {
    link: UnixStream,
    signals: SignalFd,
    gateway: Option<Pid>,
}

/// What the guard waits for.
enum Event {
    /// A child ended, perhaps the one that matters.
    ChildEnded,
    /// The gateway said something.
    Said(Command),
    /// The gateway is gone or has let go.
    Abandoned,
}

/// The process whose end matters, and the group that commands go to.
struct Leader {
    pid: Pid,
    group: Pid,
    init: Option<Init>,
}

impl Guard {
    fn prepare() -> io::Result<Self> {
        signals::block_all()?;
        signals::reset_dispositions();
        let signals = SignalFd::new()?;
        let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let null = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        rustix::stdio::dup2_stdin(&null)?;
        set_child_subreaper(Some(Pid::INIT))?;
        set_parent_process_death_signal(Some(Signal::CONT))?;
        // Out of the terminal's reach: no ^C, and no child that stops to ask for a password.
        setsid()?;
        let _ = rustix::thread::set_name(c"portcullis-grd");
        Ok(Self {
            link,
            signals,
            gateway: getppid(),
        })
    }

    fn serve(mut self) -> io::Result<()> {
        let (order, ends) = link::receive_order(&self.link)?;
        let started = if order.namespace {
            match namespace::enter(&order, ends) {
                Entered::Guard(started) => started.map(|init| Leader {
                    pid: init.pid,
                    group: init.server,
                    init: Some(init),
                }),
                Entered::InitDone => return Ok(()),
            }
        } else {
            start_program(&order, ends).map(|pid| Leader {
                pid,
                group: pid,
                init: None,
            })
        };
        // The order holds secrets and is of no more use.
        drop(order);
        let _ = chdir("/");
        match started {
            Ok(leader) => self.watch(leader),
            Err(report) => {
                self.report(report);
                self.end_failed_start()
            }
        }
    }

    /// Nobody may be left of a start that failed, such as the init of a namespace that could not be found.
    fn end_failed_start(&self) -> io::Result<()> {
        survivors_are_errors(Descendants::led_by(Pid::INIT).end_all(&self.signals))
    }

    fn watch(&mut self, mut leader: Leader) -> io::Result<()> {
        self.report(Report::Started(leader.group.as_raw_pid().cast_unsigned()));
        let mut descendants = Descendants::led_by(leader.pid);
        loop {
            match self.next_event() {
                Event::ChildEnded => {
                    if descendants.reap() == Left::None || descendants.leader_exit().is_some() {
                        break;
                    }
                }
                // The leader is not reaped yet, so its group's number is still its own.
                Event::Said(Command::Terminate) => {
                    let _ = kill_process_group(leader.group, Signal::TERM);
                }
                Event::Said(Command::Kill) | Event::Abandoned => break,
            }
        }
        descendants.begin_end();
        if let Some(init) = &leader.init {
            init.kill_server();
            self.await_leader(&mut descendants);
        }
        let survivors = descendants.end_all(&self.signals);
        let (exit, inside) = match &mut leader.init {
            // An init that could not be killed could keep us waiting for ever.
            Some(init) if survivors == 0 => init.last_words(),
            _ => (descendants.leader_exit().unwrap_or(Exit::Unknown), 0),
        };
        self.report(Report::Ended(exit, descendants.killed() + inside, survivors));
        survivors_are_errors(survivors)
    }

    /// Waits for init, which reports how the server ended, for at most [`LAST_WORDS_LIMIT`].
    fn await_leader(&self, descendants: &mut Descendants) {
        let deadline = Instant::now() + LAST_WORDS_LIMIT;
        while descendants.reap() == Left::Some && descendants.leader_exit().is_none() {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                return;
            };
            wait_for(&self.signals, rest);
        }
    }

    fn next_event(&mut self) -> Event {
        loop {
            let mut sources = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.link, PollFlags::IN),
            ];
            if poll(&mut sources, None).is_err() {
                continue;
            }
            let (signalled, said) = (!sources[0].revents().is_empty(), !sources[1].revents().is_empty());
            if signalled {
                self.signals.drain();
                // SIGCONT also comes when the thread that started us ends, or from anybody: the parent decides.
                return if getppid() == self.gateway {
                    Event::ChildEnded
                } else {
                    Event::Abandoned
                };
            }
            if said {
                let mut byte = [0];
                match self.link.read(&mut byte) {
                    Ok(1) => {
                        if let Some(command) = Command::decode(byte[0]) {
                            return Event::Said(command);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => return Event::Abandoned,
                }
            }
        }
    }

    /// Tells the gateway, which may be gone.
    fn report(&mut self, report: Report) {
        let _ = self.link.write_all(&report.encode());
    }
}

fn survivors_are_errors(survivors: u32) -> io::Result<()> {
    if survivors == 0 {
        Ok(())
    } else {
        Err(io::Error::other("a process could not be killed"))
    }
}

/// Starts the order's program as a child of this process, in a group of its own.
pub(super) fn start_program(order: &Order, ends: Ends) -> Result<Pid, Report> {
    let refused =
        |stage, error: io::Error| Report::Failed(stage, error.raw_os_error().unwrap_or(libc::EINVAL));
    if let Some(cwd) = &order.cwd {
        chdir(cwd.as_os_str()).map_err(|errno: Errno| refused(Stage::Cwd, errno.into()))?;
    }
    let guard = getpid();
    let mut program = Program::new(&order.program);
    program
        .args(&order.args)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(ends.stdin))
        .stdout(Stdio::from(ends.stdout))
        .stderr(Stdio::from(ends.stderr))
        .process_group(0);
    // SAFETY: between fork and exec this makes system calls only; it neither allocates nor locks.
    unsafe {
        program.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // Had the guard died before that call, no signal would come.
            if getppid() != Some(guard) {
                return Err(Errno::SRCH.into());
            }
            signals::unblock_all()
        });
    }
    let child = program.spawn().map_err(|error| refused(Stage::Program, error))?;
    Ok(Pid::from_child(&child))
}
