//! Where things are: the folder of a plugin, what is built there, and the user's cache.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::AuthorError;

/// What is made on the way to the component, in the folder of a plugin.
const BUILD_FOLDER: &str = "build";

/// Makes the folder for what is generated, which version control ignores; returns its absolute path.
pub(super) fn build_folder(plugin: &Path) -> Result<PathBuf, AuthorError> {
    let folder = plugin.join(BUILD_FOLDER);
    fs::create_dir_all(&folder).map_err(AuthorError::io("make", &folder))?;
    let folder = folder.canonicalize().map_err(AuthorError::io("find", &folder))?;
    let ignore = folder.join(".gitignore");
    fs::write(&ignore, "*\n").map_err(AuthorError::io("write", &ignore))?;
    Ok(folder)
}

/// Returns the folder of the user's cache for tools of this name.
pub(super) fn cache(name: &str) -> Result<PathBuf, AuthorError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
        .ok_or_else(|| AuthorError::Missing {
            missing: "there is no place for a cache".to_owned(),
            remedy: "set HOME or XDG_CACHE_HOME".to_owned(),
        })?;
    Ok(base.join("portcullis").join(name))
}

/// Writes a file so that others see the old one or the new one, never half of it.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AuthorError> {
    let name = path.file_name().unwrap_or(OsStr::new("file"));
    let mut hidden = OsStr::new(".").to_owned();
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(hidden);
    fs::write(&temporary, bytes).map_err(AuthorError::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(AuthorError::io("replace", path))
}

/// Writes a file only where its content changes, so that builds see what is new by its time.
pub(super) fn write_changed(path: &Path, bytes: &[u8]) -> Result<(), AuthorError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(AuthorError::io("make", folder))?;
    }
    fs::write(path, bytes).map_err(AuthorError::io("write", path))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let folder = std::env::temp_dir().join(format!("portcullis-paths-{}", Uuid::new_v4()));
        fs::create_dir(&folder).expect("a new folder");
        let path = folder.join("plugin.wasm");
        for text in ["first", "second"] {
            write_whole(&path, text.as_bytes()).expect("written");
            assert_eq!(fs::read(&path).expect("it is there"), text.as_bytes());
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
        fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn what_has_not_changed_is_not_written() {
        let folder = std::env::temp_dir().join(format!("portcullis-paths-{}", Uuid::new_v4()));
        let path = folder.join("new/x");
        write_changed(&path, b"1").expect("written");
        let modified = || {
            fs::metadata(&path)
                .expect("it is there")
                .modified()
                .expect("a time")
        };
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let file = fs::File::options().write(true).open(&path).expect("ours");
        file.set_modified(long_ago).expect("ours");
        write_changed(&path, b"1").expect("nothing to write");
        assert_eq!(modified(), long_ago);
        write_changed(&path, b"2").expect("written");
        assert_ne!(modified(), long_ago);
        fs::remove_dir_all(folder).expect("ours");
    }
}
