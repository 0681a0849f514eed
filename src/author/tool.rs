//! Somebody else's program, run for the author, who sees what it says. The only file of this room that starts processes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::AuthorError;

/// A program with its arguments. It inherits the author's environment and standard error.
#[derive(Debug)]
pub(super) struct Tool(Command);

impl Tool {
    pub(super) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self(command)
    }

    pub(super) fn arguments<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.0.args(arguments);
        self
    }

    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(super) fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end; what it prints goes to standard error, because standard output is for results.
    pub(super) fn run(mut self) -> Result<(), AuthorError> {
        self.0.stdout(std::io::stderr());
        self.finish().map(drop)
    }

    /// Runs it to its end and returns what it prints.
    pub(super) fn output(mut self) -> Result<Vec<u8>, AuthorError> {
        self.0.stdout(Stdio::piped());
        self.finish().map(|output| output.stdout)
    }

    /// Runs it to its end, and returns what it prints if it succeeds. Nothing is shown.
    pub(super) fn probe(mut self) -> Option<String> {
        self.0.stdout(Stdio::piped()).stderr(Stdio::null());
        let output = self.finish().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn finish(&mut self) -> Result<Output, AuthorError> {
        let program = self.0.get_program().to_string_lossy().into_owned();
        let output = self
            .0
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .map_err(|source| AuthorError::NotStarted {
                program: program.clone(),
                source,
            })?;
        if output.status.success() {
            return Ok(output);
        }
        Err(AuthorError::ToolFailed {
            program,
            status: output.status.to_string(),
        })
    }
}

/// Returns where a program is, by the author's `PATH`.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Returns the program that an environment variable names, or else the usual one.
pub(super) fn named(variable: &str, usual: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| usual.into())
}
