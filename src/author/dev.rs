//! `plugin dev`: notices when the source of a plugin changes, and puts what was built of it into a gateway.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::error::AuthorError;
use super::paths::write_whole;
use crate::plugin::folder::{COMPONENT_FILE, SIGNATURE_FILE};
use crate::plugin::manifest::{MANIFEST_FILE, Manifest};

/// A change is over when nothing has happened for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// What builds write themselves.
const BUILT: &[&str] = &[
    "build",
    "target",
    "node_modules",
    "__pycache__",
    ".git",
    "Cargo.lock",
];

/// Watches the source of a plugin.
#[derive(Debug)]
pub struct SourceWatcher {
    changed: Receiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

impl SourceWatcher {
    /// Begins to watch.
    ///
    /// # Errors
    /// The folder cannot be watched.
    pub fn start(folder: &Path) -> Result<Self, AuthorError> {
        let root = folder.canonicalize().map_err(AuthorError::io("find", folder))?;
        let (tx, changed) = channel();
        let watched = root.clone();
        // What the watcher sees in the meantime is bounded by how often files change while one build runs.
        let on_event = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() {
                return;
            }
            for path in event.paths {
                if is_source(&watched, &path) {
                    let _ = tx.send(path); // nobody waits any more: it is over
                }
            }
        };
        let refused = |error: notify::Error| {
            AuthorError::Refused(format!("cannot watch {}: {error}", folder.display()))
        };
        let mut watcher = notify::recommended_watcher(on_event).map_err(refused)?;
        watcher.watch(&root, RecursiveMode::Recursive).map_err(refused)?;
        Ok(Self {
            changed,
            _watcher: watcher,
        })
    }

    /// Waits for a change, and until it is over; returns the file that changed first. None where nothing can be seen any
    /// more.
    pub fn next(&self) -> Option<PathBuf> {
        let first = self.changed.recv().ok()?;
        loop {
            match self.changed.recv_timeout(QUIET) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Some(first),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

fn is_source(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else {
        return false;
    };
    let Some(name) = inside.iter().next_back().map(|name| name.to_string_lossy()) else {
        return false;
    };
    let is_built = inside.iter().any(|part| BUILT.iter().any(|built| part == *built));
    !is_built
        && !name.starts_with(&format!(".{COMPONENT_FILE}"))
        && name != COMPONENT_FILE
        && name != SIGNATURE_FILE
}

/// Puts a built plugin into the plugins of a gateway, which notices. Returns where it is now. The component goes first:
/// a manifest never stands beside a component that is older than it.
///
/// # Errors
/// Something cannot be read or written.
pub fn install(folder: &Path, plugins: &Path) -> Result<PathBuf, AuthorError> {
    let name = Manifest::read(folder)?.plugin.name;
    let target = plugins.join(name);
    std::fs::create_dir_all(&target).map_err(AuthorError::io("make", &target))?;
    let is_there = folder.canonicalize().ok() == target.canonicalize().ok();
    if is_there {
        return Ok(target);
    }
    for file in [COMPONENT_FILE, MANIFEST_FILE, SIGNATURE_FILE] {
        let (source, copy) = (folder.join(file), target.join(file));
        if source.exists() {
            let bytes = std::fs::read(&source).map_err(AuthorError::io("read", &source))?;
            write_whole(&copy, &bytes)?;
        } else if copy.exists() {
            // A signature of what was there before.
            std::fs::remove_file(&copy).map_err(AuthorError::io("remove", &copy))?;
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_what_was_built_and_no_older_signature() {
        let base = std::env::temp_dir().join(format!("portcullis-install-{}", uuid::Uuid::new_v4()));
        let (folder, plugins) = (base.join("source"), base.join("plugins"));
        std::fs::create_dir_all(&folder).expect("a new folder");
        let manifest = "plugin = { name = \"p\", version = \"1\" }\nhooks.access = { methods = [\"*\"] }\n";
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
        write(MANIFEST_FILE, manifest);
        write(COMPONENT_FILE, "c");
        write(SIGNATURE_FILE, "s");
        let installed = install(&folder, &plugins).expect("installed");
        assert!(installed.ends_with("plugins/p") && installed.join(SIGNATURE_FILE).exists());
        std::fs::remove_file(folder.join(SIGNATURE_FILE)).expect("ours");
        install(&folder, &plugins).expect("installed");
        let mut files: Vec<_> = installed
            .read_dir()
            .expect("there")
            .map(|entry| entry.expect("there").file_name())
            .collect();
        files.sort_unstable();
        assert_eq!(files, [MANIFEST_FILE, COMPONENT_FILE]);
        std::fs::remove_dir_all(base).expect("ours");
    }

    #[test]
    fn what_builds_write_is_no_source() {
        let root = Path::new("/p");
        for (path, expected) in [
            ("/p/src/lib.rs", true),
            ("/p/plugin.toml", true),
            ("/p/cases/first.toml", true),
            ("/p/plugin.wasm", false),
            ("/p/.plugin.wasm.17", false),
            ("/p/plugin.sig", false),
            ("/p/build/bindings.rs", false),
            ("/p/target/release/x", false),
            ("/p", false),
            ("/q/src/lib.rs", false),
        ] {
            assert_eq!(is_source(root, Path::new(path)), expected, "{path}");
        }
    }
}
