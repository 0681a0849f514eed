//! How a process ended, and in which words that is told.

use std::fmt;

use crate::upstream::remote::RemoteFailure;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// Nobody saw it end: what watched it was killed.
    Unknown,
    /// It is no process but a remote server, and the connection was closed as asked.
    Closed,
    /// It is a remote server that is not there any more, for this reason.
    Lost(RemoteFailure),
}

/// How a process ended, and what it left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessEnd {
    /// The end of the process itself.
    pub exit: Exit,
    /// Processes of it, inside or outside its group, that were still running after it and had to be killed. In a PID
    /// namespace those that a parent of theirs reaped while it was killed itself are not counted.
    pub stragglers: u32,
    /// Processes of it that could not be killed within the limit: another user's, or stuck in the kernel.
    pub survivors: u32,
}

impl From<std::process::ExitStatus> for Exit {
    fn from(status: std::process::ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        status.code().map_or(Self::Unknown, Self::Code)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(formatter, "killed by {name}"),
                None => write!(formatter, "killed by signal {signal}"),
            },
            Self::Unknown => formatter.write_str("unknown end"),
            Self::Closed => formatter.write_str("connection closed"),
            Self::Lost(failure) => failure.fmt(formatter),
        }
    }
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exit.fmt(formatter)?;
        if self.stragglers > 0 {
            write!(formatter, ", {} left behind and killed", self.stragglers)?;
        }
        if self.survivors > 0 {
            write!(formatter, ", {} could not be killed", self.survivors)?;
        }
        Ok(())
    }
}

/// The name of a signal, for the numbers that every Unix shares and those by which servers really die.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        7 if cfg!(target_os = "linux") => "SIGBUS",
        10 if cfg!(target_os = "linux") => "SIGUSR1",
        12 if cfg!(target_os = "linux") => "SIGUSR2",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_read_like_sentences() {
        let end = |exit, stragglers, survivors| {
            ProcessEnd {
                exit,
                stragglers,
                survivors,
            }
            .to_string()
        };
        assert_eq!(end(Exit::Code(1), 0, 0), "exit status 1");
        assert_eq!(
            end(Exit::Signal(9), 2, 0),
            "killed by SIGKILL, 2 left behind and killed"
        );
        assert_eq!(
            end(Exit::Signal(64), 0, 1),
            "killed by signal 64, 1 could not be killed"
        );
        assert_eq!(end(Exit::Unknown, 0, 0), "unknown end");
    }
}
