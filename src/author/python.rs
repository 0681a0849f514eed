//! x
use super::error::AuthorError;
use std::path::Path;
pub(super) fn build(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    let _ = plugin;
    Err(AuthorError::NoResult("not yet".to_owned()))
}
