//! C: `src/*.c` with zig's clang; the bindings and the component are made here.

use std::fs;
use std::path::{Path, PathBuf};

use wit_bindgen_core::Files;

use super::component::componentize;
use super::error::AuthorError;
use super::kit::Kit;
use super::tool::Tool;
use super::{paths, wit};

/// Builds the sources in the folder of a plugin and returns the component.
pub(super) fn build(plugin: &Path) -> Result<Vec<u8>, AuthorError> {
    let build = paths::build_folder(plugin)?;
    let bindings = bindings(plugin, &build.join("bindings"))?;
    let kit = Kit::Zig.ready()?;
    let module = build.join("module.wasm");
    Tool::new(kit.join("bin/python"))
        .arguments([
            "-m",
            "ziglang",
            "cc",
            "--target=wasm32-wasi",
            "-mexec-model=reactor",
            "-Os",
            "-Wall",
            "-Wextra",
        ])
        .arguments(["-Wl,--strip-all,-z,stack-size=65536", "-I"])
        .arguments([build.join("bindings")])
        .arguments(["-o"])
        .arguments([&module])
        .arguments(bindings)
        .arguments(sources(plugin)?)
        .run()?;
    let module = fs::read(&module).map_err(AuthorError::io("read", &module))?;
    componentize(
        &module,
        "the C library asks for it when a program prints, exits, reads files or the clock: use the imports of wit/world.wit",
    )
}

/// Writes the bindings to a plugin's world; returns what of it is linked.
fn bindings(plugin: &Path, folder: &Path) -> Result<Vec<PathBuf>, AuthorError> {
    let mut world = wit::read(plugin)?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|error| AuthorError::Wit(format!("{error:#}")))?;
    let mut linked = Vec::new();
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        paths::write_changed(&path, bytes)?;
        if path.extension().is_some_and(|extension| extension != "h") {
            linked.push(path);
        }
    }
    Ok(linked)
}

fn sources(plugin: &Path) -> Result<Vec<PathBuf>, AuthorError> {
    let folder = plugin.join("src");
    let mut sources = Vec::new();
    for entry in folder.read_dir().map_err(AuthorError::io("read", &folder))? {
        let path = entry.map_err(AuthorError::io("read", &folder))?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    if sources.is_empty() {
        return Err(AuthorError::NoResult(format!(
            "{}: there is no C source",
            folder.display()
        )));
    }
    sources.sort();
    Ok(sources)
}
