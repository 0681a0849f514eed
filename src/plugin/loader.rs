//! From a folder to a generation of a plugin: pinned, verified, compiled, configured, started and tried, in this order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Component;

use super::build::{Blueprint, BuildError, PluginHost};
use super::cache::CompileCache;
use super::engine::{EngineError, PluginEngine};
use super::folder::{FolderError, PluginFolder, SIGNATURE_FILE};
use super::manifest::{MANIFEST_FILE, Manifest, ManifestError};
use super::orders::PluginOrders;
use super::plugin::Plugin;
use super::signature::{PublicKey, Signature, SignatureError};
use super::smoke::CaseFailure;
use super::wishes;
use crate::config::{PluginHostConfig, PluginSpec};
use crate::schema::SchemaCache;

/// Most smoke cases of a plugin.
pub const SMOKE_MAX: usize = 256;
/// So many cases may fail before the others are not run any more.
const FAILURES_MAX: usize = 5;
/// How long reading or compiling a plugin may take, and how long its smoke cases. Compiling one of Python takes ten seconds;
/// a component can be made that takes hours, and others want to be let in meanwhile.
const WORK_MAX: Duration = Duration::from_secs(300);
const SMOKE_TIME_MAX: Duration = Duration::from_secs(60);
/// How many components are compiled at once: one, and another where nobody waits for the first any more.
const WORKERS: usize = 2;

/// Why a plugin is not let in.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Its folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It is not the component that the operator wants.
    #[error("its component has the SHA-256 {found}, and the configuration wants {wanted} (sha256)")]
    Pin {
        /// That of the file.
        found: String,
        /// That of the configuration.
        wanted: String,
    },
    /// It has no signature, and needs one.
    #[error(
        "it is not signed, and require-signature = true wants the signature of a trusted key in plugin.sig"
    )]
    Unsigned,
    /// Nobody whom the operator trusts has signed it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its configuration is wrong: everything at once.
    #[error("{}", .0.join("; "))]
    Configuration(Vec<String>),
    /// There is no engine, or the component cannot run in it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It does not fit what is said of it, or does not start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It does not decide as its author says.
    #[error("{}", lines(.0))]
    Smoke(Vec<CaseFailure>),
    /// Reading or compiling it ended in a panic, which the log has.
    #[error("it could not be compiled")]
    Broken,
    /// Compiling it, or its smoke cases, took longer than anything of their kind.
    #[error("{0} took longer than {max} s", max = .1.as_secs())]
    TooLong(&'static str, Duration),
}

impl LoadError {
    /// Returns whether the same plugin could be let in another time: what it needs to start, or the machine, was not ready.
    pub(super) fn can_pass(&self) -> bool {
        matches!(self, Self::Broken | Self::Build(BuildError::Start(_)))
    }
}

fn lines(failures: &[CaseFailure]) -> String {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// A plugin that was let in.
#[derive(Debug)]
pub struct LoadedPlugin {
    /// The generation.
    pub plugin: Arc<Plugin>,
    /// Its component, for the next generation with the same one.
    pub component: Component,
    /// The trusted key that has signed it, if one has.
    pub signer: Option<PublicKey>,
    /// Of what was read and what was wanted: another digest means another generation.
    pub(super) digest: [u8; 32],
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// Lets plugins in. There is no engine before the first one.
#[derive(Debug)]
pub struct PluginLoader {
    host: OnceLock<Arc<PluginHost>>,
    cache: CompileCache,
    schemas: Arc<SchemaCache>,
    workers: Arc<Semaphore>,
}

/// What can be said of a plugin before it is compiled.
struct Admitted {
    folder: PluginFolder,
    manifest: Manifest,
    config: Value,
    signer: Option<PublicKey>,
    /// What is wrong with a signature that is not needed.
    doubt: Option<LoadError>,
}

impl PluginLoader {
    /// Returns a loader.
    pub fn new(cache: CompileCache, schemas: Arc<SchemaCache>) -> Self {
        Self {
            host: OnceLock::new(),
            cache,
            schemas,
            workers: Arc::new(Semaphore::new(WORKERS)),
        }
    }

    /// Returns whether there is an engine.
    pub fn has_host(&self) -> bool {
        self.host.get().is_some()
    }

    /// Returns a loader with an engine of its own kind, for measuring.
    pub fn with_engine(engine: PluginEngine, cache: CompileCache, schemas: Arc<SchemaCache>) -> Self {
        let host = Arc::new(PluginHost::new(engine, schemas.clone()));
        Self {
            host: host.into(),
            ..Self::new(cache, schemas)
        }
    }

    fn host(&self) -> Result<&Arc<PluginHost>, EngineError> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = PluginHost::new(PluginEngine::new()?, self.schemas.clone());
        Ok(self.host.get_or_init(|| Arc::new(host)))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read(&self, path: PathBuf) -> Result<PluginFolder, LoadError> {
        Ok(on_thread(move || PluginFolder::read(&path)).await??)
    }

    /// Makes a generation of what was read. `known` is a component of the same bytes, if there is one.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn load(
        &self,
        folder: PluginFolder,
        orders: &PluginOrders,
        spec: Arc<PluginSpec>,
        known: Option<Component>,
    ) -> Result<LoadedPlugin, LoadError> {
        let loaded = self.load_untried(folder, orders, spec, known).await?;
        run_smoke(&loaded.plugin, Instant::now() + SMOKE_TIME_MAX).await?;
        Ok(loaded)
    }

    /// Does the same without asking whether it decides as its author says: for the author, who asks one by one.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn load_untried(
        &self,
        folder: PluginFolder,
        orders: &PluginOrders,
        spec: Arc<PluginSpec>,
        known: Option<Component>,
    ) -> Result<LoadedPlugin, LoadError> {
        let sha256 = folder.sha256();
        let digest = orders.digest(&spec, folder.digest());
        let (its_orders, its_spec) = (orders.clone(), spec.clone());
        let admitted = self.work(move || Admitted::of(folder, &its_orders, &its_spec));
        let Admitted {
            folder,
            manifest,
            config,
            signer,
            doubt,
        } = admitted.await??;
        let component = match known {
            Some(component) => component,
            None => self.compile(folder, sha256.clone()).await?,
        };
        let blueprint = Blueprint {
            manifest: Arc::new(manifest),
            spec,
            config,
            component: component.clone(),
            sha256,
        };
        let plugin = self.host()?.build(blueprint).await?;
        let mut warnings = wishes::warnings(&plugin);
        warnings.extend(doubt.map(|doubt| format!("{SIGNATURE_FILE}: {doubt}")));
        Ok(LoadedPlugin {
            warnings,
            plugin: Arc::new(plugin),
            component,
            signer,
            digest,
        })
    }

    async fn compile(&self, folder: PluginFolder, sha256: String) -> Result<Component, LoadError> {
        let engine = self.host()?.engine().clone();
        let cache = self.cache.clone();
        let compiled = self.work(move || cache.component(&engine, &sha256, &folder.component));
        Ok(compiled.await??)
    }

    /// Does what can take long, as anything that is computed from what an author wrote: on a thread, few at once, and waited
    /// for so long and no longer. What nobody waits for any more goes on all the same, and counts until it is done.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let done = async {
            let permit = self.workers.clone().acquire_owned().await;
            on_thread(move || {
                let done = work();
                drop(permit);
                done
            })
            .await
        };
        let late = |_| LoadError::TooLong("reading or compiling it", WORK_MAX);
        timeout_at(Instant::now() + WORK_MAX, done).await.map_err(late)?
    }
}

