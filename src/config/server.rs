//! One server as it is to be run: plain data, valid, immutable.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::choice::{ClientFeature, Sharing, ValidateArguments};
use super::keys::{REQUESTS, SERVER_DEFAULTS};
use super::layers::{Layer, merge};
use super::name::ServerName;
use super::remote::RemoteSpec;
use super::scope::Scope;
use super::secret::Expanded;
use super::server_keys::{SERVER, SETTINGS};
use super::texts::Texts;
use super::tree::{Node, Table};
use super::violation::{Findings, Place};

/// The command that stands for this very executable; whoever starts the process resolves it.
pub const SELF_COMMAND: &str = "@self";

/// The keys whose texts may hold variables; everything else of a server is plain.
pub(super) const INVOCATION: [&str; 6] = ["command", "args", "env", "cwd", "url", "headers"];

/// What one server is and how it is run.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSpec {
    /// The name, unique among servers.
    pub name: ServerName,
    /// The segment of the server's URL, unique among the servers of a configuration.
    pub path: String,
    /// The name for people.
    pub display_name: String,
    /// The version for people, if somebody wrote one.
    pub version: Option<String>,
    /// Where the server is, if it is remote. Then nothing is started, and the next four say nothing.
    pub remote: Option<RemoteSpec>,
    /// The program; [`SELF_COMMAND`] stands for this executable. Never empty.
    pub command: Expanded,
    /// The arguments.
    pub args: Vec<Expanded>,
    /// Environment variables of the process, besides the inherited ones.
    pub env: BTreeMap<String, Expanded>,
    /// The directory in which it starts; `None` is the gateway's.
    pub cwd: Option<Expanded>,
    /// Names of inherited variables; a trailing `*` matches a prefix.
    pub inherit_env: Vec<String>,
    /// Whether the server may be used.
    pub enabled: bool,
    /// Whether it starts with the gateway.
    pub autostart: bool,
    /// Who shares a process.
    pub sharing: Sharing,
    /// The client features that lead to a process per session where sharing is [`Sharing::Auto`].
    pub client_features: Vec<ClientFeature>,
    /// Processes of the shared pool, at least one.
    pub instances: usize,
    /// Most processes, at least `instances`, which are kept for the shared pool.
    pub instances_max: usize,
    /// Longest wait for the answer to `initialize`.
    pub handshake_timeout: Duration,
    /// How long a request may take without progress; `None` is that of [`RequestConfig`](super::RequestConfig).
    pub request_timeout: Option<Duration>,
    /// A process without use for this long stops; `None` is never.
    pub idle_timeout: Option<Duration>,
    /// How long a process stays after its last session ended.
    pub linger: Duration,
    /// How long each step of the stop ladder waits.
    pub stop_grace: Duration,
    /// Time between pings; `None` is never.
    pub ping_interval: Option<Duration>,
    /// Longest wait for the answer to a ping.
    pub ping_timeout: Duration,
    /// When and how often it is started again.
    pub restart: RestartPolicy,
    /// Most bytes of one message from the server.
    pub line_max: usize,
    /// Most messages that wait for its stdin.
    pub queue_max: usize,
    /// Most bytes that wait for its stdin.
    pub queue_bytes_max: usize,
    /// Most requests at once in one process.
    pub in_flight_max: usize,
    /// What happens to arguments that do not fit a tool's schema.
    pub validate_arguments: ValidateArguments,
    /// Lines of stderr per second that reach the log.
    pub stderr_rate: u32,
    /// Last lines of stderr that are kept.
    pub stderr_tail: usize,
    /// The plain keys that were set for this server alone, for a later patch.
    pub(super) own: Map<String, Value>,
}

/// When a server that failed is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Most restarts within the window.
    pub attempts_max: u32,
    /// The window in which restarts count.
    pub window: Duration,
    /// Wait before the first restart; it doubles.
    pub backoff_initial: Duration,
    /// Longest wait before a restart.
    pub backoff_max: Duration,
    /// Uptime after which the restarts are forgotten.
    pub stable_after: Duration,
    /// How long it stays failed before a request may try again.
    pub cool_down: Duration,
}

/// What holds for every server that does not say otherwise: the checked `[server-defaults]`.
#[derive(Clone)]
pub struct ServerDefaults {
    table: Table,
    /// What `requests.timeout-max` says, if that is valid.
    request_timeout_max: Option<Duration>,
}

/// The embedded defaults.
impl Default for ServerDefaults {
    fn default() -> Self {
        Self::from_merged(&merge(&[Layer::defaults()]))
    }
}

impl std::fmt::Debug for ServerDefaults {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ServerDefaults({})", self.table.value())
    }
}

impl PartialEq for ServerDefaults {
    fn eq(&self, other: &Self) -> bool {
        self.table.value() == other.table.value() && self.request_timeout_max == other.request_timeout_max
    }
}

impl ServerDefaults {
    /// Takes the section out of a merged configuration whose check is somebody else's.
    pub(super) fn from_merged(merged: &Table) -> Self {
        Self {
            table: merged
                .table(SERVER_DEFAULTS)
                .cloned()
                .unwrap_or_else(Table::empty),
            request_timeout_max: request_timeout_max(merged),
        }
    }

    /// Checks the section, as far as it can be checked without a server.
    pub(super) fn check(&self, findings: &Findings) {
        let scope = Scope::new(&self.table, &[SETTINGS], SERVER_DEFAULTS);
        scope.check(&[], findings);
        self.check_bounds(&scope, findings);
    }

