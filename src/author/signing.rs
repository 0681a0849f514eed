//! `plugin keygen`, `sign` and `verify`: who made a plugin.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::error::AuthorError;
use super::paths::write_whole;
use crate::plugin::folder::{COMPONENT_FILE, SIGNATURE_FILE};
use crate::plugin::manifest::MANIFEST_FILE;
use crate::plugin::signature::{PublicKey, SecretKey, Signature};

/// Makes a key and writes it into a new file that only its owner can read; returns the public one.
///
/// # Errors
/// The file exists or cannot be written.
pub fn generate(file: &Path) -> Result<PublicKey, AuthorError> {
    let key =
        SecretKey::generate().map_err(|error| AuthorError::Refused(format!("no random numbers: {error}")))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file).map_err(AuthorError::io("make", file))?;
    writeln!(opened, "{}", key.to_text()).map_err(AuthorError::io("write", file))?;
    Ok(key.public())
}

/// Signs the plugin in a folder with the key in a file: writes `plugin.sig`. Returns the public key.
///
/// # Errors
/// The key, the manifest or the component cannot be read.
pub fn sign(folder: &Path, key: &Path) -> Result<PublicKey, AuthorError> {
    let text = fs::read_to_string(key).map_err(AuthorError::io("read", key))?;
    let key: SecretKey = text.parse()?;
    let (manifest, component) = signed(folder)?;
    let signature = key.sign(&manifest, &component);
    write_whole(&folder.join(SIGNATURE_FILE), signature.to_text().as_bytes())?;
    Ok(key.public())
}

/// Checks the signature of the plugin in a folder; without trusted keys only that it is the work of the key that it
/// names. Returns that key.
///
/// # Errors
/// There is no signature, or it does not fit.
pub fn verify(folder: &Path, trusted: &[PublicKey]) -> Result<PublicKey, AuthorError> {
    let path = folder.join(SIGNATURE_FILE);
    if !path.exists() {
        return Err(AuthorError::Unsigned(folder.to_owned()));
    }
    let text = fs::read(&path).map_err(AuthorError::io("read", &path))?;
    let signature = Signature::parse(&text)?;
    let (manifest, component) = signed(folder)?;
    let own = [signature.key()];
    let trusted = if trusted.is_empty() { &own } else { trusted };
    signature.verify(trusted, &manifest, &component)?;
    Ok(signature.key())
}

fn signed(folder: &Path) -> Result<(Vec<u8>, Vec<u8>), AuthorError> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(AuthorError::io("read", &path))
    };
    Ok((read(MANIFEST_FILE)?, read(COMPONENT_FILE)?))
}
