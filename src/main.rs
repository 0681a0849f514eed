//! The command line of Portcullis.

use std::process::ExitCode;

use clap::Parser;
use portcullis::cli::mock_server;

#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
enum Command {
    /// Serves as a mock MCP server on standard input and output
    MockServer(Box<mock_server::MockServerArgs>),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::MockServer(args) => mock_server::run(*args),
    }
}
