//! The gateway's side of a guard: makes the pipes, sends the order, keeps the lifeline.

use std::{
    io::{self, pipe},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{SendFlags, send},
    pipe::fcntl_setpipe_size,
    process::Pid,
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::{
        UnixStream,
        unix::pipe::{Receiver, Sender},
    },
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, warn};

use super::{
    ChildProcess, EndFuture, Exit, Launch, LaunchError, LaunchFuture, LaunchSpec, Launched, PidNamespace,
    ProcessEnd,
    descendants::SWEEP_LIMIT,
    keeper::{Keeper, Kept},
    link::{self, Ends},
    wire::{Command, ORDER_MAX, Order, RECORD, Report, Stage},
};

/// How long a guard may take to start the program.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a guard may take to report after [`ChildProcess::kill`]: its own limit and a little.
const KILL_LIMIT: Duration = SWEEP_LIMIT.saturating_add(Duration::from_secs(5));
/// How long a guard may take to end after its last report.
const BURIAL_LIMIT: Duration = Duration::from_secs(2);
/// The wanted size of the pipes of stdin and stdout, in bytes. Beyond its share of pipe memory a user gets less.
const PIPE_SIZE: usize = 256 << 10;

/// Starts every process under a guard of its own, see [`guard_main`](super::guard_main).
#[derive(Debug)]
pub struct GuardedLaunch {
    guard: PathBuf,
    keeper: Keeper,
    namespace_refused: AtomicBool,
}

/// Our ends of the pipes.
struct Pipes {
    stdin: Sender,
    stdout: Receiver,
    stderr: Receiver,
}

impl GuardedLaunch {
    /// Launches whose guard is this very program, even after its file was replaced. Its `main` must know the guard's verb.
    ///
    /// # Errors
    /// [`LaunchError::Guard`] when the keeper's thread cannot be started.
    pub fn new() -> Result<Self, LaunchError> {
        Self::with_guard("/proc/self/exe")
    }

    /// Launches whose guard is the given executable of this package.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_guard(guard: impl Into<PathBuf>) -> Result<Self, LaunchError> {
        let keeper = Keeper::of_process().map_err(failed_while("starting the keeper's thread"))?;
        Ok(Self {
            guard: guard.into(),
            keeper,
            namespace_refused: AtomicBool::new(false),
        })
    }

    async fn launch_as_wanted(&self, spec: &LaunchSpec) -> Result<Launched, LaunchError> {
        spec.check()?;
        match spec.pid_namespace {
            PidNamespace::Off => self.start(spec, false).await,
            PidNamespace::Required => self.start(spec, true).await,
            PidNamespace::Auto if self.namespace_refused.load(Ordering::Relaxed) => {
                self.start(spec, false).await
            }
            PidNamespace::Auto => match self.start(spec, true).await {
                Err(LaunchError::Namespace { source }) => {
                    warn!(%source, "the system refuses PID namespaces; servers run without");
                    self.namespace_refused.store(true, Ordering::Relaxed);
                    self.start(spec, false).await
                }
                started => started,
            },
        }
    }

    async fn start(&self, spec: &LaunchSpec, namespace: bool) -> Result<Launched, LaunchError> {
        let order = encode(spec, namespace)?;
        let (pipes, ends) = make_pipes().map_err(failed_while("making pipes"))?;
        let (lifeline, far_end) = StdUnixStream::pair().map_err(failed_while("making its socket"))?;
        let started = self
            .keeper
            .start(self.guard.clone(), OwnedFd::from(far_end))
            .await;
        let kept = started.map_err(failed_while("being started"))?;
        let mut child = GuardedChild::new(lifeline, kept).map_err(failed_while("making its socket"))?;
        let answer = timeout(START_LIMIT, child.order(&order, ends))
            .await
            .unwrap_or_else(|_| {
                child.kept.kill();
                Err(io::ErrorKind::TimedOut.into())
            });
        match answer.map_err(failed_while("starting the program"))? {
            Report::Started(pid) => {
                child.runs(pid);
                debug!(pid, namespace, program = ?spec.program, "started");
                Ok(launched(pipes, child))
            }
            Report::Failed(stage, errno) => Err(refusal(spec, stage, io::Error::from_raw_os_error(errno))),
            Report::Ended(..) => Err(failed_while("starting the program")(
                io::ErrorKind::InvalidData.into(),
            )),
        }
    }
}

impl Launch for GuardedLaunch {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(self.launch_as_wanted(spec))
    }
}

fn failed_while(action: &'static str) -> impl Fn(io::Error) -> LaunchError {
    move |source| LaunchError::Guard { action, source }
}

fn refusal(spec: &LaunchSpec, stage: Stage, source: io::Error) -> LaunchError {
    match stage {
        Stage::Guard => failed_while("reading its order")(source),
        Stage::Namespace => LaunchError::Namespace { source },
        Stage::Cwd => LaunchError::Cwd {
            path: spec.cwd.clone().unwrap_or_default(),
            source,
        },
        Stage::Program => LaunchError::of_program(&spec.program, source),
    }
}

fn launched(pipes: Pipes, child: GuardedChild) -> Launched {
    Launched {
        stdin: Box::new(pipes.stdin),
        stdout: Box::new(pipes.stdout),
        stderr: Box::new(pipes.stderr),
        process: Box::new(child),
    }
}

