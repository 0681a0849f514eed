//! What an operator says of the plugins: plain data. What is in their configuration their own schemas say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Map;

use super::choice::Choice;
use super::kind::ED25519;
use super::mode::{Modes, refuse_unknown_mode};
use super::plugin_keys::PLUGIN;
use super::reading::Surroundings;
use super::scope::Scope;
use super::secret::ExpandedJson;
use super::texts::Texts;
use super::tree::{Node, Table};

/// What holds for all plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginHostConfig {
    /// The folder of the plugins. It may not exist.
    pub dir: PathBuf,
    /// Which of the plugins in it judge.
    pub activate: Activate,
    /// Whether a plugin without the signature of a trusted key is refused.
    pub require_signature: bool,
    /// Public ed25519 keys, as base64.
    pub trusted_keys: Vec<String>,
    /// Whether the folder is watched.
    pub watch: bool,
}

/// Which plugins judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activate {
    /// Those that the configuration names.
    #[default]
    Named,
    /// Also those that only lie in the folder: without grants, after the named ones, by name.
    Dropped,
}

impl Choice for Activate {
    const NAMES: &'static [&'static str] = &["named", "dropped"];
    const VALUES: &'static [Self] = &[Self::Named, Self::Dropped];
}

/// One plugin as the operator wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSpec {
    /// The name: its folder's, and in its manifest.
    pub name: String,
    /// The modes whose messages it judges; `None` is all, and messages without a mode.
    pub modes: Option<Vec<String>>,
    /// SHA-256 of the component in hexadecimal, if it is pinned.
    pub sha256: Option<String>,
    /// What it may use.
    pub grant: Grants,
    /// What happens to a message that it could not judge.
    pub on_error: OnError,
    /// Whether [`OnError::Skip`] is meant for access, too.
    pub allow_fail_open: bool,
    /// Its limits.
    pub limits: PluginLimits,
    /// Whether instances are used again.
    pub isolation: Isolation,
    /// Its configuration, for its schema to check.
    pub config: ExpandedJson,
}

/// What a plugin may use beyond the message, the log and the clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// A store of so many bytes.
    pub kv: Option<usize>,
    /// HTTP requests.
    pub http: Option<HttpGrant>,
    /// Random numbers.
    pub random: bool,
    /// JSON Schema.
    pub schema: bool,
    /// Names of request headers that it sees, in lower case.
    pub headers: BTreeSet<String>,
}

/// Where HTTP requests may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// `host` or `host:port`.
    pub hosts: Vec<String>,
    /// Whether those hosts may have private or loopback addresses.
    pub private_addresses: bool,
}

/// What happens to a message that a plugin could not judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It is refused.
    #[default]
    Deny,
    /// It goes on as if the plugin were not there.
    Skip,
}

impl Choice for OnError {
    const NAMES: &'static [&'static str] = &["deny", "skip"];
    const VALUES: &'static [Self] = &[Self::Deny, Self::Skip];
}

/// Whether a plugin's instances are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// They are, one call after the other.
    #[default]
    Pooled,
    /// Each call gets a new one.
    Fresh,
}

impl Choice for Isolation {
    const NAMES: &'static [&'static str] = &["pooled", "fresh"];
    const VALUES: &'static [Self] = &[Self::Pooled, Self::Fresh];
}

/// How far a plugin may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLimits {
    /// Longest call.
    pub timeout: Duration,
    /// Longest `init`.
    pub init_timeout: Duration,
    /// Most bytes of one instance's linear memory.
    pub memory_max: usize,
    /// An instance whose memory has grown by more bytes since it was initialised is not used again.
    pub memory_keep: usize,
    /// Instances that are kept. When all are busy, up to three times as many more serve one call each.
    pub instances_max: usize,
    /// An instance that has served so many calls is not used again.
    pub calls_max: u64,
    /// Most bytes of a message that are copied into the plugin in one call.
    pub body_copy_max: usize,
    /// Most bytes that a call may answer with.
    pub output_max: usize,
    /// Most notes of one call.
    pub notes_max: usize,
    /// Most calls of the host in one call.
    pub host_calls_max: u32,
    /// Most lines of log in a second.
    pub log_rate: u32,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(20),
            init_timeout: Duration::from_secs(2),
            memory_max: 64 << 20,
            memory_keep: 16 << 20,
            instances_max: 4,
            calls_max: 10_000,
            body_copy_max: 1 << 20,
            output_max: 1 << 20,
            notes_max: 16,
            host_calls_max: 1000,
            log_rate: 50,
        }
    }
}

