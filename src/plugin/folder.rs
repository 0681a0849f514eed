//! The folder of a plugin, read once: the bytes that are hashed and verified here are the ones that are parsed and
//! compiled later. Nothing outside of the folder is read, so a symbolic link is refused, and so is what is no file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::manifest::{MANIFEST_FILE, MANIFEST_MAX, is_name};

/// The component in the folder of a plugin.
pub const COMPONENT_FILE: &str = "plugin.wasm";
/// The signature in the folder of a plugin.
pub const SIGNATURE_FILE: &str = "plugin.sig";
/// A larger component is not read, in bytes. One of Python has 18 MiB.
pub const COMPONENT_MAX: u64 = 64 << 20;
const SIGNATURE_MAX: u64 = 4096;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFolder {
    /// Where it is; for messages.
    pub path: PathBuf,
    /// `plugin.toml`.
    pub manifest: Vec<u8>,
    /// `plugin.wasm`.
    pub component: Vec<u8>,
    /// `plugin.sig`, if it is there.
    pub signature: Option<Vec<u8>>,
    /// Of the component.
    sha256: [u8; 32],
}

/// Why a folder cannot be read.
#[derive(Debug, Error)]
pub enum FolderError {
    /// There is no such folder.
    #[error("there is no folder {path}; a symbolic link is none", path = .0.display())]
    NoFolder(PathBuf),
    /// There is no manifest.
    #[error("{path} is not there", path = .0.display())]
    NoManifest(PathBuf),
    /// There is no component.
    #[error("{path} is not there: build it with `portcullis plugin build {folder}`", path = .0.display(),
        folder = .0.parent().unwrap_or(Path::new(".")).display())]
    NoComponent(PathBuf),
    /// It is no regular file.
    #[error("{path} is no regular file, and nothing else is read: copy the file itself", path = .0.display())]
    NotRegular(PathBuf),
    /// It is larger than anything of its kind.
    #[error("{path} has more than {max} bytes", path = .path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// How many bytes it may have.
        max: u64,
    },
    /// The system refuses something.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PluginFolder {
    /// Reads a folder. Blocks.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let folder = Handle::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FolderError::NoFolder(path.to_owned()),
            _ => FolderError::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        let file = |name: &str, max| read_file(&folder, path, name, max);
        let absent = |name: &str| path.join(name);
        let manifest = file(MANIFEST_FILE, MANIFEST_MAX)?
            .ok_or_else(|| FolderError::NoManifest(absent(MANIFEST_FILE)))?;
        let component = file(COMPONENT_FILE, COMPONENT_MAX)?
            .ok_or_else(|| FolderError::NoComponent(absent(COMPONENT_FILE)))?;
        Ok(Self {
            path: path.to_owned(),
            sha256: Sha256::digest(&component).into(),
            manifest,
            component,
            signature: file(SIGNATURE_FILE, SIGNATURE_MAX)?,
        })
    }

    /// Returns the SHA-256 of the component, in hexadecimal.
    pub fn sha256(&self) -> String {
        hexadecimal(&self.sha256)
    }

    /// Returns a digest of everything that was read: another one means another plugin.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.sha256);
        hash.update(Sha256::digest(&self.manifest));
        // An empty one is not none.
        if let Some(signature) = &self.signature {
            hash.update(Sha256::digest(signature));
        }
        hash.finalize().into()
    }
}

