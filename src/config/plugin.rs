//! What an operator says of the plugins: plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// What holds for all plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginHostConfig {
    /// The folder of the plugins. It may not exist.
    pub dir: PathBuf,
    /// Which of the plugins in it judge.
    pub activate: Activate,
    /// Whether a plugin without the signature of a trusted key is refused.
    pub require_signature: bool,
    /// Public keys, as base64.
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
    pub config: Value,
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

/// Whether a plugin's instances are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// They are, one call after the other.
    #[default]
    Pooled,
    /// Each call gets a new one.
    Fresh,
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
    /// An instance whose memory has grown beyond so many bytes is not used again.
    pub memory_keep: usize,
    /// Most instances at once.
    pub instances_max: usize,
    /// An instance that has served so many calls is not used again.
    pub calls_max: u64,
    /// Most bytes of a message that are copied into the plugin whole.
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

/// The settings of modes, by name: tables whose meaning is that of the plugins that receive them.
pub type Modes = BTreeMap<String, Value>;

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
            config: Value::Object(serde_json::Map::new()),
        }
    }
}
