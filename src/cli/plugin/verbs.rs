//! The verbs, and who does them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::super::ConfigArgs;
use super::super::admin::{FormArgs, plugins};
use super::{bench, build, dev, doctor, inspect, new, signing, test};
use crate::author::bench::Fuel;
use crate::author::toolchain;
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
    /// Says of the plugin in a folder what a gateway would that grants what it asks for
    Check {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Runs the cases of the plugin in a folder: those of plugin.toml, and cases/*.toml
    Test {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Measures what each hook of the plugin in a folder costs per call: each is asked about a `tools/call` of the client
    /// with the arguments `path` and a long `text`
    Bench {
        /// The folder with plugin.toml and plugin.wasm
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Count instructions as well
        #[arg(long)]
        fuel: bool,
    },
    /// Builds and tests the plugin in a folder again whenever its source changes, and puts it into a running gateway
    Dev {
        /// The folder with plugin.toml
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The folder of the gateway's plugins; not needed where the plugin lies in there
        #[arg(long, value_name = "PLUGINS")]
        into: Option<PathBuf>,
        /// The file with the secret key, to sign each build with
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
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
    /// Lists the plugins of the running gateway: every generation that is in use, and what was not let in
    List(FormArgs),
    /// Makes the running gateway look for changes now, or make another generation of one plugin
    Reload {
        /// The plugin; without it all that has changed
        name: Option<String>,
    },
    /// Prepares this machine for plugins in Rust: by rustup, or with Debian's compiler in your cache
    Toolchain,
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
        PluginVerb::Test { folder } => test::run(&folder),
        PluginVerb::Bench { folder, fuel } => {
            bench::run(&folder, if fuel { Fuel::Counted } else { Fuel::Ignored })
        }
        PluginVerb::Check { folder } => test::check(&folder),
        PluginVerb::Dev { folder, into, key } => dev::run(&folder, into.as_deref(), key.as_deref()),
        PluginVerb::Keygen { file } => signing::keygen(&file),
        PluginVerb::Sign { folder, key } => signing::sign(&folder, &key),
        PluginVerb::Verify { folder, trusted } => signing::verify(&folder, &trusted),
        PluginVerb::List(form) => plugins::list(args, &form),
        PluginVerb::Reload { name } => plugins::reload(args, name.as_deref()),
        PluginVerb::Toolchain => {
            toolchain::prepare_rust()?;
            Ok(ExitCode::SUCCESS)
        }
        PluginVerb::Doctor => Ok(doctor::run()),
    }
}
