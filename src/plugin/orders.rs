//! What an operator wants of all plugins, and what that makes of one plugin's configuration.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use crate::config::{Config, PluginHostConfig, PluginSpec};
use crate::schema;

/// The parts of the gateway's configuration that a plugin can receive.
pub const PARTS: [&str; 1] = ["modes"];
/// So many faults of one configuration are told at once.
const FAULTS_MAX: usize = 16;

/// What an operator wants.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginOrders {
    /// What holds for all plugins.
    pub host: PluginHostConfig,
    /// The plugins that judge, in their order.
    pub plugins: Vec<Arc<PluginSpec>>,
    /// The parts of the gateway's configuration that it has, by their names in [`PARTS`].
    pub parts: Map<String, Value>,
}

impl PluginOrders {
    /// Returns what a configuration says of plugins.
    pub fn of(config: &Config) -> Self {
        let mut parts = Map::new();
        if !config.modes.is_empty() {
            let modes = config
                .modes
                .iter()
                .map(|(name, mode)| (name.clone(), mode.clone()));
            parts.insert("modes".to_owned(), Value::Object(modes.collect()));
        }
        Self {
            host: config.plugin_host.clone(),
            plugins: config.plugins.clone(),
            parts,
        }
    }

    /// Returns what is wanted of a plugin; without a word of the operator, the least.
    pub(super) fn spec(&self, name: &str) -> Arc<PluginSpec> {
        let named = self.plugins.iter().find(|spec| spec.name == name);
        named.map_or_else(|| Arc::new(PluginSpec::unnamed(name)), Arc::clone)
    }

