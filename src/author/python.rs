//! Python: the module `app` in `src/`, with CPython around it.

use std::path::Path;

use super::error::AuthorError;
use super::kit::Kit;
use super::tool::Tool;
use super::{paths, wit};

/// Builds the module in the folder of a plugin and returns the component. Leaves the bindings in `build/bindings`, where
/// an editor finds the types.
pub(super) fn build(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    wit::read(plugin)?;
    let kit = Kit::Python.ready()?;
    let build = paths::build_folder(plugin)?;
    let tree = build.join("wit");
    wit::write_tree(plugin, &tree)?;
    let tool = || {
        Tool::new(kit.join("bin/componentize-py"))
            .arguments(["--wit-path"])
            .arguments([&tree])
            .environment("RUST_BACKTRACE", "0") // its own would bury the author's
            .folder(plugin)
    };
    let bindings = build.join("bindings");
    let _ = std::fs::remove_dir_all(&bindings); // it does not write over what is there
    tool().arguments(["bindings"]).arguments([&bindings]).run()?;
    let component = build.join("component.wasm");
    tool()
        .arguments(["componentize", "--stub-wasi", "--python-path", "src", "--output"])
        .arguments([&component])
        .arguments(["app"])
        .run()?;
    std::fs::read(&component).map_err(AuthorError::io("read", &component))
}