impl Admitted {
    /// Checks a folder against the pin and the trusted keys; only then is anything of it parsed.
    fn of(folder: PluginFolder, orders: &PluginOrders, spec: &PluginSpec) -> Result<Self, LoadError> {
        let (signer, doubt) = verified(&folder, &orders.host, spec)?;
        let manifest = manifest(&folder)?;
        let config = orders
            .configuration(&manifest, spec)
            .map_err(LoadError::Configuration)?;
        Ok(Self {
            folder,
            manifest,
            config,
            signer,
            doubt,
        })
    }
}

/// Returns who has signed the bytes, if they are those that the operator wants and trusts. Where no signature is needed,
/// what is wrong with one that is there is no reason to refuse, but to say so.
fn verified(
    folder: &PluginFolder,
    host: &PluginHostConfig,
    spec: &PluginSpec,
) -> Result<(Option<PublicKey>, Option<LoadError>), LoadError> {
    let sha256 = folder.sha256();
    if let Some(wanted) = &spec.sha256
        && !wanted.eq_ignore_ascii_case(&sha256)
    {
        return Err(LoadError::Pin {
            found: sha256,
            wanted: wanted.clone(),
        });
    }
    match signer(folder, &host.trusted_keys) {
        Ok(signer) => Ok((Some(signer), None)),
        Err(error) if host.require_signature => Err(error),
        Err(LoadError::Unsigned) => Ok((None, None)),
        Err(doubt) => Ok((None, Some(doubt))),
    }
}

fn signer(folder: &PluginFolder, trusted: &[String]) -> Result<PublicKey, LoadError> {
    let signature = folder.signature.as_ref().ok_or(LoadError::Unsigned)?;
    let trusted = trusted.iter().map(|key| format!("ed25519:{key}").parse());
    let trusted = trusted.collect::<Result<Vec<PublicKey>, SignatureError>>()?;
    let signature = Signature::parse(signature)?;
    signature.verify(&trusted, &folder.manifest, &folder.component)?;
    Ok(signature.key())
}

fn manifest(folder: &PluginFolder) -> Result<Manifest, ManifestError> {
    let path = folder.path.join(MANIFEST_FILE);
    let manifest = Manifest::parse(&path, text(&path, &folder.manifest)?)?;
    if manifest.smoke.len() > SMOKE_MAX {
        let problems = vec![format!(
            "smoke: {} cases, and the most is {SMOKE_MAX}: put them into cases/",
            manifest.smoke.len()
        )];
        return Err(ManifestError::Wrong { path, problems });
    }
    Ok(manifest)
}

fn text<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, ManifestError> {
    std::str::from_utf8(bytes).map_err(|error| ManifestError::Malformed {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

async fn run_smoke(plugin: &Plugin, until: Instant) -> Result<(), LoadError> {
    let mut failures = Vec::new();
    for case in &plugin.manifest().smoke {
        let failure = timeout_at(until, plugin.run_case(case)).await;
        let failure = failure.map_err(|_| LoadError::TooLong("its smoke cases", SMOKE_TIME_MAX))?;
        failures.extend(failure.err());
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(LoadError::Smoke(failures)),
    }
}

/// Does what takes long without the runtime. The thread is not waited for by a gateway that stops: compiling large
/// components takes seconds, and leaves nothing half done behind.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let (tx, rx) = oneshot::channel();
    let work = move || {
        // Whoever waited may have gone.
        let _ = tx.send(work());
    };
    let started = std::thread::Builder::new()
        .name("plugin-loader".to_owned())
        .spawn(work);
    started.map_err(|_| LoadError::Broken)?;
    rx.await.map_err(|_| LoadError::Broken)
}

#[cfg(test)]
mod tests;