fn encode(spec: &LaunchSpec, namespace: bool) -> Result<Vec<u8>, LaunchError> {
    let env = spec.env.iter().map(|(name, value)| name.len() + value.len() + 8);
    let size = spec
        .args
        .iter()
        .map(|argument| argument.len() + 4)
        .chain(env)
        .sum::<usize>();
    // The rest of the order is two paths, and the kernel allows less than the limit in any case.
    if size + spec.program.len() + spec.cwd.as_ref().map_or(0, |cwd| cwd.as_os_str().len()) + 64 > ORDER_MAX {
        return Err(LaunchError::of_program(&spec.program, Errno::TOOBIG.into()));
    }
    let order = Order {
        namespace,
        cwd: spec.cwd.clone().map(PathBuf::into_os_string),
        program: spec.program.clone(),
        args: spec.args.clone(),
        env: spec.env.clone(),
    };
    Ok(order.encode())
}

/// Makes the three pipes. Only our ends do not block: each end of a pipe is an open file of its own.
fn make_pipes() -> io::Result<(Pipes, Ends)> {
    let (child_stdin, stdin) = pipe()?;
    let (stdout, child_stdout) = pipe()?;
    let (stderr, child_stderr) = pipe()?;
    for wide in [stdin.as_fd(), stdout.as_fd()] {
        // Refused beyond the user's share of pipe memory; a smaller pipe is only slower.
        let _ = fcntl_setpipe_size(wide, PIPE_SIZE);
    }
    let pipes = Pipes {
        stdin: Sender::from_owned_fd(stdin.into())?,
        stdout: Receiver::from_owned_fd(stdout.into())?,
        stderr: Receiver::from_owned_fd(stderr.into())?,
    };
    let ends = Ends {
        stdin: child_stdin.into(),
        stdout: child_stdout.into(),
        stderr: child_stderr.into(),
    };
    Ok((pipes, ends))
}

/// A child under its guard. Dropping it closes the lifeline, upon which the guard ends everything.
#[derive(Debug)]
struct GuardedChild {
    lifeline: UnixStream,
    kept: Kept,
    pid: u32,
    record: [u8; RECORD],
    filled: usize,
    kill_deadline: Option<Instant>,
    end: Option<ProcessEnd>,
    /// Whether the guard itself has gone, too.
    buried: bool,
}

impl GuardedChild {
    fn new(lifeline: StdUnixStream, kept: Kept) -> io::Result<Self> {
        lifeline.set_nonblocking(true)?;
        let lifeline = UnixStream::from_std(lifeline)?;
        Ok(Self {
            lifeline,
            kept,
            pid: 0,
            record: [0; RECORD],
            filled: 0,
            kill_deadline: None,
            end: None,
            buried: false,
        })
    }

    fn runs(&mut self, pid: u32) {
        self.pid = pid;
        self.kept.watches(pid);
    }

    /// Sends the order and returns the guard's answer to it.
    async fn order(&mut self, order: &[u8], ends: Ends) -> io::Result<Report> {
        self.lifeline
            .async_io(Interest::WRITABLE, || {
                link::send_head(&self.lifeline, order.len(), &ends)
            })
            .await?;
        // The child's ends must live in the child only, or end of file would never reach us.
        drop(ends);
        self.lifeline.write_all(order).await?;
        self.next_report().await
    }

    /// Reads one report. Cancel safe: what has come of it stays in `self`.
    async fn next_report(&mut self) -> io::Result<Report> {
        while self.filled < RECORD {
            self.lifeline.readable().await?;
            match self.lifeline.try_read(&mut self.record[self.filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.filled = 0;
        Report::decode(self.record).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Writes past tokio, whose readiness is only known after a poll. A byte always fits; a guard that is gone needs none.
    fn say(&self, command: Command) {
        let _ = send(
            &self.lifeline,
            &[command.encode()],
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        );
    }

    async fn watch(&mut self) -> ProcessEnd {
        let report = match self.kill_deadline {
            None => self.next_report().await,
            Some(deadline) => timeout_at(deadline, self.next_report())
                .await
                .unwrap_or_else(|_| {
                    warn!(pid = self.pid, "the guard does not answer and is killed");
                    self.kept.kill();
                    Err(io::ErrorKind::TimedOut.into())
                }),
        };
        match report {
            Ok(Report::Ended(exit, stragglers, survivors)) => ProcessEnd {
                exit,
                stragglers,
                survivors,
            },
            _ => self.lost().await,
        }
    }

    /// The guard ended without a word: the keeper does its work.
    async fn lost(&mut self) -> ProcessEnd {
        let burial = self.kept.burial().await;
        self.buried = true;
        warn!(pid = self.pid, ended = burial.ended.len(), "the guard was killed");
        let own = Pid::from_raw(self.pid.cast_signed());
        let stragglers = burial.ended.iter().filter(|pid| Some(**pid) != own).count();
        ProcessEnd {
            exit: Exit::Unknown,
            stragglers: u32::try_from(stragglers).unwrap_or(u32::MAX),
            survivors: burial.survivors,
        }
    }
}

impl ChildProcess for GuardedChild {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn terminate(&mut self) {
        self.say(Command::Terminate);
    }

    fn kill(&mut self) {
        self.say(Command::Kill);
        self.kill_deadline
            .get_or_insert_with(|| Instant::now() + KILL_LIMIT);
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            if self.end.is_none() {
                self.end = Some(self.watch().await);
            }
            if !self.buried {
                // The guard has said its last word and ends: when the gateway ends next, not even that is left.
                let _ = timeout(BURIAL_LIMIT, self.kept.burial()).await;
                self.buried = true;
            }
            self.end.expect("it was set just now")
        })
    }
}
