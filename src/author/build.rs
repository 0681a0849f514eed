//! `plugin build`: from the source in a plugin's folder to `plugin.wasm` beside it.

use std::path::Path;

use super::anatomy::Anatomy;
use super::error::AuthorError;
use super::{c, js, paths, python, rust};
use crate::plugin::folder::COMPONENT_FILE;
use crate::plugin::manifest::{Language, MANIFEST_FILE, Manifest};

/// Builds a plugin and writes its component; returns what that is made of.
///
/// # Errors
/// The manifest is wrong, a tool is missing or fails, or the component wants WASI. The component that was there before
/// stays.
pub fn build(plugin: &Path) -> Result<Anatomy, AuthorError> {
    let manifest = Manifest::read(plugin)?;
    let Some(build) = &manifest.build else {
        return Err(AuthorError::NoLanguage(plugin.join(MANIFEST_FILE)));
    };
    let component = match build.lang {
        Language::Rust => rust::build(plugin),
        Language::Js => js::build(plugin),
        Language::Python => python::build(plugin),
        Language::C => c::build(plugin),
    }?;
    let anatomy = Anatomy::read(&component)?;
    anatomy.fits(&manifest)?;
    paths::write_whole(&plugin.join(COMPONENT_FILE), &component)?;
    Ok(anatomy)
}
