//! From a component to a generation of a plugin that has proved that it works.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;
use thiserror::Error;
use wasmtime::component::Component;

use super::breaker::Breaker;
use super::engine::{EngineError, PluginEngine};
use super::exports::{Exports, imports};
use super::host::http::HttpClient;
use super::host::kv::Store;
use super::host::log::LogLimit;
use super::instance::Template;
use super::manifest::Manifest;
use super::metrics::{Metrics, Past};
use super::plugin::Plugin;
use super::pool::Pool;
use super::shared::Shared;
use crate::config::{OnError, PluginSpec};
use crate::schema::SchemaCache;

/// What all plugins of a gateway have in common.
#[derive(Debug)]
pub struct PluginHost {
    engine: PluginEngine,
    schemas: Arc<SchemaCache>,
    /// By plugin: what a plugin keeps, it keeps from generation to generation, as long as there is one.
    stores: ByPlugin<Store>,
    /// As `stores`.
    pasts: ByPlugin<Past>,
    next_generation: AtomicU64,
}

/// A std mutex: held for look-ups.
type ByPlugin<T> = Mutex<HashMap<String, Weak<T>>>;

/// What a generation is made of.
#[derive(Debug)]
pub struct Blueprint {
    /// What the author says.
    pub manifest: Arc<Manifest>,
    /// What the operator says.
    pub spec: Arc<PluginSpec>,
    /// The configuration, complete and checked against the manifest's schema.
    pub config: Value,
    /// The compiled component.
    pub component: Component,
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub sha256: String,
}

/// Why there is no generation.
#[derive(Debug, Error)]
pub enum BuildError {
    /// What the component, the manifest and the configuration say does not go together.
    #[error("{}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// The component cannot run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It did not start.
    #[error("{0}")]
    Start(String),
}

impl PluginHost {
    /// Returns a host without plugins.
    pub fn new(engine: PluginEngine, schemas: Arc<SchemaCache>) -> Self {
        Self {
            engine,
            schemas,
            stores: Mutex::default(),
            pasts: Mutex::default(),
            next_generation: AtomicU64::new(1),
        }
    }

    /// Returns the engine.
    pub fn engine(&self) -> &PluginEngine {
        &self.engine
    }

    /// Returns the validators.
    pub fn schemas(&self) -> &Arc<SchemaCache> {
        &self.schemas
    }

    /// Links a component, checks what it is against what is said of it, and starts its first instance.
    ///
    /// # Errors
    /// See [`BuildError`]: as many problems at once as can be told.
    pub async fn build(&self, blueprint: Blueprint) -> Result<Plugin, BuildError> {
        let Blueprint {
            manifest,
            spec,
            config,
            component,
            sha256,
        } = blueprint;
        let (imports, mut problems) = imports(&self.engine, &component, &spec.grant);
        if !problems.is_empty() {
            return Err(BuildError::Mismatch(problems));
        }
        let pre = self.engine.link(&component)?;
        let exports = Exports::probe(&self.engine, &pre).map_err(BuildError::Mismatch)?;
        problems.extend(mismatches(&manifest, &spec, &exports));
        if !problems.is_empty() {
            return Err(BuildError::Mismatch(problems));
        }
        let template = Template {
            engine: self.engine.clone(),
            pre,
            exports,
            shared: Arc::new(self.shared(&spec)?),
            config: config.to_string(),
        };
        let mut first = template
            .instantiate()
            .await
            .map_err(|stopped| BuildError::Start(stopped.detail))?;
        let info = first.describe(&self.engine, spec.limits.init_timeout).await;
        let info =
            info.map_err(|stopped| BuildError::Start(format!("describe failed: {}", stopped.detail)))?;
        if info.name != manifest.plugin.name || info.version != manifest.plugin.version {
            let text = format!(
                "the component says that it is {} {} (`describe`), and plugin.toml {} {}: let them agree, and build it",
                info.name, info.version, manifest.plugin.name, manifest.plugin.version
            );
            return Err(BuildError::Mismatch(vec![text]));
        }
        let pool = Pool::new(template, spec.isolation);
        pool.put(first);
        let past = kept(&self.pasts, &spec.name);
        Ok(Plugin {
            generation: self.next_generation.fetch_add(1, Ordering::Relaxed),
            sha256,
            version: info.version,
            manifest,
            spec,
            imports,
            pool,
            breaker: Breaker::default(),
            metrics: Metrics::default(),
            past,
        })
    }

    fn shared(&self, spec: &PluginSpec) -> Result<Shared, BuildError> {
        let http = spec
            .grant
            .http
            .as_ref()
            .map(HttpClient::new)
            .transpose()
            .map_err(BuildError::Start)?;
        Ok(Shared {
            name: spec.name.as_str().into(),
            limits: spec.limits.clone(),
            grants: spec.grant.clone(),
            log: Arc::new(LogLimit::new(spec.limits.log_rate)),
            kv: kept(&self.stores, &spec.name),
            http,
            schemas: self.schemas.clone(),
        })
    }
}

/// Returns what the generations of a plugin share.
fn kept<T: Default>(all: &ByPlugin<T>, plugin: &str) -> Arc<T> {
    let mut all = all.lock().expect("no holder panics");
    if let Some(kept) = all.get(plugin).and_then(Weak::upgrade) {
        return kept;
    }
    all.retain(|_, kept| kept.strong_count() > 0);
    let kept = Arc::default();
    all.insert(plugin.to_owned(), Arc::downgrade(&kept));
    kept
}

/// Returns what manifest and configuration say of a component and is not so.
fn mismatches(manifest: &Manifest, spec: &PluginSpec, exports: &Exports) -> Vec<String> {
    let mut problems = Vec::new();
    if manifest.plugin.name != spec.name {
        problems.push(format!(
            "the manifest says that its name is {:?}, and its folder {:?}",
            manifest.plugin.name, spec.name
        ));
    }
    let hooks = exports.hooks();
    for (name, _) in manifest.hooks.entries() {
        if !hooks.iter().any(|hook| hook.as_str() == name) {
            let has: Vec<_> = hooks.iter().map(|hook| hook.as_str()).collect();
            problems.push(format!(
                "hooks.{name}: the component does not export it; it exports {}",
                has.join(", ")
            ));
        }
    }
    if spec.on_error == OnError::Skip && manifest.hooks.access.is_some() && !spec.allow_fail_open {
        problems.push(format!(
            "on-error = \"skip\" would let everything through when {} breaks, and it decides on access: say allow-fail-open = true as well, or leave on-error = \"deny\"",
            spec.name
        ));
    }
    problems
}
