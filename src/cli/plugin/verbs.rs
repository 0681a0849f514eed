//! The verbs, and who does them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{bench, build, dev, doctor, inspect, new, signing, test};
use crate::plugin::signature::PublicKey;

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
    /// Runs the cases of the plugin in a folder: those of plugin.toml, and cases/*.toml
    Test {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Measures what each hook of the plugin in a folder costs per call
    Bench {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Builds and tests the plugin in a folder again whenever its source changes, and puts it into a running gateway
    Dev {
        /// The folder with plugin.toml
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The folder of the gateway's plugins; not needed where the plugin lies in there
        #[arg(long, value_name = "PLUGINS")]
        into: Option<PathBuf>,
    },
    /// Makes a key to sign plugins with, and prints the public one
    Keygen {
        /// The new file for the secret key
        file: PathBuf,
    },
    /// Signs the plugin in a folder: writes plugin.sig
    Sign {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The file with the secret key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Checks the signature of the plugin in a folder
    Verify {
        /// The folder of the plugin
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// A public key that is trusted; can be repeated. Without one, only that nothing was changed is checked
        #[arg(long, value_name = "ed25519:BASE64")]
        trusted: Vec<PublicKey>,
    },
    /// Shows which languages plugins can be built in here, and the command for what is missing
    Doctor,
}

/// Runs a command.
///
/// # Errors
/// Why it was not done.
pub fn run(verb: PluginVerb) -> anyhow::Result<ExitCode> {
    match verb {
        PluginVerb::New(args) => new::run(&args),
        PluginVerb::Build { folder } => build::run(&folder),
        PluginVerb::Inspect { path } => inspect::run(&path),
        PluginVerb::Test { folder } => test::run(&folder),
        PluginVerb::Bench { folder } => bench::run(&folder),
        PluginVerb::Dev { folder, into } => dev::run(&folder, into.as_deref()),
        PluginVerb::Keygen { file } => signing::keygen(&file),
        PluginVerb::Sign { folder, key } => signing::sign(&folder, &key),
        PluginVerb::Verify { folder, trusted } => signing::verify(&folder, &trusted),
        PluginVerb::Doctor => Ok(doctor::run()),
    }
}
