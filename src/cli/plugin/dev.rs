//! `portcullis plugin dev`.

use std::path::Path;
use std::process::ExitCode;

use super::test;
use crate::author;
use crate::author::dev::{SourceWatcher, install};

/// Builds, tests and installs a plugin whenever its source changes, until it is interrupted. What does not build or pass
/// changes nothing in the gateway.
///
/// # Errors
/// The folder cannot be watched.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command says what happens"
)]
pub(super) fn run(folder: &Path, into: Option<&Path>) -> anyhow::Result<ExitCode> {
    let watcher = SourceWatcher::start(folder)?;
    loop {
        match round(folder, into) {
            Ok(true) => println!("waiting for changes in {}", folder.display()),
            Ok(false) => eprintln!("not installed; waiting for changes in {}", folder.display()),
            Err(error) => eprintln!(
                "{error:#}\nnot installed; waiting for changes in {}",
                folder.display()
            ),
        }
        let Some(changed) = watcher.next() else {
            return Ok(ExitCode::FAILURE);
        };
        println!("\n{} changed", changed.display());
    }
}

/// Builds, tests and installs once; returns whether the plugin is in place.
#[expect(clippy::print_stdout, reason = "the command says what happens")]
fn round(folder: &Path, into: Option<&Path>) -> anyhow::Result<bool> {
    let anatomy = author::build(folder)?;
    println!("built {} ({} bytes)", anatomy.sha256, anatomy.size);
    if test::run(folder)? != ExitCode::SUCCESS {
        return Ok(false);
    }
    if let Some(plugins) = into {
        println!("installed in {}", install(folder, plugins)?.display());
    }
    Ok(true)
}
