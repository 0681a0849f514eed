//! A plugin in the hands of its author: loaded as the gateway would, with everything granted that its manifest asks for.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::AuthorError;
use super::paths::COMPONENT_FILE;
use crate::config::{Grants, HttpGrant, Isolation, PluginLimits, PluginSpec};
use crate::plugin::manifest::{Manifest, Requests};
use crate::plugin::{Blueprint, Plugin, PluginEngine, PluginHost};
use crate::schema::SchemaCache;

/// How a plugin is tried.
#[derive(Debug, Clone, Default)]
pub(super) struct TrialOptions {
    /// Whether each call gets an instance of its own.
    pub(super) isolation: Isolation,
    /// How far it may go.
    pub(super) limits: PluginLimits,
}

/// Loads the plugin in a folder.
pub(super) async fn load(
    folder: &Path,
    engine: PluginEngine,
    options: TrialOptions,
) -> Result<Plugin, AuthorError> {
    let manifest = Manifest::read(folder)?;
    let path = folder.join(COMPONENT_FILE);
    let component = std::fs::read(&path).map_err(AuthorError::io("read", &path))?;
    let refused = |why: String| AuthorError::Refused(why);
    let spec = PluginSpec {
        grant: all_granted(&manifest.requests),
        isolation: options.isolation,
        limits: options.limits,
        ..PluginSpec::unnamed(&manifest.plugin.name)
    };
    let blueprint = Blueprint {
        config: configuration(folder)?,
        component: engine
            .component(&component)
            .map_err(|error| refused(error.to_string()))?,
        sha256: Sha256::digest(&component)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        manifest: Arc::new(manifest),
        spec: Arc::new(spec),
    };
    PluginHost::new(engine, Arc::new(SchemaCache::default()))
        .build(blueprint)
        .await
        .map_err(|error| refused(error.to_string()))
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

/// In the folder of cases: what `init` gets where a case has no configuration of its own.
pub(super) const CONFIGURATION_FILE: &str = "config.toml";

/// Returns the configuration to try a plugin with: `cases/config.toml`, or an empty one.
fn configuration(folder: &Path) -> Result<Value, AuthorError> {
    let path = folder.join("cases").join(CONFIGURATION_FILE);
    if !path.exists() {
        return Ok(Value::Object(Map::new()));
    }
    let text = std::fs::read_to_string(&path).map_err(AuthorError::io("read", &path))?;
    toml::from_str(&text).map_err(|error| AuthorError::Refused(format!("{}: {error}", path.display())))
}
