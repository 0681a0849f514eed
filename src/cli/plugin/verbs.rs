//! The verbs, and who does them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::build;

/// What is done for an author of plugins.
#[derive(Debug, Subcommand)]
pub enum PluginVerb {
    /// Builds the plugin in a folder: writes plugin.wasm and shows what it is made of
    Build {
        /// The folder with plugin.toml
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// Why it was not done.
pub fn run(verb: PluginVerb) -> anyhow::Result<ExitCode> {
    match verb {
        PluginVerb::Build { folder } => build::run(&folder),
    }
}
