//! Why a process could not be started, in words that name the program and the remedy.

use std::{io, path::PathBuf};

/// Why [`Launch::launch`](super::Launch::launch) started nothing.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such program, or the interpreter named in its first line is missing.
    #[error(
        "program {program:?} was not found; give its full path, or a PATH in the server's environment that leads to it \
         (a script is also \"not found\" when the interpreter in its first line is missing)"
    )]
    NotFound {
        /// The program as it was given.
        program: String,
    },
    /// The program is there but may not be executed by this user.
    #[error(
        "program {program:?} may not be executed; check its permissions (chmod +x) and those of its directories"
    )]
    PermissionDenied {
        /// The program as it was given.
        program: String,
    },
    /// The working directory cannot be entered.
    #[error("the working directory {path:?} cannot be entered; create it or correct `cwd`")]
    Cwd {
        /// The directory as it was given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The specification itself cannot be expressed to the system.
    #[error("cannot start the server: {what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// A PID namespace is required and the system refuses one.
    #[error("the system refuses a PID namespace; run as root, allow user namespaces, or use `auto`")]
    Namespace {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused to start the program for another reason.
    #[error("program {program:?} could not be started")]
    Io {
        /// The program as it was given.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The guard that every child runs under failed; nothing was started.
    #[error("the server cannot be put under a guard: failed while {action}")]
    Guard {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl LaunchError {
    /// Whether the next attempt may well succeed: the system was short of something, not the configuration wrong.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Guard { .. })
    }

    /// The variant that fits what the system said about executing `program`.
    pub(super) fn of_program(program: &std::ffi::OsStr, source: io::Error) -> Self {
        let program = program.to_string_lossy().into_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { program },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { program },
            _ => Self::Io { program, source },
        }
    }
}
