//! What JavaScript, Python and C need beyond the language: one pinned package each, in the user's cache, installed once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tracing::info;

use super::error::AuthorError;
use super::paths;
use super::tool::{self, Tool};

/// Stands in the folder of a kit when it is complete.
const READY: &str = ".ready";

/// One package of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kit {
    /// `componentize-qjs`, of npm: JavaScript in QuickJS.
    Js,
    /// `componentize-py`, of PyPI: CPython.
    Python,
    /// `ziglang`, of PyPI: a C compiler with its library.
    Zig,
}

impl Kit {
    /// Returns the package and its version.
    pub fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Js => ("componentize-qjs", "0.4.5"),
            Self::Python => ("componentize-py", "0.25.1"),
            Self::Zig => ("ziglang", "0.17.0"),
        }
    }

    /// Returns the program that installs it.
    pub fn installer(self) -> &'static str {
        match self {
            Self::Js => "npm",
            Self::Python | Self::Zig => "python3",
        }
    }

    /// Returns how to get the installer.
    fn remedy(self) -> &'static str {
        match self {
            Self::Js => "install Node.js 20 or later, with npm: apt-get install nodejs npm",
            Self::Python | Self::Zig => "install Python 3.10 or later: apt-get install python3 python3-venv",
        }
    }

    /// Returns where it is, or will be.
    ///
    /// # Errors
    /// The user has no home.
    pub fn folder(self) -> Result<PathBuf, AuthorError> {
        let (package, version) = self.package();
        paths::cache(&format!("author-{package}-{version}"))
    }

    /// Tells whether it is installed.
    pub fn is_installed(self) -> bool {
        self.folder().is_ok_and(|folder| folder.join(READY).exists())
    }

    /// Tells whether it could be installed; otherwise returns how to change that.
    ///
    /// # Errors
    /// The installer is missing.
    pub fn installable(self) -> Result<(), AuthorError> {
        if tool::find(self.installer()).is_some() {
            return Ok(());
        }
        Err(AuthorError::Missing {
            missing: format!("there is no {} here", self.installer()),
            remedy: self.remedy().to_owned(),
        })
    }

    /// Returns its folder; installs it before, if need be, with the installer's progress on standard error.
    pub(super) fn ready(self) -> Result<PathBuf, AuthorError> {
        let folder = self.folder()?;
        if folder.join(READY).exists() {
            return Ok(folder);
        }
        self.installable()?;
        let parent = folder.parent().expect("it lies in the cache");
        fs::create_dir_all(parent).map_err(AuthorError::io("make", parent))?;
        let lock_path = folder.with_extension("lock");
        let lock = File::create(&lock_path).map_err(AuthorError::io("make", &lock_path))?;
        lock.lock().map_err(AuthorError::io("lock", &lock_path))?;
        if folder.join(READY).exists() {
            return Ok(folder); // somebody else was faster
        }
        let _ = fs::remove_dir_all(&folder); // what an interrupted installation left
        fs::create_dir_all(&folder).map_err(AuthorError::io("make", &folder))?;
        self.install(&folder)?;
        paths::write_whole(&folder.join(READY), b"")?;
        Ok(folder)
    }

    fn install(self, folder: &Path) -> Result<(), AuthorError> {
        let (package, version) = self.package();
        info!(package, version, folder = %folder.display(), "installing, once");
        match self {
            Self::Js => Tool::new("npm")
                .arguments(["install", "--no-audit", "--no-fund", "--prefix"])
                .arguments([folder])
                .arguments([format!("{package}@{version}")])
                .folder(folder)
                .run(),
            Self::Python | Self::Zig => {
                Tool::new("python3")
                    .arguments(["-m", "venv"])
                    .arguments([folder])
                    .run()?;
                Tool::new(folder.join("bin/python"))
                    .arguments([
                        "-m",
                        "pip",
                        "install",
                        "--disable-pip-version-check",
                        "--progress-bar",
                        "off",
                    ])
                    .arguments([format!("{package}=={version}")])
                    .run()
            }
        }
    }
}
