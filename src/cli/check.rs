//! `portcullis check`: what the configuration comes to, and what is wrong with it.

use std::process::ExitCode;

use super::ConfigArgs;
use super::serve::load;

/// Prints the merged configuration with the origin of each value.
///
/// # Errors
/// Everything that is wrong with the configuration, in one message.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command prints what it found"
)]
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(args)?;
    print!("{}", loaded.origins);
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    println!(
        "the configuration is valid: {} servers",
        loaded.config.servers.len()
    );
    Ok(ExitCode::SUCCESS)
}
