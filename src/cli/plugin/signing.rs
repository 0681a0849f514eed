//! `portcullis plugin keygen`, `sign` and `verify`.

use std::path::Path;
use std::process::ExitCode;

use super::output::say;
use crate::author::signing;
use crate::plugin::signature::PublicKey;

/// Makes a key.
///
/// # Errors
/// The file exists or cannot be written.
pub(super) fn keygen(file: &Path) -> anyhow::Result<ExitCode> {
    say!("{}", signing::generate(file)?);
    Ok(ExitCode::SUCCESS)
}

/// Signs a plugin.
///
/// # Errors
/// The key or the plugin cannot be read.
pub(super) fn sign(folder: &Path, key: &Path) -> anyhow::Result<ExitCode> {
    let public = signing::sign(folder, key)?;
    say!("{} signed with {public}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Checks the signature of a plugin.
///
/// # Errors
/// There is none, or it does not fit.
pub(super) fn verify(folder: &Path, trusted: &[PublicKey]) -> anyhow::Result<ExitCode> {
    let key = signing::verify(folder, trusted)?;
    let trust = if trusted.is_empty() {
        "no --trusted key was given: anybody may have made that one"
    } else {
        "which is trusted"
    };
    say!("{} is as it was signed with {key}, {trust}", folder.display());
    Ok(ExitCode::SUCCESS)
}
