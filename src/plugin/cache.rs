//! Compiled components, kept from run to run in a folder that is the user's alone: what is in it runs as machine code.
//!
//! A folder that others could write to is not used, and a file that was cut short or damaged is compiled anew. Nothing
//! here is needed: without a cache a start takes longer, no more.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use sha2::{Digest, Sha256};
use tracing::{debug, info, warn};
use wasmtime::component::Component;

use super::engine::{EngineError, PluginEngine};

/// Most bytes of all files; beyond it those that were not used for the longest time go.
const BYTES_MAX: u64 = 512 << 20;
/// Bytes of the digest that a file begins with.
const DIGEST_BYTES: usize = 32;

/// The cache.
#[derive(Debug, Clone, Default)]
pub struct CompileCache {
    folder: Option<PathBuf>,
    bytes_max: u64,
}

impl CompileCache {
    /// Returns the user's cache: `$XDG_CACHE_HOME/portcullis/compiled`, or below `~/.cache`.
    pub fn of_user() -> Self {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let base = set("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(set("HOME")?.join(".cache")));
        base.map_or_else(Self::default, |base| Self::at(base.join("portcullis/compiled")))
    }

    /// Returns a cache in a folder, which is made if need be.
    pub fn at(folder: PathBuf) -> Self {
        let usable = private(&folder);
        if let Err(problem) = &usable {
            warn!(folder = %folder.display(), %problem, "compiled plugins are not kept: the next start takes longer");
        }
        Self {
            folder: usable.is_ok().then_some(folder),
            bytes_max: BYTES_MAX,
        }
    }

    /// Returns the component of these bytes, compiled before or now. Blocks, for seconds if the component is large.
    ///
    /// # Errors
    /// The bytes are no component that can run here.
    pub(super) fn component(
        &self,
        engine: &PluginEngine,
        sha256: &str,
        wasm: &[u8],
    ) -> Result<Component, EngineError> {
        let Some(folder) = &self.folder else {
            return engine.component(wasm);
        };
        let mut hasher = DefaultHasher::new();
        engine.compatibility().hash(&mut hasher);
        let path = folder.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()));
        if let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let start = Instant::now();
        let compiled = engine.compile(wasm)?;
        info!(
            sha256,
            bytes = wasm.len(),
            seconds = start.elapsed().as_secs_f64(),
            "component compiled"
        );
        if let Err(error) = keep(&path, &compiled).and_then(|()| prune(folder, self.bytes_max)) {
            warn!(folder = %folder.display(), %error, "a compiled component is not kept");
        }
        loaded(engine, &compiled)
    }
}

/// Loads a file that [`keep`] wrote, if it is there and whole.
fn load(engine: &PluginEngine, path: &Path) -> Option<Component> {
    let bytes = read_own(path)
        .inspect_err(|error| debug!(file = %path.display(), %error, "a compiled component cannot be read"))
        .ok()?;
    let (digest, compiled) = bytes.split_at_checked(DIGEST_BYTES)?;
    if Sha256::digest(compiled).as_slice() != digest {
        warn!(file = %path.display(), "a compiled component is damaged: it is compiled anew");
        return None;
    }
    let component = loaded(engine, compiled)
        .map_err(|error| debug!(file = %path.display(), %error, "a compiled component is of no use"))
        .ok()?;
    // What is used is not what goes first.
    let _ = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now()));
    Some(component)
}

/// Reads a file that is this user's alone: whoever can rename the folder could put another one in its place.
#[cfg(unix)]
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags, open};
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if !is_own || !metadata.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(not(unix))]
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

fn loaded(engine: &PluginEngine, compiled: &[u8]) -> Result<Component, EngineError> {
    // SAFETY: `compile` has just returned it, or it comes, whole, from a file that only this user could write, in a folder
    // in which only `keep` writes.
    unsafe { engine.load(compiled) }
}

