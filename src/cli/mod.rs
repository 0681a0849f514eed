//! One file per command: it prints and exits, the work is done in the rooms behind it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod admin;
pub mod check;
pub mod mock_server;
mod output;
pub mod plugin;
pub mod serve;
mod stdio;
mod welcome;

pub use output::told;

/// An MCP gateway: a supervised registry of MCP servers behind Streamable HTTP, HTTP+SSE and WebSocket.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub struct Cli {
    #[command(flatten)]
    options: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML, JSON or YAML); without it portcullis.toml is looked for
    #[arg(long, short, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", global = true)]
    pub listen: Option<String>,
    /// Sets one key, such as --set log.level=debug
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway (the default)
    Serve,
    /// Serves one client on standard input and output, for clients that can only start programs
    Stdio(stdio::StdioArgs),
    /// Shows the merged configuration with the origin of each value, or everything that is wrong with it
    Check,
    #[command(flatten)]
    Admin(admin::AdminCommand),
    /// Makes, builds, tests and signs plugins
    #[command(subcommand)]
    Plugin(plugin::PluginVerb),
    /// Serves as a mock MCP server on standard input and output
    MockServer(Box<mock_server::MockServerArgs>),
}

/// Runs the command line.
///
/// # Errors
/// What the command could not do; main prints it.
pub fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        None | Some(Command::Serve) => serve::run(&cli.options),
        Some(Command::Stdio(args)) => stdio::run(&cli.options, &args),
        Some(Command::Check) => check::run(&cli.options),
        Some(Command::Admin(command)) => admin::run(&cli.options, command),
        Some(Command::Plugin(verb)) => plugin::run(&cli.options, verb),
        Some(Command::MockServer(args)) => mock_server::run(*args),
    }
}
