//! `portcullis plugin build`.

use std::path::Path;
use std::process::ExitCode;

use super::output::{print_anatomy, say, show_logs};
use crate::author;
use crate::plugin::folder::COMPONENT_FILE;

/// Builds the plugin in a folder and prints what its component is made of.
///
/// # Errors
/// The manifest is wrong, a tool is missing or fails, or the component cannot be a plugin.
pub(super) fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    show_logs();
    let anatomy = author::build(folder)?;
    say!("built    {}", folder.join(COMPONENT_FILE).display());
    print_anatomy(&anatomy);
    Ok(ExitCode::SUCCESS)
}