fn keep(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let digest = Sha256::digest(compiled);
    let mut bytes = Vec::with_capacity(DIGEST_BYTES + compiled.len());
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(compiled);
    let written = write_own(&temporary, &bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a new file that is this user's alone, whatever the umask.
fn write_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What an earlier process of this number has left.
    let _ = fs::remove_file(path);
    options.open(path)?.write_all(bytes)
}

/// Removes the files that were not used for the longest time, until the others are few enough.
fn prune(folder: &Path, bytes_max: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        // Another gateway of the user may have renamed or removed it.
        if let Ok(metadata) = entry.metadata() {
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut total = 0;
    for (_, bytes, path) in files {
        total += bytes;
        if total > bytes_max {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes the folder, and makes sure that nobody else can write to it.
#[cfg(unix)]
fn private(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| error.to_string())?;
    let metadata = folder.symlink_metadata().map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("it is no folder".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to somebody else".to_owned());
    }
    if metadata.mode() & 0o077 != 0 {
        return Err("others have access to it: chmod 700".to_owned());
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("portcullis-{name}-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).expect("a new folder");
        folder
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = folder
            .read_dir()
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn a_component_is_compiled_once_and_again_if_the_file_is_damaged() {
        let base = folder("cache");
        let cache = CompileCache::at(base.join("compiled"));
        let place = cache.folder.clone().expect("it is ours alone");
        let engine = PluginEngine::new().expect("an engine");
        let component = |cache: &CompileCache, wasm: &[u8]| cache.component(&engine, "abc", wasm).map(drop);
        component(&cache, EMPTY).expect("a component");
        let file = only_file(&place);
        // What is cached is not compiled: these bytes could not be.
        component(&cache, b"no component").expect("from the cache");
        let whole = fs::read(&file).expect("it is there");
        fs::write(&file, &whole[..whole.len() - 1]).expect("it can be written");
        component(&cache, b"no component").expect_err("the file is not believed");
        component(&cache, EMPTY).expect("a component");
        assert_eq!(
            fs::read(only_file(&place)).expect("it is there").len(),
            whole.len()
        );
        fs::remove_dir_all(base).expect("ours");
    }

    #[test]
    fn a_file_that_others_could_have_written_is_not_believed() {
        let base = folder("poisoned");
        let cache = CompileCache::at(base.join("compiled"));
        let place = cache.folder.clone().expect("it is ours alone");
        let engine = PluginEngine::new().expect("an engine");
        let component = |wasm: &[u8]| cache.component(&engine, "abc", wasm).map(drop);
        component(EMPTY).expect("a component");
        let file = only_file(&place);
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        mode(0o660);
        component(b"no component").expect_err("the group could write");
        mode(0o600);
        component(b"no component").expect("from the cache");
        // Neither is what a link leads to.
        fs::rename(&file, base.join("elsewhere")).expect("ours");
        std::os::unix::fs::symlink(base.join("elsewhere"), &file).expect("a link");
        component(b"no component").expect_err("a link");
        fs::remove_dir_all(base).expect("ours");
    }

    #[test]
    fn a_folder_that_others_can_use_is_not_used() {
        let base = folder("shared");
        let shared = base.join("compiled");
        fs::create_dir(&shared).expect("a new folder");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o770)).expect("ours");
        assert_eq!(CompileCache::at(shared.clone()).folder, None);
        std::os::unix::fs::symlink(&base, base.join("link")).expect("a link");
        assert_eq!(CompileCache::at(base.join("link")).folder, None);
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o700)).expect("ours");
        assert!(CompileCache::at(shared).folder.is_some());
        fs::remove_dir_all(base).expect("ours");
    }

    #[test]
    fn the_oldest_go() {
        let base = folder("full");
        for (name, age) in [("old", 300), ("older", 400), ("new", 100)] {
            let path = base.join(name);
            fs::write(&path, [0; 10]).expect("written");
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            let file = File::options().write(true).open(&path).expect("there");
            file.set_modified(time).expect("set");
        }
        prune(&base, 25).expect("pruned");
        let left = |name: &str| base.join(name).exists();
        assert_eq!([left("old"), left("older"), left("new")], [true, false, true]);
        prune(&base, 10).expect("pruned");
        assert_eq!(only_file(&base), base.join("new"));
        fs::remove_dir_all(base).expect("ours");
    }
}
