//! Starting a process with three pipes as tokio does it: what the platforms without a guard have in common.

use std::{io, path::Path, process::Stdio};

use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use super::{ChildProcess, LaunchError, LaunchSpec, Launched, PidNamespace};

/// The program of `spec`, ready to be started.
///
/// # Errors
/// The specification cannot be expressed, or asks for what only Linux has.
pub(super) fn command(spec: &LaunchSpec) -> Result<Command, LaunchError> {
    spec.check()?;
    if spec.pid_namespace == PidNamespace::Required {
        return Err(LaunchError::Namespace {
            source: io::ErrorKind::Unsupported.into(),
        });
    }
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &spec.cwd {
        enterable(cwd)?;
        command.current_dir(cwd);
    }
    Ok(command)
}

/// Tells a bad directory from a missing program, which the system reports alike.
fn enterable(cwd: &Path) -> Result<(), LaunchError> {
    let source = match cwd.metadata() {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => io::ErrorKind::NotADirectory.into(),
        Err(error) => error,
    };
    Err(LaunchError::Cwd {
        path: cwd.to_owned(),
        source,
    })
}

/// Our ends of the pipes of a process that was just started.
pub(super) type Pipes = (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>);

/// Puts a started process and its pipes together.
pub(super) fn launched((stdin, stdout, stderr): Pipes, process: impl ChildProcess + 'static) -> Launched {
    Launched {
        stdin: Box::new(stdin.expect("it was piped")),
        stdout: Box::new(stdout.expect("it was piped")),
        stderr: Box::new(stderr.expect("it was piped")),
        process: Box::new(process),
    }
}
