//! `plugin doctor`: which languages plugins can be built in here, and what to do about the others.

use std::path::Path;

use super::kit::Kit;
use super::tool::{Tool, named};
use super::toolchain::RustToolchain;

/// How one language does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub language: &'static str,
    /// Whether a plugin can be built.
    pub health: Health,
}

/// Whether plugins can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Yes, with this.
    Ready(String),
    /// Yes; the first build installs this.
    OnFirstBuild(String),
    /// No.
    Missing {
        /// What is not here.
        what: String,
        /// The command that brings it.
        remedy: String,
    },
}

/// Looks for the toolchains of all languages. The folder counts for rustup, which may have an override there.
pub fn examine(folder: &Path) -> Vec<Finding> {
    let kit = |language, kit| Finding {
        language,
        health: kit_health(kit),
    };
    vec![
        Finding {
            language: "rust",
            health: rust_health(folder),
        },
        kit("js", Kit::Js),
        kit("python", Kit::Python),
        kit("c", Kit::Zig),
    ]
}

fn rust_health(folder: &Path) -> Health {
    let cargo = Tool::new(named("CARGO", "cargo"))
        .arguments(["--version"])
        .folder(folder);
    let Some(version) = cargo.probe() else {
        return Health::Missing {
            what: "there is no cargo here".to_owned(),
            remedy: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --target \
                     wasm32-unknown-unknown"
                .to_owned(),
        };
    };
    match RustToolchain::find(folder) {
        Ok(toolchain) => Health::Ready(format!("{version}, {}", toolchain.origin)),
        Err(error) => missing(&error.to_string()),
    }
}

fn kit_health(kit: Kit) -> Health {
    let (package, version) = kit.package();
    if kit.is_installed() {
        return Health::Ready(format!("{package} {version}"));
    }
    match kit.installable() {
        Ok(()) => Health::OnFirstBuild(format!("{package} {version}")),
        Err(error) => missing(&error.to_string()),
    }
}

fn missing(error: &str) -> Health {
    let (what, remedy) = error.split_once('\n').unwrap_or((error, ""));
    Health::Missing {
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}
