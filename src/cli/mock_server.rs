//! `portcullis mock-server`: a real MCP server on standard input and output, for trying things out and for tests.

use std::process::ExitCode;

use crate::mock::{self, MockOptions};

/// The arguments of the command: the options of the mock, which carry their own help.
pub type MockServerArgs = MockOptions;

/// Serves until standard input ends.
///
/// # Errors
/// If standard input or output cannot be used, or a limit of the mock was passed.
pub fn run(args: MockServerArgs) -> anyhow::Result<ExitCode> {
    mock::serve(args)?;
    Ok(ExitCode::SUCCESS)
}
