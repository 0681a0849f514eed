//! `portcullis check`: what the configuration comes to, and what is wrong with it.

use std::io::ErrorKind;
use std::process::ExitCode;

use super::ConfigArgs;
use super::output::print;
use super::serve::{load, loader};

/// Prints the merged configuration with the origin of each value.
///
/// # Errors
/// Everything that is wrong with the configuration, in one message.
#[expect(clippy::print_stderr, reason = "warnings do not belong to the table")]
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&loader(args)?)?;
    let servers = match loaded.config.servers.len() {
        1 => "1 server".to_owned(),
        count => format!("{count} servers"),
    };
    let text = format!("{}the configuration is valid: {servers}\n", loaded.origins);
    match print(&text) {
        // As with `| head`: the reader has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(ExitCode::SUCCESS)
}
