//! Starting the process of a server, and knowing that nothing of it stays behind.
//!
//! [`Launch`] is the door: the supervisor asks it for a process and gets three pipes and a [`ChildProcess`]. The real
//! implementation is [`SystemLaunch`]; the second one is the scripted peer of the simulation tests.
//!
//! | platform | type | how nothing stays behind |
//! |---|---|---|
//! | Linux | `GuardedLaunch` | every child under a guard process of its own, see [`guard_main`] |
//! | other Unix | `GroupLaunch` | a process group, killed with the handle; what leaves the group escapes |
//! | Windows | `JobLaunch` | a Job Object, closed with the handle |
//!
//! This room starts processes and ends them. It never decides *when*: grace, restarts and back-off are the supervisor's.

mod error;
mod exit;
#[cfg(all(unix, any(not(target_os = "linux"), test)))]
mod group;
#[cfg(any(not(target_os = "linux"), test))]
mod piped;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
mod descendants;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod guarded;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod wire;

use std::{ffi::OsString, fmt, future::Future, path::PathBuf, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::LaunchError;
pub use exit::{Exit, ProcessEnd};
#[cfg(all(unix, any(not(target_os = "linux"), test)))]
pub use group::GroupLaunch;
#[cfg(all(unix, not(target_os = "linux")))]
pub use group::GroupLaunch as SystemLaunch;
#[cfg(windows)]
pub use windows::JobLaunch as SystemLaunch;
#[cfg(target_os = "linux")]
pub use {
    guard::{GUARD_VERB, guard_main},
    guarded::{GuardedLaunch, GuardedLaunch as SystemLaunch},
    keeper::become_subreaper,
};

/// The reading end of a child's output.
pub type BoxReader = Box<dyn AsyncRead + Send + Unpin>;
/// The writing end of a child's input; dropping it is end of file for the child.
pub type BoxWriter = Box<dyn AsyncWrite + Send + Unpin>;
/// What [`Launch::launch`] returns.
pub type LaunchFuture<'a> = Pin<Box<dyn Future<Output = Result<Launched, LaunchError>> + Send + 'a>>;
/// What [`ChildProcess::wait`] returns.
pub type EndFuture<'a> = Pin<Box<dyn Future<Output = ProcessEnd> + Send + 'a>>;

/// Starts processes.
pub trait Launch: Send + Sync + 'static {
    /// Starts one process. Dropping the future before it is ready ends whatever was started.
    ///
    /// # Errors
    /// Says which part of the specification the system refused, see [`LaunchError`].
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> LaunchFuture<'a>;
}

/// A process that was started, or a remote server that was reached, until its end.
///
/// Dropping it without waiting ends the process and everything that descends from it.
pub trait ChildProcess: Send {
    /// The pid of the server's process (not of anything that watches it), as this program sees it; a remote server has
    /// none here.
    fn pid(&self) -> Option<u32>;
    /// Asks the process to end: SIGTERM to its group. On Windows, which has no such request, this does nothing.
    fn terminate(&mut self);
    /// Ends the process, its group and everything that descends from it, without asking.
    fn kill(&mut self);
    /// Waits until the process has ended *and* nothing that descends from it is left, or could not be ended within a
    /// limit ([`ProcessEnd::survivors`]). Cancel safe; a later call returns the same answer.
    fn wait(&mut self) -> EndFuture<'_>;
}

/// What to start. Nothing is inherited but the user, the limits and, without `cwd`, the working directory.
#[derive(Clone)]
pub struct LaunchSpec {
    /// The program: a path (relative to `cwd`), or a name that is looked up in the `PATH` of `env`.
    pub program: OsString,
    /// Its arguments, the program's own name not among them. Visible to every user of the machine.
    pub args: Vec<OsString>,
    /// The whole environment; it may hold secrets, so it travels through a socket and is shown nowhere.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// Whether the process gets a PID namespace of its own (Linux; elsewhere `Auto` means `Off`).
    pub pid_namespace: PidNamespace,
}

/// Whether a process lives in a PID namespace of its own, in which the kernel itself ends all of it.
///
/// It is the one protection that also holds when gateway and guard are killed in the same instant. Inside, the process
/// sees pids of its own numbering (while `/proc` still shows the machine's); without root it is also in a user
/// namespace, where set-user-id programs such as `sudo` have no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PidNamespace {
    /// Never.
    #[default]
    Off,
    /// Where the system allows it; otherwise without, which is logged once.
    Auto,
    /// Always: [`LaunchError::Namespace`] where the system does not allow it.
    Required,
}

/// A process that runs.
pub struct Launched {
    /// Its standard input.
    pub stdin: BoxWriter,
    /// Its standard output.
    pub stdout: BoxReader,
    /// Its standard error.
    pub stderr: BoxReader,
    /// The process itself.
    pub process: Box<dyn ChildProcess>,
}

impl LaunchSpec {
    /// A specification of `program` with no arguments, an empty environment and no namespace.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            pid_namespace: PidNamespace::Off,
        }
    }

    /// Refuses what no system call could express, so that it is named here and not as "invalid argument" later.
    fn check(&self) -> Result<(), LaunchError> {
        let invalid = |what: String| Err(LaunchError::Invalid { what });
        if self.program.is_empty() {
            return invalid("the program is empty".to_owned());
        }
        if has_nul(&self.program) || self.args.iter().any(|argument| has_nul(argument)) {
            return invalid(format!(
                "the program or an argument of {:?} holds a NUL byte",
                self.program
            ));
        }
        if self.cwd.as_ref().is_some_and(|cwd| has_nul(cwd.as_os_str())) {
            return invalid("the working directory holds a NUL byte".to_owned());
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.as_encoded_bytes().contains(&b'=') || has_nul(name) {
                return invalid(format!("{name:?} is no name for an environment variable"));
            }
            if has_nul(value) {
                return invalid(format!(
                    "the value of the environment variable {name:?} holds a NUL byte"
                ));
            }
        }
        Ok(())
    }
}

fn has_nul(text: &std::ffi::OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}

/// Arguments and the values of the environment may be secrets: this shows how many there are, and the names.
impl fmt::Debug for LaunchSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LaunchSpec")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .field("pid_namespace", &self.pid_namespace)
            .finish()
    }
}

impl fmt::Debug for Launched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Launched")
            .field("pid", &self.process.pid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut LaunchSpec)) -> String {
        let mut spec = LaunchSpec::new("server");
        change(&mut spec);
        spec.check()
            .expect_err("such a specification is refused")
            .to_string()
    }

    #[test]
    fn a_specification_that_cannot_be_expressed_is_refused_by_name() {
        assert!(LaunchSpec::new("server").check().is_ok());
        assert_eq!(
            refusal(|spec| spec.program.clear()),
            "cannot start the server: the program is empty"
        );
        assert!(refusal(|spec| spec.args.push("a\0b".into())).contains("NUL"));
        assert!(refusal(|spec| spec.cwd = Some("a\0b".into())).contains("working directory"));
        assert!(refusal(|spec| spec.env.push(("A=B".into(), "1".into()))).contains("\"A=B\""));
        assert!(refusal(|spec| spec.env.push(("TOKEN".into(), "se\0cret".into()))).contains("\"TOKEN\""));
    }

    #[test]
    fn neither_arguments_nor_values_are_shown() {
        let mut spec = LaunchSpec::new("server");
        spec.args.push("--key=secret".into());
        spec.env.push(("TOKEN".into(), "secret".into()));
        let shown = format!("{spec:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("secret"), "{shown}");
    }
}
