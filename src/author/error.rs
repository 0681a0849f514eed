//! Why an author does not get what was asked for. The author reads it: every variant says what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::plugin::LoadError;
use crate::plugin::manifest::ManifestError;
use crate::plugin::signature::SignatureError;

/// Why an author does not get what was asked for.
#[derive(Debug, Error)]
pub enum AuthorError {
    /// The system refuses something.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest, or a file of cases.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A plugin cannot be called so.
    #[error("\"{0}\" is no name for a plugin: use a to z, 0 to 9 and \"-\", beginning with a letter")]
    NoName(String),
    /// The manifest does not say how the plugin is built.
    #[error("{path}: nothing says how to build it: add `[build]` with lang = \"rust\", \"js\", \"python\" or \"c\"", path = .0.display())]
    NoLanguage(PathBuf),
    /// The plugin's world cannot be read.
    #[error("{0}")]
    Wit(String),
    /// A tool or a toolchain is not here.
    #[error("{missing}\n{remedy}")]
    Missing {
        /// What is not here.
        missing: String,
        /// How to get it: the command.
        remedy: String,
    },
    /// A tool could not be started.
    #[error("cannot start {program}: {source}")]
    NotStarted {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A tool failed; it has said why itself.
    #[error("{program} failed ({status})")]
    ToolFailed {
        /// Which.
        program: String,
        /// How it ended.
        status: String,
    },
    /// The tool succeeded without a result that can be used.
    #[error("{0}")]
    NoResult(String),
    /// The core module makes no component.
    #[error("this makes no component: {0}")]
    NoComponent(String),
    /// Nobody has signed it.
    #[error("{path} is not signed: `portcullis plugin sign --key FILE {path}`", path = .0.display())]
    Unsigned(PathBuf),
    /// A signature or a key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The gateway would not let it in.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No operator could configure it so.
    #[error(
        "{}\nit is tried with cases/config.toml, or with nothing: write there what an operator would",
        .0.join("\n")
    )]
    Unconfigured(Vec<String>),
    /// It failed, or something about it did.
    #[error("{0}")]
    Refused(String),
    /// Component and manifest do not fit.
    #[error("{}", .0.join("\n"))]
    Unfit(Vec<String>),
    /// The component wants WASI, which the gateway does not have.
    #[error("it imports {imports}, and the gateway has no WASI; {remedy}", imports = .imports.join(", "))]
    Wasi {
        /// What it imports.
        imports: Vec<String>,
        /// How to build it without.
        remedy: &'static str,
    },
}

impl AuthorError {
    /// Returns what makes an error of the system one of ours.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
