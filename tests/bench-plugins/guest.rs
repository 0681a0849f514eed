//! Plugins, loaded as the gateway does.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::config::PluginSpec;
use portcullis::plugin::manifest::{Language, Manifest};
use portcullis::plugin::{Blueprint, Plugin, PluginEngine, PluginHost};
use serde_json::{Value, json};
use wasmtime::component::Component;

use crate::body::Body;
use crate::samples::Samples;

/// A guest with the hook on-message.
pub(crate) struct Guest {
    name: String,
    plugin: Plugin,
    component: Component,
}

/// Returns a host for plugins.
pub(crate) fn host() -> Result<PluginHost, String> {
    let engine = PluginEngine::new().map_err(|error| error.to_string())?;
    Ok(PluginHost::new(engine, Arc::default()))
}

/// Loads all plugins of a folder.
pub(crate) async fn all(host: &PluginHost, folder: &Path) -> Result<Vec<Guest>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let mut guests = Vec::new();
    for folder in folders
        .iter()
        .filter(|folder| folder.join("plugin.wasm").exists())
    {
        let (manifest, component) = read(host, folder)?;
        let plugin = start(host, manifest, component.clone(), json!({})).await?;
        let language = match plugin.manifest().build.as_ref().map(|build| build.lang) {
            Some(Language::Rust) => "Rust",
            Some(Language::Js) => "JavaScript (QuickJS)",
            Some(Language::Python) => "Python",
            Some(Language::C) => "C",
            None => plugin.name(),
        };
        let name = format!("guest in {language}");
        guests.push(Guest {
            name,
            plugin,
            component,
        });
    }
    Ok(guests)
}

fn read(host: &PluginHost, folder: &Path) -> Result<(Arc<Manifest>, Component), String> {
    let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let manifest = Manifest::read(folder).map_err(|error| problem(&error))?;
    let wasm = std::fs::read(folder.join("plugin.wasm")).map_err(|error| problem(&error))?;
    let component = host.engine().component(&wasm).map_err(|error| problem(&error))?;
    Ok((Arc::new(manifest), component))
}

async fn start(
    host: &PluginHost,
    manifest: Arc<Manifest>,
    component: Component,
    config: Value,
) -> Result<Plugin, String> {
    let mut spec = PluginSpec::unnamed(&manifest.plugin.name);
    spec.grant.random = manifest.requests.random;
    spec.grant.schema = manifest.requests.schema;
    spec.grant.kv = manifest.requests.kv.as_ref().map(|kv| kv.max_kib as usize * 1024);
    // The machine is busy with measuring.
    spec.limits.timeout = Duration::from_secs(1);
    let name = manifest.plugin.name.clone();
    let blueprint = Blueprint {
        manifest,
        spec: Arc::new(spec),
        config,
        component,
        sha256: String::new(),
    };
    host.build(blueprint)
        .await
        .map_err(|error| format!("{name}: {error}"))
}

impl Guest {
    /// Returns what it is called in the table.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns another generation of the same plugin.
    pub(crate) async fn again(&self, host: &PluginHost) -> Result<Plugin, String> {
        start(
            host,
            self.plugin.manifest().clone(),
            self.component.clone(),
            json!({}),
        )
        .await
    }

    /// Returns how much longer it takes than the fastest, about.
    pub(crate) fn weight(&self) -> usize {
        match self.plugin.manifest().build.as_ref().map(|build| build.lang) {
            Some(Language::Js | Language::Python) => 10,
            _ => 1,
        }
    }

    /// Times calls of its hook.
    pub(crate) async fn calls(&self, body: &Body, calls: usize) -> Result<Samples, String> {
        let (ctx, matter) = (body.ctx(), body.walked());
        let mut samples = Samples::default();
        for _ in 0..calls {
            let start = Instant::now();
            let judged = self.plugin.on_message(&ctx, &matter).await;
            samples.push(start.elapsed());
            let judged = judged.map_err(|error| error.to_string())?;
            judged
                .outcome
                .map_err(|denial| format!("{}: {}", self.name, denial.reason))?;
        }
        Ok(samples)
    }
}
