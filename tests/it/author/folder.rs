//! A folder for one test, and the command line in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder that goes when the test is over.
pub(super) struct Folder(PathBuf);

/// What a command came to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) is_done: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("portcullis-it-author-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a new folder");
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file.
    pub(super) fn write(&self, place: &str, text: &str) {
        let path = self.0.join(place);
        std::fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a new folder");
        std::fs::write(path, text).expect("written");
    }

    /// Runs `portcullis plugin` with an environment in which there is nothing but an empty cache.
    pub(super) fn plugin(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("plugin")
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", "")
            .env("XDG_CACHE_HOME", self.0.join("cache"))
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said {
            is_done: output.status.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs it; it succeeds. Returns what it prints.
    #[track_caller]
    pub(super) fn does(&self, arguments: &[&str]) -> String {
        let said = self.plugin(arguments);
        assert!(said.is_done, "{arguments:?}: {said:?}");
        said.stdout
    }

    /// Runs it; it fails. Returns why.
    #[track_caller]
    pub(super) fn refuses(&self, arguments: &[&str]) -> String {
        let said = self.plugin(arguments);
        assert!(!said.is_done, "{arguments:?}: {said:?}");
        said.stderr
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
