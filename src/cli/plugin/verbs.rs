//! The verbs, and who does them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::super::ConfigArgs;
use super::super::admin::{FormArgs, plugins};
use super::{build, doctor, inspect, new};

/// What is done for an author of plugins.
#[derive(Debug, Subcommand)]
pub enum PluginVerb {
    /// Makes the folder of a new plugin, which builds and passes its cases
    New(new::NewArgs),
    /// Builds the plugin in a folder: writes plugin.wasm and shows what it is made of
    Build {
        /// The folder with plugin.toml
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Shows what a component is made of: exports, imports, digest
    Inspect {
        /// A component, or the folder of a plugin
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Lists the plugins of the running gateway: every generation that is in use, and what was not let in
    List(FormArgs),
    /// Makes the running gateway look for changes now, or make another generation of one plugin
    Reload {
        /// The plugin; without it all that has changed
        name: Option<String>,
    },
    /// Shows which languages plugins can be built in here, and the command for what is missing
    Doctor,
}

/// Runs a command.
///
/// # Errors
/// Why it was not done.
pub fn run(args: &ConfigArgs, verb: PluginVerb) -> anyhow::Result<ExitCode> {
    match verb {
        PluginVerb::New(new) => new::run(&new),
        PluginVerb::Build { folder } => build::run(&folder),
        PluginVerb::Inspect { path } => inspect::run(&path),
        PluginVerb::List(form) => plugins::list(args, &form),
        PluginVerb::Reload { name } => plugins::reload(args, name.as_deref()),
        PluginVerb::Doctor => Ok(doctor::run()),
    }
}
