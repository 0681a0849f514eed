//! JavaScript: one module, `src/plugin.js`, and what it imports from beside it, in QuickJS.

use std::path::Path;

use super::error::AuthorError;
use super::kit::Kit;
use super::tool::Tool;
use super::{paths, wit};

/// Builds the module in the folder of a plugin and returns the component.
pub(super) fn build(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    wit::read(plugin)?;
    let kit = Kit::Js.ready()?;
    let build = paths::build_folder(plugin)?;
    wit::write_tree(plugin, &build.join("wit"))?;
    let component = build.join("component.wasm");
    Tool::new(kit.join("node_modules/.bin/componentize-qjs"))
        .arguments(["--stub-wasi", "--sync", "--js", "src/plugin.js", "--wit"])
        .arguments([&build.join("wit")])
        .arguments(["--output"])
        .arguments([&component])
        .folder(plugin)
        .run()?;
    std::fs::read(&component).map_err(AuthorError::io("read", &component))
}