    /// Returns the names of the modes.
    pub(super) fn modes(&self) -> impl Iterator<Item = &str> {
        let modes = self.parts.get("modes").and_then(Value::as_object);
        modes.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// Returns a digest of what is wanted of a plugin with this folder: another one means another generation.
    pub(super) fn digest(&self, spec: &PluginSpec, folder: [u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(folder);
        hash.update(format!(
            "{spec:?}{:?}{:?}",
            self.host.require_signature, self.host.trusted_keys
        ));
        // Its debug form shows variables by name.
        hash.update(spec.config.value().to_string());
        hash.update(serde_json::to_vec(&self.parts).expect("JSON becomes text"));
        hash.finalize().into()
    }

    /// Returns a plugin's whole configuration: what the operator wrote for it, and the parts that it receives.
    ///
    /// # Errors
    /// What is wrong with it, each with its place.
    pub(super) fn configuration(&self, manifest: &Manifest, spec: &PluginSpec) -> Result<Value, Vec<String>> {
        let own = format!("plugins.{}.config", spec.name);
        let Value::Object(mut whole) = spec.config.value().clone() else {
            return Err(vec![format!("{own}: a table is expected")]);
        };
        let mut problems = Vec::new();
        let shape = &manifest.config;
        for part in &shape.receives {
            if !PARTS.contains(&part.as_str()) {
                let known = PARTS.join(", ");
                problems.push(format!(
                    "config.receives of its manifest: there is no part {part:?} of the configuration; known: {known}"
                ));
            } else if whole.contains_key(part) {
                problems.push(format!("{own}.{part}: this stands in [{part}], and only there"));
            } else if let Some(value) = self.parts.get(part) {
                whole.insert(part.clone(), value.clone());
            }
        }
        let whole = Value::Object(whole);
        if let Some(schema) = shape.schema.clone() {
            match schema::faults(&schema.into(), &whole, FAULTS_MAX) {
                Ok(faults) => problems.extend(faults.iter().map(|fault| {
                    format!(
                        "{}: {}",
                        place(&own, &shape.receives, &fault.pointer),
                        fault.message
                    )
                })),
                Err(error) => problems.push(format!(
                    "config.schema of its manifest is no JSON Schema: {error}"
                )),
            }
        }
        match problems.is_empty() {
            true => Ok(whole),
            false => Err(problems),
        }
    }
}

/// Returns the place in the gateway's configuration that a pointer into a plugin's means.
fn place(own: &str, receives: &[String], pointer: &str) -> String {
    let mut segments = pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .peekable();
    let mut place = match segments.peek() {
        Some(part) if receives.contains(part) => segments.next().expect("it was looked at"),
        _ => own.to_owned(),
    };
    for segment in segments {
        let is_index = segment.bytes().all(|byte| byte.is_ascii_digit());
        place += &match is_index {
            true => format!("[{segment}]"),
            false => format!(".{segment}"),
        };
    }
    place
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::{Activate, ExpandedJson};

    const MANIFEST: &str = r#"
        plugin = { name = "guard", version = "1.0.0" }
        hooks.access = { methods = ["*"] }
        [config]
        receives = ["modes"]
        [config.schema]
        required = ["modes"]
        additionalProperties = false
        properties.rules = { items = { properties.pattern = { type = "string" } } }
        properties.modes.additionalProperties = { properties.servers = {}, additionalProperties = false }
    "#;

    fn orders(modes: Value) -> PluginOrders {
        let Value::Object(parts) = modes else {
            unreachable!("a test writes objects")
        };
        PluginOrders {
            host: PluginHostConfig {
                dir: "plugins".into(),
                activate: Activate::Named,
                require_signature: false,
                trusted_keys: Vec::new(),
                watch: true,
            },
            plugins: Vec::new(),
            parts,
        }
    }

    fn configured(parts: Value, config: Value) -> Result<Value, Vec<String>> {
        let manifest = Manifest::parse(Path::new("plugin.toml"), MANIFEST).expect("a manifest");
        let mut spec = PluginSpec::unnamed("guard");
        spec.config = ExpandedJson::literal(config);
        orders(parts).configuration(&manifest, &spec)
    }

    #[test]
    fn a_configuration_is_what_the_operator_wrote_and_the_parts_it_receives() {
        let rules = json!({ "rules": [{ "pattern": "x" }] });
        let modes = json!({ "modes": { "chat": {} } });
        let expect = json!({ "rules": [{ "pattern": "x" }], "modes": { "chat": {} } });
        assert_eq!(configured(modes, rules), Ok(expect));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_in_the_file() {
        let check = |parts: Value, config: Value, expect: &[&str]| {
            let mut problems = configured(parts, config).expect_err("refused");
            problems.sort_unstable();
            assert_eq!(problems, expect);
        };
        let modes = json!({ "modes": { "chat": { "serverz": 1 } } });
        let rules = json!({ "rules": [{}, {}, { "pattern": 7 }], "more": 1 });
        check(
            modes,
            rules,
            &[
                "modes.chat.serverz: is not known here",
                "plugins.guard.config.more: is not known here",
                "plugins.guard.config.rules[2].pattern: value is not of type \"string\"",
            ],
        );
        check(
            json!({}),
            json!({}),
            &["plugins.guard.config: \"modes\" is a required property"],
        );
        check(
            json!({}),
            json!({ "modes": {} }),
            &["plugins.guard.config.modes: this stands in [modes], and only there"],
        );
        check(
            json!({}),
            json!([]),
            &["plugins.guard.config: a table is expected"],
        );
    }

    #[test]
    fn another_word_of_the_operator_is_another_generation() {
        let spec = PluginSpec::unnamed("guard");
        let none = orders(json!({}));
        let digest = none.digest(&spec, [0; 32]);
        assert_eq!(none.digest(&spec.clone(), [0; 32]), digest);
        assert_ne!(none.digest(&spec, [1; 32]), digest);
        assert_ne!(orders(json!({ "modes": {} })).digest(&spec, [0; 32]), digest);
        let mut other = spec;
        other.config = ExpandedJson::literal(json!({ "a": 1 }));
        assert_ne!(none.digest(&other, [0; 32]), digest);
    }
}
