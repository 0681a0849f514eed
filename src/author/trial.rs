//! A plugin in the hands of its author: loaded as the gateway would, with everything granted that its manifest asks for.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::AuthorError;
use crate::config::{
    Activate, ExpandedJson, Grants, HttpGrant, Isolation, PluginHostConfig, PluginLimits, PluginSpec,
};
use crate::plugin::cache::CompileCache;
use crate::plugin::manifest::{Manifest, Requests};
use crate::plugin::orders::PARTS;
use crate::plugin::{LoadError, LoadedPlugin, PluginEngine, PluginLoader, PluginOrders};

/// In the folder of cases: what `init` gets where a case has no configuration of its own.
pub(super) const CONFIGURATION_FILE: &str = "config.toml";

/// How a plugin is tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Trial {
    /// Whether each call gets an instance of its own.
    pub(super) isolation: Isolation,
    /// How far it may go.
    pub(super) limits: PluginLimits,
    /// Whether the engine counts fuel.
    pub(super) fuel: bool,
}

impl Trial {
    /// Loads the plugin in a folder; runs none of its cases.
    pub(super) async fn load(self, folder: &Path) -> Result<LoadedPlugin, AuthorError> {
        let (schemas, cache) = (Arc::default(), CompileCache::of_user());
        let loader = match self.fuel {
            true => PluginLoader::with_engine(
                PluginEngine::with_fuel().map_err(LoadError::from)?,
                cache,
                schemas,
            ),
            false => PluginLoader::new(cache, schemas),
        };
        let manifest = Manifest::read(folder)?;
        let (spec, orders) = self.orders(folder, &manifest)?;
        let read = loader
            .read(folder.canonicalize().map_err(AuthorError::io("find", folder))?)
            .await?;
        let loaded = loader.load_untried(read, &orders, Arc::new(spec), None).await;
        loaded.map_err(|error| match error {
            LoadError::Configuration(faults) => AuthorError::Unconfigured(faults),
            other => other.into(),
        })
    }

    /// Returns what an operator would say who grants everything.
    fn orders(self, folder: &Path, manifest: &Manifest) -> Result<(PluginSpec, PluginOrders), AuthorError> {
        let (config, parts): (Map<_, _>, Map<_, _>) = configuration(folder)?
            .into_iter()
            .partition(|(key, _)| !PARTS.contains(&key.as_str()));
        let spec = PluginSpec {
            grant: all_granted(&manifest.requests),
            isolation: self.isolation,
            limits: self.limits,
            config: ExpandedJson::literal(Value::Object(config)),
            ..PluginSpec::unnamed(&manifest.plugin.name)
        };
        let host = PluginHostConfig {
            dir: folder.to_owned(),
            activate: Activate::Named,
            require_signature: false,
            trusted_keys: Vec::new(),
            watch: false,
        };
        let plugins = Vec::new();
        Ok((spec, PluginOrders { host, plugins, parts }))
    }
}

/// Returns what the manifest asks for as if the operator had granted it.
fn all_granted(requests: &Requests) -> Grants {
    Grants {
        kv: requests.kv.as_ref().map(|kv| kv.max_kib as usize * 1024),
        http: requests.http.as_ref().map(|http| HttpGrant {
            hosts: http.hosts.clone(),
            private_addresses: false,
        }),
        random: requests.random,
        schema: requests.schema,
        headers: requests.headers.iter().cloned().collect(),
    }
}

/// Returns the configuration to try a plugin with: `cases/config.toml`, or an empty one.
fn configuration(folder: &Path) -> Result<Map<String, Value>, AuthorError> {
    let path = folder.join("cases").join(CONFIGURATION_FILE);
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = std::fs::read_to_string(&path).map_err(AuthorError::io("read", &path))?;
    toml::from_str(&text).map_err(|error| AuthorError::Refused(format!("{}: {error}", path.display())))
}
