//! The keeper: one thread of the gateway that starts the guards and buries them.
//!
//! It lives as long as the process, because a guard's parent-death signal is tied to the thread that started it. Since
//! it alone starts processes, it also knows what no child of the gateway is allowed to be: anything but a guard. When
//! a guard did not end well, the keeper ends what became the gateway's through that ([`become_subreaper`]).

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
    time::Instant,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
        set_child_subreaper, waitpid,
    },
};
use tokio::sync::{mpsc, oneshot};

use super::{
    descendants::{SWEEP_LIMIT, SWEEP_ROUND, children_of},
    guard::GUARD_VERB,
};

/// Starts that wait for the keeper. A start takes a millisecond; whoever finds the queue full waits for a place.
const STARTS_MAX: usize = 64;

static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);
static SUBREAPER: AtomicBool = AtomicBool::new(false);

/// Makes this process the parent of what a killed guard leaves behind, and lets the keeper end it.
///
/// From then on every child of this process that no [`GuardedLaunch`](super::GuardedLaunch) started is taken for such an
/// orphan and killed as soon as a guard dies before its time. Only for a program that starts processes in no other way.
///
/// # Errors
/// What the system says.
pub fn become_subreaper() -> io::Result<()> {
    set_child_subreaper(Some(Pid::INIT))?;
    SUBREAPER.store(true, Ordering::Release);
    Ok(())
}

/// The handle of the keeper's thread.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    starts: mpsc::Sender<Start>,
    wake: Arc<OwnedFd>,
}

/// A guard that was started.
#[derive(Debug)]
pub(super) struct Kept {
    pidfd: Arc<OwnedFd>,
    group: Arc<AtomicI32>,
    burial: oneshot::Receiver<Burial>,
}

/// What was found after a guard's end.
#[derive(Debug, Default)]
pub(super) struct Burial {
    /// The processes that the guard had left and the keeper ended.
    pub(super) ended: Vec<Pid>,
    /// How many the keeper could not end.
    pub(super) survivors: u32,
}

struct Start {
    program: PathBuf,
    link: OwnedFd,
    answer: oneshot::Sender<io::Result<Kept>>,
}

impl Keeper {
    /// The keeper of this process, whose thread is started at the first call.
    pub(super) fn of_process() -> io::Result<Self> {
        let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
        match &*keeper {
            Some(keeper) => Ok(keeper.clone()),
            None => Ok(keeper.insert(Self::start_thread()?).clone()),
        }
    }

    fn start_thread() -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (starts, waiting) = mpsc::channel(STARTS_MAX);
        let work = Work {
            waiting,
            wake: Arc::clone(&wake),
            guards: Vec::new(),
        };
        thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(|| work.run())?;
        Ok(Self { starts, wake })
    }

    /// Starts `program` as a guard with `link` as its standard input.
    pub(super) async fn start(&self, program: PathBuf, link: OwnedFd) -> io::Result<Kept> {
        let gone = || io::Error::other("the keeper's thread has ended");
        let (answer, answered) = oneshot::channel();
        self.starts
            .send(Start {
                program,
                link,
                answer,
            })
            .await
            .map_err(|_| gone())?;
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Kept {
    /// Tells which group to end should the guard be killed.
    pub(super) fn watches(&self, group: u32) {
        self.group.store(group.cast_signed(), Ordering::Release);
    }

    /// Kills the guard, which has not answered.
    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits until the guard has ended and what it left has been ended. Cancel safe; to be awaited to its end once.
    pub(super) async fn burial(&mut self) -> Burial {
        (&mut self.burial).await.unwrap_or_default()
    }
}

struct Guarding {
    guard: Child,
    pidfd: Arc<OwnedFd>,
    group: Arc<AtomicI32>,
    burial: oneshot::Sender<Burial>,
}

/// What the keeper's thread owns.
struct Work {
    waiting: mpsc::Receiver<Start>,
    wake: Arc<OwnedFd>,
    guards: Vec<Guarding>,
}

impl Work {
    fn run(mut self) {
        loop {
            let ended = self.wait();
            while let Ok(start) = self.waiting.try_recv() {
                let kept = self.start(&start.program, start.link);
                // Whoever asked may have gone; then its link is closed and the guard ends at once.
                let _ = start.answer.send(kept);
            }
            for index in ended.into_iter().rev() {
                let guarding = self.guards.swap_remove(index);
                self.bury(guarding);
            }
        }
    }

    /// Waits for work; returns the indices of the guards that ended, in rising order.
    fn wait(&self) -> Vec<usize> {
        let mut sources = vec![PollFd::new(&self.wake, PollFlags::IN)];
        sources.extend(
            self.guards
                .iter()
                .map(|guarding| PollFd::new(&guarding.pidfd, PollFlags::IN)),
        );
        if poll(&mut sources, None).is_err() {
            return Vec::new();
        }
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        let guards = sources[1..].iter().enumerate();
        guards
            .filter(|(_, source)| !source.revents().is_empty())
            .map(|(index, _)| index)
            .collect()
    }

    fn start(&mut self, program: &PathBuf, link: OwnedFd) -> io::Result<Kept> {
        let mut guard = Command::new(program)
            .arg0("portcullis")
            .arg(GUARD_VERB)
            .env_clear()
            .stdin(Stdio::from(link))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pidfd = match pidfd_open(Pid::from_child(&guard), PidfdFlags::empty()) {
            Ok(pidfd) => Arc::new(pidfd),
            Err(error) => {
                guard.kill()?;
                guard.wait()?;
                return Err(error.into());
            }
        };
        let group = Arc::new(AtomicI32::new(0));
        let (burial, buried) = oneshot::channel();
        let kept = Kept {
            pidfd: Arc::clone(&pidfd),
            group: Arc::clone(&group),
            burial: buried,
        };
        self.guards.push(Guarding {
            guard,
            pidfd,
            group,
            burial,
        });
        Ok(kept)
    }

    fn bury(&self, mut guarding: Guarding) {
        let well = guarding.guard.wait().is_ok_and(|status| status.success());
        let burial = if well {
            Burial::default()
        } else {
            self.end_orphans(&guarding)
        };
        // Nobody may be waiting: a handle that was dropped has no questions.
        let _ = guarding.burial.send(burial);
    }

    /// Ends what a guard left: where we are the subreaper, every child that is no guard; otherwise the child's group.
    fn end_orphans(&self, guarding: &Guarding) -> Burial {
        let mut burial = Burial::default();
        if !SUBREAPER.load(Ordering::Acquire) {
            // The group is all that is known. A guard that was killed after it had reaped the server leaves a number
            // that may be a stranger's by now, so whoever has the orphans themselves does not use it.
            if let Some(group) = Pid::from_raw(guarding.group.load(Ordering::Acquire)) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            return burial;
        }
        let deadline = Instant::now() + SWEEP_LIMIT;
        for round in 0.. {
            let mut orphans = children_of(getpid()).unwrap_or_default();
            orphans.retain(|orphan| {
                self.guards
                    .iter()
                    .all(|kept| Pid::from_child(&kept.guard) != orphan.pid)
            });
            burial.survivors = u32::try_from(orphans.len()).unwrap_or(u32::MAX);
            if orphans.is_empty() || Instant::now() > deadline {
                break;
            }
            for orphan in orphans {
                orphan.kill(round);
                if matches!(waitpid(Some(orphan.pid), WaitOptions::NOHANG), Ok(Some(_))) {
                    burial.ended.push(orphan.pid);
                }
            }
            thread::sleep(SWEEP_ROUND);
        }
        burial
    }
}
