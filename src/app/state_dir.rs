//! The state directory: the admin token, and where the running gateway listens, for our own command line.
//!
//! Both are for their owner alone. The token is made once and never replaced; a file of it that others can read is
//! refused, because nobody knows then who has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::warn;
use uuid::Uuid;

use crate::config::Secret;

/// Where a running gateway can be reached, in its state directory.
const ADDRESS_FILE: &str = "gateway.json";
/// Locked while a gateway runs.
const LOCK_FILE: &str = "gateway.lock";
/// A token that somebody wrote by hand has at least so many characters. Ours have 64: 256 bits.
const TOKEN_CHARACTERS_MIN: usize = 32;

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
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
    /// Others than its owner have access.
    #[error("{path} {exposure}; {remedy}", path = .path.display())]
    Exposed {
        /// Which file or directory.
        path: PathBuf,
        /// Who has access.
        exposure: &'static str,
        /// What to do about it.
        remedy: String,
    },
    /// The file holds no token.
    #[error(
        "{path} holds no token: {TOKEN_CHARACTERS_MIN} or more visible characters on one line; remove the file, and \
         the gateway makes a new one when it starts", path = .0.display()
    )]
    NoToken(PathBuf),
    /// No gateway uses this directory.
    #[error(
        "no gateway is running with the state directory {path}; start one, or name another one with --config or \
         --listen", path = .0.display()
    )]
    NotRunning(PathBuf),
}

impl StateError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Where a running gateway can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addresses {
    /// The main listener.
    pub address: SocketAddr,
    /// The listener of the admin API, if that is served.
    pub admin: Option<SocketAddr>,
}

/// The place of a running gateway in its state directory. Dropping it takes the addresses away.
#[derive(Debug)]
pub struct Claim {
    address_file: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Claim {
    /// Writes where the gateway listens, into a directory that is made where it is not there yet. Returns nothing, and
    /// warns, where another gateway has done so: our command line reaches that one.
    ///
    /// # Errors
    /// A file cannot be written, or others can write into the directory.
    pub fn new(state_dir: &Path, addresses: &Addresses) -> Result<Option<Self>, StateError> {
        create_private(state_dir)?;
        let lock_file = state_dir.join(LOCK_FILE);
        let lock = private(OpenOptions::new().create(true).write(true))
            .open(&lock_file)
            .map_err(StateError::io("open", &lock_file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                warn!(state_dir = %state_dir.display(), "another gateway runs with this state directory: the command line reaches that one");
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(StateError::io("lock", &lock_file)(error)),
        }
        let address_file = state_dir.join(ADDRESS_FILE);
        let text = serde_json::to_string(addresses).expect("addresses become JSON");
        let written = write_beside(&address_file, &text)?;
        fs::rename(&written, &address_file).map_err(StateError::io("write", &address_file))?;
        Ok(Some(Self {
            address_file,
            _lock: lock,
        }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.address_file) {
            warn!(file = %self.address_file.display(), %error, "not removed");
        }
    }
}

/// Returns where the gateway of a state directory listens.
///
/// A file that an earlier run left is not believed: somebody else may listen there now, and would get the token.
///
/// # Errors
/// [`StateError::NotRunning`], or a file cannot be read.
pub fn addresses(state_dir: &Path) -> Result<Addresses, StateError> {
    let not_running = || StateError::NotRunning(state_dir.to_owned());
    let lock_file = state_dir.join(LOCK_FILE);
    let lock = match File::open(&lock_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_running()),
        opened => opened.map_err(StateError::io("open", &lock_file))?,
    };
    if lock.try_lock_shared().is_ok() {
        return Err(not_running());
    }
    let address_file = state_dir.join(ADDRESS_FILE);
    let text = match fs::read_to_string(&address_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_running()),
        read => read.map_err(StateError::io("read", &address_file))?,
    };
    serde_json::from_str(&text).map_err(|error| StateError::io("understand", &address_file)(error.into()))
}

/// Makes the token and its directory where they are not there yet, and returns the token.
///
/// # Errors
/// See [`StateError`]; others than the owner have access, or the file holds something else.
pub fn prepare(file: &Path) -> Result<Secret, StateError> {
    if let Some(directory) = file
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        create_private(directory)?;
    }
    if !file.try_exists().map_err(StateError::io("look at", file))? {
        make_token(file)?;
    }
    read_token(file)
}

/// Reads the token.
///
/// # Errors
/// The file cannot be read, holds something else, or others than its owner have access to it.
pub fn read_token(file: &Path) -> Result<Secret, StateError> {
    check_private(file)?;
    let text = fs::read_to_string(file).map_err(StateError::io("read", file))?;
    let token = text.trim();
    let is_token = token.len() >= TOKEN_CHARACTERS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(StateError::NoToken(file.to_owned()));
    }
    Ok(Secret::new(token))
}

/// Puts a new token in place, unless somebody else has just done so.
fn make_token(file: &Path) -> Result<(), StateError> {
    let written = write_beside(file, &random_token())?;
    // A link, unlike a rename, replaces nothing.
    let linked = fs::hard_link(&written, file);
    let _ = fs::remove_file(&written);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(StateError::io("make", file)),
    }
}

/// Returns 256 bits of the operating system's generator as text. A UUID v4 has 122 of them, so three have enough.
fn random_token() -> String {
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(Uuid::new_v4().as_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file of the owner's alone beside another one, whole and on the disk, and returns its path.
fn write_beside(file: &Path, text: &str) -> Result<PathBuf, StateError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", Uuid::new_v4().simple()));
    let path = file.with_file_name(name);
    let write = || {
        let mut file = private(OpenOptions::new().create_new(true).write(true)).open(&path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(StateError::io("write", &path))?;
    Ok(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    // The state directory is below the user's profile, which is the user's alone.
    options
}

/// Makes a directory of the owner's alone, unless it is there; then others must not be able to put files into it.
fn create_private(directory: &Path) -> Result<(), StateError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
        .create(directory)
        .map_err(StateError::io("make the directory", directory))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(directory).map_err(StateError::io("look at", directory))?;
        let mode = metadata.permissions().mode();
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Err(StateError::Exposed {
                path: directory.to_owned(),
                exposure: "can be written to by others, who could put a token of their own into it",
                remedy: format!("chmod 700 {}", directory.display()),
            });
        }
    }
    Ok(())
}

#[cfg(unix)]
fn check_private(file: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(file).map_err(StateError::io("read", file))?;
    let exposed = |exposure, remedy| StateError::Exposed {
        path: file.to_owned(),
        exposure,
        remedy,
    };
    if metadata.mode() & 0o077 != 0 {
        let remedy = format!(
            "if nobody has read it: chmod 600 {path}; otherwise remove it, and the gateway makes a new one when it starts",
            path = file.display()
        );
        return Err(exposed(
            "can be read by others, and whoever has the token can do everything",
            remedy,
        ));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        let remedy = "remove it, and the gateway makes a new one when it starts".to_owned();
        return Err(exposed("belongs to another user", remedy));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_file: &Path) -> Result<(), StateError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests;
