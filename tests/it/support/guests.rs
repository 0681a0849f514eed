//! The bundled plugins, built where they are not yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::Gateway;

/// A gateway with some of the bundled plugins, and the folder that holds them.
pub(crate) struct Guarded {
    pub(crate) gateway: Gateway,
    folder: PathBuf,
}

impl Guarded {
    /// Starts a gateway with these plugins. `top` are keys of the configuration before any table, `more` the rest.
    pub(crate) fn start(plugins: &[&str], top: &str, more: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portcullis-guests-{}", uuid::Uuid::new_v4()));
        for plugin in plugins {
            copy(&built(plugin), &folder.join(plugin));
        }
        let dir = folder.display().to_string();
        let host = format!("[plugin-host]\ndir = {dir:?}\nwatch = false\n");
        Self {
            gateway: Gateway::start(&format!("{top}\n{host}{more}\n")),
            folder,
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the folder of a bundled plugin with its component in it.
fn built(plugin: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(plugin);
    if !folder.join("plugin.wasm").exists() {
        let mut build = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let status = build.args(["plugin", "build"]).arg(&folder).status();
        assert!(status.expect("it starts").success(), "{plugin} is built");
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the temporary directory is writable");
    for file in ["plugin.toml", "plugin.wasm"] {
        fs::copy(from.join(file), to.join(file)).expect("it is there");
    }
}
