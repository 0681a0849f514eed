//! The interfaces: the released WIT, which is part of this program, and the world that a plugin adds to it.

use std::path::Path;

use wit_parser::{Resolve, SourceMap, WorldId};

use super::error::AuthorError;
use super::paths::write_changed;

/// Every released line: the folder below `wit/`, and its files.
const LINES: &[(&str, &[(&str, &str)])] = &[(
    "plugin-0.1",
    &[
        ("types.wit", include_str!("../../wit/plugin-0.1/types.wit")),
        ("host.wit", include_str!("../../wit/plugin-0.1/host.wit")),
        ("hooks.wit", include_str!("../../wit/plugin-0.1/hooks.wit")),
    ],
)];

/// The world of a plugin, with everything that it means.
#[derive(Debug)]
pub(super) struct World {
    pub(super) resolve: Resolve,
    pub(super) id: WorldId,
}

/// Reads the world of a plugin, from `wit/*.wit` in its folder.
pub(super) fn read(plugin: &Path) -> Result<World, AuthorError> {
    let mut resolve = Resolve::default();
    for (line, files) in LINES {
        let mut sources = SourceMap::new();
        for (name, text) in *files {
            sources.push_str(&format!("{line}/{name}"), *text);
        }
        push(&mut resolve, sources)?;
    }
    let folder = plugin.join("wit");
    let mut sources = SourceMap::new();
    sources.push_dir(&folder).map_err(|error| {
        AuthorError::Wit(format!(
            "{error:#}; a plugin says in wit/world.wit what it exports and imports"
        ))
    })?;
    let package = push(&mut resolve, sources)?;
    let id = resolve
        .select_world(&[package], None)
        .map_err(|error| AuthorError::Wit(format!("{}: {error:#}", folder.display())))?;
    Ok(World { resolve, id })
}

fn push(resolve: &mut Resolve, sources: SourceMap) -> Result<wit_parser::PackageId, AuthorError> {
    let group = sources
        .parse()
        .map_err(|(sources, error)| AuthorError::Wit(error.render(&sources)))?;
    resolve
        .push_group(group)
        .map_err(|error| AuthorError::Wit(resolve.render_error(&error.into())))
}

/// Writes the world of a plugin as a tree that other tools read: its own files, and the released WIT in `deps/`.
pub(super) fn write_tree(plugin: &Path, tree: &Path) -> Result<(), AuthorError> {
    write_released(&tree.join("deps"))?;
    let folder = plugin.join("wit");
    let entries = folder.read_dir().map_err(AuthorError::io("read", &folder))?;
    for entry in entries {
        let path = entry.map_err(AuthorError::io("read", &folder))?.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = std::fs::read(&path).map_err(AuthorError::io("read", &path))?;
            let name = path.file_name().expect("it was found in a folder");
            write_changed(&tree.join(name), &text)?;
        }
    }
    Ok(())
}

/// Writes the released WIT, each line as a folder.
pub(super) fn write_released(folder: &Path) -> Result<(), AuthorError> {
    for (line, files) in LINES {
        for (name, text) in *files {
            write_changed(&folder.join(line).join(name), text.as_bytes())?;
        }
    }
    Ok(())
}
