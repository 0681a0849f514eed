//! Gateways with plugins: the bundled ones and those of `tests/guests`, built where they are not yet or have changed since, and trials.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

use rustix::process::Signal;

use super::Gateway;
use crate::trial::Trial;

/// A gateway with some of the bundled plugins, and the folder that holds them.
pub(crate) struct Guarded {
    pub(crate) gateway: Gateway,
    folder: PathBuf,
}

impl Guarded {
    /// Starts a gateway with these plugins. `top` are keys of the configuration before any table, `more` the rest.
    pub(crate) fn start(plugins: &[&str], top: &str, more: &str) -> Self {
        Self::start_with(plugins, &[], top, more)
    }

    /// Starts a gateway that has these trials in its folder, too.
    pub(crate) fn start_with(plugins: &[&str], trials: &[Trial], top: &str, more: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portcullis-guests-{}", uuid::Uuid::new_v4()));
        for plugin in plugins {
            copy(&built(plugin), &folder.join(plugin));
        }
        trials.iter().for_each(|trial| trial.drop_into(&folder));
        let dir = folder.display().to_string();
        let host = format!("[plugin-host]\ndir = {dir:?}\nwatch = false\n");
        Self {
            gateway: Gateway::start(&format!("{top}\n{host}{more}\n")),
            folder,
        }
    }

    /// Changes the text of the configuration's file and tells the gateway to look at it.
    pub(crate) fn rewrite(&self, change: impl Fn(&str) -> String) {
        let file = self.gateway.directory().join("portcullis.toml");
        let text = fs::read_to_string(&file).expect("the directory is ours");
        let new = file.with_extension("new");
        fs::write(&new, change(&text)).expect("the directory is ours");
        fs::rename(&new, &file).expect("the directory is ours");
        self.gateway.process().signal(Signal::HUP);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the folder of a plugin with its component in it.
fn built(plugin: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = |parent: &str| source.join(parent).join(plugin);
    let folder = [place("plugins"), place("tests/guests")];
    let folder = folder
        .into_iter()
        .find(|folder| folder.exists())
        .expect("it is there");
    if is_outdated(&folder) {
        let mut build = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let status = build.args(["plugin", "build"]).arg(&folder).status();
        assert!(status.expect("it starts").success(), "{plugin} is built");
    }
    folder
}

/// Tells whether the component is missing, or older than something that it is made of: what `make` looks at.
fn is_outdated(folder: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts = [
        folder.join("plugin.toml"),
        folder.join("src"),
        folder.join("wit"),
        source.join("plugins/kit/src"),
        source.join("wit/plugin-0.1"),
    ];
    let built = newest(&folder.join("plugin.wasm"));
    parts.iter().any(|part| newest(part) > built)
}

/// Returns when a file, or a file somewhere in a folder, was changed last; nothing is older than what is not there.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::metadata(path).and_then(|file| file.modified()).ok();
    };
    entries
        .map(|entry| newest(&entry.expect("the sources are readable").path()))
        .max()?
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the temporary directory is writable");
    for file in ["plugin.toml", "plugin.wasm"] {
        fs::copy(from.join(file), to.join(file)).expect("it is there");
    }
}