/// Returns the folders that hold a whole plugin, in their order; of those that did before, also what is left of them: a
/// plugin is gone when its folder is. Others hold sources, or something else.
pub(super) fn folders(dir: &Path, known: &BTreeSet<String>) -> io::Result<Vec<String>> {
    let entries = match dir.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let folder = dir.join(&name);
        // What cannot be looked at is there.
        let is_there = |path: &Path| {
            let found = path.symlink_metadata();
            !found.is_err_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                )
            })
        };
        let is_whole = || {
            [MANIFEST_FILE, COMPONENT_FILE]
                .iter()
                .all(|file| is_there(&folder.join(file)))
        };
        if is_name(&name) && (known.contains(&name) || is_whole()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_file(folder: &Handle, path: &Path, name: &str, max: u64) -> Result<Option<Vec<u8>>, FolderError> {
    let path = path.join(name);
    let io = |source| FolderError::Io {
        path: path.clone(),
        source,
    };
    let file = match folder.file(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == LINK => return Err(FolderError::NotRegular(path)),
        Err(error) => return Err(io(error)),
    };
    if !file.metadata().map_err(io)?.is_file() {
        return Err(FolderError::NotRegular(path));
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > max {
        return Err(FolderError::TooLong { path, max });
    }
    Ok(Some(bytes))
}

/// What opening a symbolic link ends with.
const LINK: io::ErrorKind = io::ErrorKind::InvalidInput;

/// An open folder: what is opened below it stays below it, also while somebody moves things about.
#[cfg(unix)]
struct Handle(std::os::fd::OwnedFd);

#[cfg(unix)]
impl Handle {
    fn open(path: &Path) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    fn file(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        use rustix::io::Errno;
        // A FIFO would keep whoever opens it waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.0, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => Err(LINK.into()),
            opened => Ok(opened?.into()),
        }
    }
}

/// Without `openat` links are looked for first.
#[cfg(not(unix))]
struct Handle(PathBuf);

#[cfg(not(unix))]
impl Handle {
    fn open(path: &Path) -> io::Result<Self> {
        match path.symlink_metadata()?.is_dir() {
            true => Ok(Self(path.to_owned())),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let path = self.0.join(name);
        match path.symlink_metadata()?.is_symlink() {
            true => Err(LINK.into()),
            false => File::open(path),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn new_folder() -> PathBuf {
        let path = std::env::temp_dir().join(format!("portcullis-folder-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).expect("a new folder");
        path
    }

    fn refusal(path: &Path) -> String {
        PluginFolder::read(path).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let path = new_folder();
        assert!(refusal(&path.join("x")).starts_with("there is no folder"));
        assert!(refusal(&path).ends_with("plugin.toml is not there"));
        fs::write(path.join(MANIFEST_FILE), "m").expect("written");
        let built = format!("portcullis plugin build {}`", path.display());
        assert!(refusal(&path).ends_with(&built), "{}", refusal(&path));
        fs::write(path.join(COMPONENT_FILE), "c").expect("written");
        let folder = PluginFolder::read(&path).expect("complete");
        assert_eq!(
            (&*folder.manifest, &*folder.component, &folder.signature),
            (&b"m"[..], &b"c"[..], &None)
        );
        let unsigned = folder.digest();
        fs::write(path.join(SIGNATURE_FILE), "").expect("written");
        let signed = PluginFolder::read(&path).expect("complete");
        assert_ne!(signed.digest(), unsigned, "an empty signature is not none");
        fs::remove_dir_all(path).expect("ours");
    }

    #[test]
    fn nothing_but_regular_files_of_a_real_folder_is_read() {
        let path = new_folder();
        let (real, linked) = (path.join("real"), path.join("linked"));
        fs::create_dir(&real).expect("a new folder");
        fs::write(path.join("outside"), "m").expect("written");
        fs::write(real.join(COMPONENT_FILE), "c").expect("written");
        symlink(path.join("outside"), real.join(MANIFEST_FILE)).expect("a link");
        assert!(refusal(&real).contains("no regular file"), "{}", refusal(&real));
        fs::remove_file(real.join(MANIFEST_FILE)).expect("ours");
        fs::create_dir(real.join(MANIFEST_FILE)).expect("a new folder");
        assert!(refusal(&real).contains("no regular file"), "{}", refusal(&real));
        fs::remove_dir(real.join(MANIFEST_FILE)).expect("ours");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            real.join(MANIFEST_FILE),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("a FIFO");
        assert!(refusal(&real).contains("no regular file"), "{}", refusal(&real));
        symlink(&real, &linked).expect("a link");
        assert!(refusal(&linked).starts_with("there is no folder"));
        fs::remove_dir_all(path).expect("ours");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let path = new_folder();
        fs::write(path.join(MANIFEST_FILE), "m").expect("written");
        fs::write(path.join(COMPONENT_FILE), "c").expect("written");
        fs::write(path.join(SIGNATURE_FILE), [b'x'; SIGNATURE_MAX as usize]).expect("written");
        PluginFolder::read(&path).expect("just as long as it may be");
        fs::write(path.join(SIGNATURE_FILE), [b'x'; SIGNATURE_MAX as usize + 1]).expect("written");
        assert!(refusal(&path).ends_with("has more than 4096 bytes"));
        let sparse = File::create(path.join(COMPONENT_FILE)).expect("created");
        sparse.set_len(COMPONENT_MAX + 1).expect("sparse");
        assert!(refusal(&path).contains("plugin.wasm has more than"));
        fs::remove_dir_all(path).expect("ours");
    }
}
