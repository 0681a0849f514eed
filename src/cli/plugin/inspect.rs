//! `portcullis plugin inspect`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::output::{print_anatomy, say};
use crate::author::Anatomy;
use crate::plugin::folder::COMPONENT_FILE;

/// Prints what a component is made of; of a folder, that of its plugin.
///
/// # Errors
/// It cannot be read, or is no component.
pub(super) fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let file = if path.is_dir() {
        path.join(COMPONENT_FILE)
    } else {
        path.to_owned()
    };
    let component = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let anatomy = Anatomy::read(&component).with_context(|| file.display().to_string())?;
    say!("file     {}", file.display());
    print_anatomy(&anatomy);
    Ok(ExitCode::SUCCESS)
}
