//! Rust: bindings into the build folder, cargo for the rest.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, Ownership};

use super::component::componentize;
use super::error::AuthorError;
use super::tool::{Tool, named};
use super::toolchain::{RUST_TARGET, RustToolchain};
use super::{paths, wit};

/// Tells the crate where its bindings are: `mod bindings { include!(env!("PORTCULLIS_BINDINGS")); }`.
const BINDINGS_VARIABLE: &str = "PORTCULLIS_BINDINGS";
/// The linker's own choice is 1 MiB of each instance's memory, and hooks are no deep programs. The stack lies at the bottom of
/// the memory: a guest that needs more traps, and overwrites nothing.
const STACK: &str = "-Clink-arg=-zstack-size=262144";

/// Builds the crate in the folder of a plugin and returns the component.
pub(super) fn build(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    let toolchain = RustToolchain::find(plugin)?;
    let build = paths::build_folder(plugin)?;
    let bindings = build.join("bindings.rs");
    paths::write_changed(&bindings, &generate(plugin)?)?;
    let mut cargo = Tool::new(named("CARGO", "cargo"))
        .arguments(["build", "--release", "--target", RUST_TARGET])
        .arguments(["--config", &compiler_flags(&build)])
        .arguments(["--message-format", "json-render-diagnostics"])
        .folder(plugin)
        .environment(BINDINGS_VARIABLE, &bindings);
    for (name, value) in &toolchain.environment {
        cargo = cargo.environment(name, value);
    }
    let module = artifact(plugin, &cargo.output()?)?;
    let module = std::fs::read(&module).map_err(AuthorError::io("read", &module))?;
    componentize(
        &module,
        "some crate was built for another target: plugins are built for wasm32-unknown-unknown",
    )
}

/// Returns what the compiler is told, as a line of cargo's configuration: what the author has in one of his own comes before
/// it, and what he has in `RUSTFLAGS` in its place.
///
/// Panics name the file in which they happen. Where it lay on this machine is nobody's business, and would make another
/// component of the same source elsewhere.
fn compiler_flags(build: &Path) -> String {
    let mut flags = vec![STACK.to_owned()];
    let mut rename =
        |folder: &Path, name| flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
    if let Some(cargo) = std::env::home_dir().map(|home| home.join(".cargo")) {
        rename(&cargo, "cargo");
    }
    if let Some(cargo) = std::env::var_os("CARGO_HOME") {
        rename(Path::new(&cargo), "cargo");
    }
    if let Some(plugin) = build.parent() {
        rename(plugin, ".");
    }
    // Texts of JSON are texts of TOML.
    format!("target.{RUST_TARGET}.rustflags={}", serde_json::json!(flags))
}

/// Returns the bindings to a plugin's world, as source.
fn generate(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    let mut world = wit::read(plugin)?;
    let mut files = Files::default();
    let options = Opts {
        generate_all: true,
        ownership: Ownership::Borrowing {
            duplicate_if_necessary: false,
        },
        default_bindings_module: Some("crate::bindings".to_owned()),
        ..Opts::default()
    };
    options
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|error| AuthorError::Wit(format!("{error:#}")))?;
    let (_, source) = files.iter().next().expect("a world becomes one file");
    Ok(source.to_owned())
}

/// A line of what cargo prints, as far as it matters.
#[derive(Debug, Deserialize)]
struct CargoMessage {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Returns the module that cargo made of the crate in a folder.
fn artifact(plugin: &Path, printed: &[u8]) -> Result<PathBuf, AuthorError> {
    let manifest = plugin.join("Cargo.toml");
    let manifest = manifest
        .canonicalize()
        .map_err(AuthorError::io("find", &manifest))?;
    String::from_utf8_lossy(printed)
        .lines()
        .filter_map(|line| serde_json::from_str::<CargoMessage>(line).ok())
        .filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest)
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .ok_or_else(|| {
            AuthorError::NoResult(format!(
                "{}: cargo made no module: add `[lib]` with crate-type = [\"cdylib\", \"lib\"]",
                manifest.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_is_told_is_a_line_of_configuration() {
        let line = compiler_flags(Path::new("/a \"b\"/x=y/build"));
        let read: toml::Table = line.parse().expect("TOML");
        let flags = read["target"][RUST_TARGET]["rustflags"]
            .as_array()
            .expect("a list");
        assert_eq!(flags.first().and_then(toml::Value::as_str), Some(STACK));
        let last = flags.last().and_then(toml::Value::as_str);
        assert_eq!(last, Some("--remap-path-prefix=/a \"b\"/x=y=."));
    }
}
