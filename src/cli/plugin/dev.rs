//! `portcullis plugin dev`.

use std::path::Path;
use std::process::ExitCode;

use super::super::output::told;
use super::output::say;
use super::test;
use crate::author::dev::{SourceWatcher, install};
use crate::author::{self, signing};

/// Builds, tests and installs a plugin whenever its source changes, until it is interrupted. What does not build or pass
/// changes nothing in the gateway.
///
/// # Errors
/// The folder cannot be watched.
#[expect(clippy::print_stderr, reason = "the command says what happens")]
pub(super) fn run(folder: &Path, into: Option<&Path>, key: Option<&Path>) -> anyhow::Result<ExitCode> {
    let watcher = SourceWatcher::start(folder)?;
    loop {
        match round(folder, into, key) {
            Ok(true) => say!("waiting for changes in {}", folder.display()),
            Ok(false) => eprintln!("not installed; waiting for changes in {}", folder.display()),
            Err(error) => eprintln!(
                "{}\nnot installed; waiting for changes in {}",
                told(&error),
                folder.display()
            ),
        }
        let Some(changed) = watcher.next() else {
            return Ok(ExitCode::FAILURE);
        };
        say!("\n{} changed", changed.display());
    }
}

/// Builds, tests and installs once; returns whether the plugin is in place.
fn round(folder: &Path, into: Option<&Path>, key: Option<&Path>) -> anyhow::Result<bool> {
    let anatomy = author::build(folder)?;
    say!("built {} ({} bytes)", anatomy.sha256, anatomy.size);
    if test::run(folder)? != ExitCode::SUCCESS {
        return Ok(false);
    }
    if let Some(key) = key {
        signing::sign(folder, key)?;
    }
    if let Some(plugins) = into {
        let place = install(folder, plugins)?;
        say!(
            "installed in {}; `portcullis plugin list` says what the gateway made of it",
            place.display()
        );
    }
    Ok(true)
}