    /// Refuses settings that contradict each other.
    fn check_bounds(&self, scope: &Scope<'_>, findings: &Findings) {
        if let (Some(count), Some(max)) = (scope.try_count("instances"), scope.try_count("instances-max"))
            && count > max
        {
            refuse_above(scope, "instances", "instances-max", findings);
        }
        if let (Some(initial), Some(max)) = (
            scope.try_duration("backoff-initial"),
            scope.try_duration("backoff-max"),
        ) && initial > max
        {
            refuse_above(scope, "backoff-initial", "backoff-max", findings);
        }
        if let (Some(timeout), Some(max)) = (scope.try_duration("request-timeout"), self.request_timeout_max)
            && timeout > max
        {
            refuse_above(scope, "request-timeout", "requests.timeout-max", findings);
        }
    }
}

impl ServerSpec {
    /// Checks one server's table and reads it. What the result contains counts only if nothing was refused.
    pub(super) fn read(
        name: ServerName,
        table: &Table,
        defaults: &ServerDefaults,
        path: &str,
        texts: &Texts<'_>,
    ) -> Self {
        let own_scope = Scope::new(table, &SERVER, path);
        own_scope.check(&[], texts.findings);
        let scope = own_scope.with_fallback(&defaults.table);
        if SETTINGS.iter().any(|key| table.entries.contains_key(key.name)) {
            defaults.check_bounds(&scope, texts.findings);
        }
        let own = table
            .entries
            .iter()
            .filter(|(key, _)| !INVOCATION.contains(&key.as_str()));
        let spec = Self {
            own: own.map(|(key, node)| (key.clone(), node.value())).collect(),
            ..Self::assemble(name, &scope, texts)
        };
        spec.check_command(&scope, texts.findings);
        spec
    }

    fn assemble(name: ServerName, scope: &Scope<'_>, texts: &Texts<'_>) -> Self {
        let autostart = scope.flag("autostart");
        Self {
            path: scope.text("path").unwrap_or_else(|| name.to_string()),
            display_name: scope.text("display-name").unwrap_or_else(|| name.to_string()),
            name,
            version: scope.text("version"),
            remote: RemoteSpec::read(scope, texts),
            command: texts
                .one(scope, "command")
                .unwrap_or_else(|| Expanded::literal("")),
            args: texts.list(scope, "args"),
            env: texts.table(scope, "env"),
            cwd: texts.one(scope, "cwd"),
            inherit_env: scope.texts("inherit-env"),
            enabled: scope.flag("enabled"),
            autostart,
            sharing: scope.choice("sharing"),
            client_features: scope.choices("client-features"),
            instances: scope.count("instances"),
            instances_max: scope.count("instances-max"),
            handshake_timeout: scope.duration("handshake-timeout"),
            request_timeout: scope.try_duration("request-timeout"),
            idle_timeout: idle_timeout(scope, autostart),
            linger: scope.duration("linger"),
            stop_grace: scope.duration("stop-grace"),
            ping_interval: scope.try_duration("ping-interval"),
            ping_timeout: scope.duration("ping-timeout"),
            restart: RestartPolicy::read(scope),
            line_max: scope.count("line-max"),
            queue_max: scope.count("queue-max"),
            queue_bytes_max: scope.count("queue-bytes-max"),
            in_flight_max: scope.count("in-flight-max"),
            validate_arguments: scope.choice("validate-arguments"),
            stderr_rate: scope.small_count("stderr-rate"),
            stderr_tail: scope.count("stderr-tail"),
            own: Map::new(),
        }
    }

    /// Refuses what is empty, also where a variable made it so.
    fn check_command(&self, scope: &Scope<'_>, findings: &Findings) {
        for (key, text) in [("command", Some(&self.command)), ("cwd", self.cwd.as_ref())] {
            let is_set = matches!(scope.node(key), Some(Node::Leaf(leaf)) if leaf.value.is_string());
            if is_set && text.is_some_and(|text| text.value().trim().is_empty()) {
                findings.refuse(scope.place(key), scope.path(key), "must not be empty");
            }
        }
    }
}

impl RestartPolicy {
    fn read(scope: &Scope<'_>) -> Self {
        Self {
            attempts_max: scope.small_count("restart-attempts-max"),
            window: scope.duration("restart-window"),
            backoff_initial: scope.duration("backoff-initial"),
            backoff_max: scope.duration("backoff-max"),
            stable_after: scope.duration("stable-after"),
            cool_down: scope.duration("cool-down"),
        }
    }
}

/// A server that starts by itself is meant to stay, unless somebody set a time.
fn idle_timeout(scope: &Scope<'_>, autostart: bool) -> Option<Duration> {
    let is_default = *scope.place("idle-timeout") == Place::Default;
    if autostart && is_default {
        None
    } else {
        scope.try_duration("idle-timeout")
    }
}

fn request_timeout_max(merged: &Table) -> Option<Duration> {
    let requests = Scope::new(merged.table("requests")?, &[REQUESTS], "requests");
    requests.try_duration("timeout-max")
}

/// Refuses a value above its bound, at the place of the one that is not a default.
pub(super) fn refuse_above(scope: &Scope<'_>, key: &str, bound: &str, findings: &Findings) {
    let key_is_default = *scope.place(key) == Place::Default;
    let place = scope.place(if key_is_default { bound } else { key });
    findings.refuse(
        place,
        scope.path(key),
        format!("is above `{bound}`: lower it, or raise `{bound}`"),
    );
}
