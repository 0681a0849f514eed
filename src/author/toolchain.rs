//! What the languages need, and the command that brings what is missing.

use std::ffi::OsString;
use std::path::Path;

use super::error::AuthorError;
use super::paths;
use super::tool::{Tool, named};

/// The target of Rust plugins: it knows no WASI.
pub(super) const RUST_TARGET: &str = "wasm32-unknown-unknown";
/// Set to `debian`, it makes builds use the private compiler even where rustup has the target.
const RUST_CHOICE: &str = "PORTCULLIS_WASM_TOOLCHAIN";

/// Sets up a compiler privately where rustup cannot; see there.
const SCRIPT: &str = include_str!("../../plugins/toolchain.sh");

/// Prepares this machine for plugins in Rust: by rustup, or with the distribution's compiler in the user's cache. Takes
/// minutes the first time, and says on standard error how far it is.
///
/// # Errors
/// It cannot be done here; the script has said why.
pub fn prepare_rust() -> Result<(), AuthorError> {
    let script = paths::cache("author-toolchain.sh")?;
    paths::write_changed(&script, SCRIPT.as_bytes())?;
    Tool::new("bash").arguments([script]).run()
}

/// A Rust compiler that has [`RUST_TARGET`], as the environment that makes cargo use it.
#[derive(Debug)]
pub(super) struct RustToolchain {
    pub(super) environment: Vec<(String, OsString)>,
    /// Whose it is, for people.
    pub(super) origin: &'static str,
}

impl RustToolchain {
    /// Finds one: the author's own, or the private one that [`prepare_rust`] sets up.
    pub(super) fn find(plugin: &Path) -> Result<Self, AuthorError> {
        let wants_private = std::env::var_os(RUST_CHOICE).is_some_and(|choice| choice == "debian");
        if !wants_private && own_rust_has_target(plugin) {
            return Ok(Self {
                environment: Vec::new(),
                origin: "which has the target wasm32-unknown-unknown",
            });
        }
        let file = paths::cache("rust-wasm")?.join("env");
        if let Ok(text) = std::fs::read_to_string(&file) {
            return Ok(Self {
                environment: variables(&text),
                origin: "with the private compiler that `plugin toolchain` has set up",
            });
        }
        Err(AuthorError::Missing {
            missing: format!("no Rust compiler here has the target {RUST_TARGET}"),
            remedy: format!(
                "with rustup: rustup target add {RUST_TARGET}\nwithout: portcullis plugin toolchain, which sets up \
                 Debian's compiler in your cache"
            ),
        })
    }
}

fn own_rust_has_target(plugin: &Path) -> bool {
    let folder = Tool::new(named("RUSTC", "rustc"))
        .arguments(["--print", "target-libdir", "--target", RUST_TARGET])
        .folder(plugin)
        .probe();
    folder.is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Reads `NAME=value` lines, as a shell would: with or without `export` and simple quotes.
fn variables(text: &str) -> Vec<(String, OsString)> {
    let variable = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let unquoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        Some((name.to_owned(), unquoted.unwrap_or(value).into()))
    };
    text.lines().filter_map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_a_shell_would() {
        let text =
            "# of the compiler\nexport RUSTC='/a b/rustc'\nLD_LIBRARY_PATH=\"/a/lib\"\n\nX=1=2\nnothing\n";
        let variables = variables(text);
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("UTF-8")))
            .collect();
        assert_eq!(
            variables,
            [
                ("RUSTC", "/a b/rustc"),
                ("LD_LIBRARY_PATH", "/a/lib"),
                ("X", "1=2")
            ]
        );
    }
}