impl PluginSpec {
    /// Returns what holds for a plugin of which the operator has said nothing.
    pub fn unnamed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            modes: None,
            sha256: None,
            grant: Grants::default(),
            on_error: OnError::default(),
            allow_fail_open: false,
            limits: PluginLimits::default(),
            isolation: Isolation::default(),
            config: ExpandedJson::literal(Map::new().into()),
        }
    }

    /// Checks one plugin's table and reads it. What the result contains counts only if nothing was refused.
    pub(super) fn read(name: &str, table: &Table, modes: &Modes, path: &str, texts: &Texts<'_>) -> Self {
        let scope = Scope::new(table, &[PLUGIN], path);
        scope.check(&[], texts.findings);
        if let Err(message) = check_name(name) {
            texts.findings.refuse(&table.place, path, message);
        }
        for (index, mode) in scope.texts("modes").iter().enumerate() {
            refuse_unknown_mode(&scope, "modes", Some(index), mode, modes, texts.findings);
        }
        let config = match scope.node("config") {
            Some(Node::Table(table)) => Some(texts.json(table, &scope.path("config"))),
            _ => None,
        };
        let unnamed = Self::unnamed(name);
        Self {
            modes: scope.leaf("modes").map(|_| scope.texts("modes")),
            sha256: scope.text("sha256").map(|digest| digest.to_ascii_lowercase()),
            grant: Grants::read(&scope),
            on_error: scope.choice("on-error"),
            allow_fail_open: scope.flag("allow-fail-open"),
            limits: PluginLimits::read(&scope),
            isolation: scope.choice("isolation"),
            config: config.unwrap_or(unnamed.config),
            name: unnamed.name,
        }
    }
}

/// The most characters of a plugin's name.
const NAME_CHARACTERS_MAX: usize = 64;

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=NAME_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "a plugin's name is that of its folder: 1 to {NAME_CHARACTERS_MAX} of `a-z`, `0-9` and `-`; rename it"
    ))
}

impl PluginHostConfig {
    pub(super) fn read(scope: &Scope<'_>, surroundings: &Surroundings<'_>) -> Self {
        let keys = scope.texts("trusted-keys").into_iter();
        Self {
            dir: surroundings.file_dir.join(scope.text("dir").unwrap_or_default()),
            activate: scope.choice("activate"),
            require_signature: scope.flag("require-signature"),
            trusted_keys: keys
                .map(|key| key.trim_start_matches(ED25519).to_owned())
                .collect(),
            watch: scope.flag("watch"),
        }
    }
}

impl Grants {
    fn read(plugin: &Scope<'_>) -> Self {
        plugin
            .inside("grant", |grant| Self {
                kv: grant.inside("kv", |kv| kv.count("max-kib") << 10),
                http: grant.inside("http", |http| HttpGrant {
                    hosts: http.texts("hosts"),
                    private_addresses: http.flag("private-addresses"),
                }),
                random: grant.flag("random"),
                schema: grant.flag("schema"),
                headers: grant
                    .texts("headers")
                    .iter()
                    .map(|name| name.to_ascii_lowercase())
                    .collect(),
            })
            .unwrap_or_default()
    }
}

impl PluginLimits {
    fn read(scope: &Scope<'_>) -> Self {
        let default = Self::default();
        let count = |key, default| scope.try_count(key).unwrap_or(default);
        let small = |key, default| match scope.leaf(key) {
            Some(_) => scope.small_count(key),
            None => default,
        };
        Self {
            timeout: scope.try_duration("timeout").unwrap_or(default.timeout),
            init_timeout: scope.try_duration("init-timeout").unwrap_or(default.init_timeout),
            memory_max: count("memory-max", default.memory_max),
            memory_keep: count("memory-keep", default.memory_keep),
            instances_max: count("instances-max", default.instances_max),
            calls_max: scope
                .try_count("calls-max")
                .map_or(default.calls_max, |max| max as u64),
            body_copy_max: count("body-copy-max", default.body_copy_max),
            output_max: count("output-max", default.output_max),
            notes_max: count("notes-max", default.notes_max),
            host_calls_max: small("host-calls-max", default.host_calls_max),
            log_rate: small("log-rate", default.log_rate),
        }
    }
}
