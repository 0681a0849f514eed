//! Structured logs, to stderr: pretty for people or JSON for machines.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{LogConfig, LogFormat};

/// Starts logging. Has no effect in a process that logs already.
///
/// # Errors
/// `log.level` is no filter directive; says which part is not.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.level)
        .map_err(|error| format!("log.level = {:?}: {error}", config.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        // Where nobody reads the log any more, to complain of that would be a panic.
        .log_internal_errors(false);
    let started = match config.format {
        LogFormat::Pretty => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started); // another subscriber is there already: a test, or a program that embeds the gateway
    Ok(())
}
