//! From the merged layers to the model, in one pass that finds every violation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::expand;
use super::keys::{NAMED, PLUGINS, PRINCIPAL, PRINCIPALS, ROUTES, SECTIONS, SERVERS, TOP};
use super::mode::{ModeAccess, Modes, read_default_mode, read_modes};
use super::model::{
    AdminConfig, AnonymousConfig, CacheConfig, Config, EventConfig, HttpConfig, LogConfig, PrincipalConfig,
    RequestConfig, SessionConfig, SupervisionConfig, TOKEN_BYTES_MIN,
};
use super::name::{PrincipalName, ServerName};
use super::plugin::{PluginHostConfig, PluginSpec};
use super::route::{RouteSpec, Routes};
use super::scope::Scope;
use super::secret::Secret;
use super::server::{ServerDefaults, ServerSpec, refuse_above};
use super::texts::Texts;
use super::tree::{Leaf, Node, Table};
use super::violation::{Findings, Place};

/// What the configuration is read with.
pub(super) struct Surroundings<'a> {
    /// The environment for `${VAR}`.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// The state directory if no key names one.
    pub(super) state_dir: Option<PathBuf>,
    /// What relative paths start from.
    pub(super) working_dir: &'a Path,
    /// The directory of the main file, or the working directory where there is none.
    pub(super) file_dir: &'a Path,
    /// The names of the plugins in the order in which they were written.
    pub(super) plugin_order: &'a [String],
    /// Where violations go.
    pub(super) findings: &'a Findings,
}

/// Reads everything. What the result contains counts only if nothing was refused.
pub(super) fn read(merged: &Table, surroundings: &Surroundings<'_>) -> Config {
    let findings = surroundings.findings;
    refuse_unknown_sections(merged, findings);
    let sections = Sections {
        merged,
        empty: Table::empty(),
    };
    let defaults = ServerDefaults::from_merged(merged);
    defaults.check(findings);
    let top = Scope::new(merged, &[TOP], "");
    let state_dir = state_dir(&top, surroundings);
    let requests = sections.read("requests", findings, RequestConfig::read);
    let servers = servers(merged, &defaults, surroundings);
    let modes = read_modes(merged, findings);
    let default_mode = read_default_mode(&top, &modes, findings);
    let config = Config {
        // Without an address there is a violation; any other will do.
        listen: top
            .address("listen")
            .unwrap_or_else(|| ([127, 0, 0, 1], 0).into()),
        http: sections.read("http", findings, |scope, _| HttpConfig::read(scope, surroundings)),
        sessions: sections.read("sessions", findings, |scope, _| SessionConfig::read(scope)),
        cache: sections.read("cache", findings, |scope, _| CacheConfig {
            entries_max: scope.count("entries-max"),
            entry_bytes_max: scope.count("entry-bytes-max"),
            bytes_max: scope.count("bytes-max"),
        }),
        admin: sections.read("admin", findings, |scope, _| {
            AdminConfig::read(scope, &state_dir, surroundings)
        }),
        anonymous: sections.read("anonymous", findings, |scope, _| {
            AnonymousConfig::read(scope, &modes, default_mode.as_ref(), findings)
        }),
        plugin_host: sections.read("plugin-host", findings, |scope, _| {
            PluginHostConfig::read(scope, surroundings)
        }),
        plugins: plugins(merged, &modes, surroundings),
        supervision: sections.read("supervision", findings, |scope, _| SupervisionConfig::read(scope)),
        events: sections.read("events", findings, |scope, _| EventConfig {
            history_max: scope.count("history-max"),
        }),
        log: sections.read("log", findings, |scope, _| LogConfig {
            format: scope.choice("format"),
            level: scope.text("level").unwrap_or_default(),
        }),
        principals: principals(merged, &modes, default_mode.as_ref(), surroundings),
        routes: routes(merged, &servers, findings),
        default_mode,
        modes,
        server_defaults: defaults,
        requests,
        state_dir,
        servers,
    };
    check_listeners(&config, merged, findings);
    config
}

/// The sections of a merged configuration. Where one is not a table, an empty one stands for it.
struct Sections<'a> {
    merged: &'a Table,
    empty: Table,
}

impl Sections<'_> {
    fn read<T>(&self, name: &str, findings: &Findings, read: impl FnOnce(&Scope<'_>, &Findings) -> T) -> T {
        let (_, keys) = SECTIONS
            .iter()
            .find(|(section, _)| *section == name)
            .expect("code reads known sections");
        let groups = [*keys];
        let scope = Scope::new(self.merged.table(name).unwrap_or(&self.empty), &groups, name);
        scope.check(&[], findings);
        read(&scope, findings)
    }
}

fn refuse_unknown_sections(merged: &Table, findings: &Findings) {
    let names: Vec<&str> = SECTIONS
        .iter()
        .map(|(name, _)| *name)
        .chain(NAMED.iter().map(|(name, _)| *name))
        .collect();
    Scope::new(merged, &[TOP], "").check(&names, findings);
    for name in names {
        if let Some(Node::Leaf(leaf)) = merged.entries.get(name) {
            findings.refuse(
                &leaf.place,
                name,
                format!("expected a table: write `[{name}]` and its keys below"),
            );
        }
    }
}

/// Returns the directory as an absolute path.
fn state_dir(top: &Scope<'_>, surroundings: &Surroundings<'_>) -> PathBuf {
    match (top.text("state-dir"), &surroundings.state_dir) {
        (Some(path), _) => surroundings.working_dir.join(path),
        (None, Some(path)) => path.clone(),
        (None, None) => {
            let message = "is missing, and there is no home directory to put it in: set it";
            surroundings
                .findings
                .refuse(&Place::Default, "state-dir", message);
            PathBuf::new()
        }
    }
}

impl HttpConfig {
    fn read(scope: &Scope<'_>, surroundings: &Surroundings<'_>) -> Self {
        let unix_socket = scope.text("unix-socket");
        Self {
            allowed_hosts: scope.texts("allowed-hosts"),
            allowed_origins: scope.texts("allowed-origins"),
            body_max: scope.count("body-max"),
            header_max: scope.count("header-max"),
            header_timeout: scope.duration("header-timeout"),
            body_timeout: scope.duration("body-timeout"),
            connections_max: scope.count("connections-max"),
            keep_alive: scope.duration("keep-alive"),
            tcp_user_timeout: scope.duration("tcp-user-timeout"),
            sse_after: scope.duration("sse-after"),
            drain_timeout: scope.duration("drain-timeout"),
            mode_header: scope.flag("mode-header"),
            http2_streams_max: scope.count("http2-streams-max"),
            unix_socket: unix_socket.map(|path| surroundings.working_dir.join(path)),
        }
    }
}

impl SessionConfig {
    fn read(scope: &Scope<'_>) -> Self {
        Self {
            idle_timeout: scope.duration("idle-timeout"),
            max: scope.count("max"),
            outbox_events_max: scope.count("outbox-events-max"),
            outbox_bytes_max: scope.count("outbox-bytes-max"),
            streams_max: scope.count("streams-max"),
            listens_max: scope.count("listens-max"),
            stream_retention: scope.duration("stream-retention"),
            retry: scope.duration("retry"),
        }
    }
}

impl RequestConfig {
    fn read(scope: &Scope<'_>, findings: &Findings) -> Self {
        if let (Some(timeout), Some(max)) = (scope.try_duration("timeout"), scope.try_duration("timeout-max"))
            && timeout > max
        {
            refuse_above(scope, "timeout", "timeout-max", findings);
        }
        Self {
            timeout: scope.duration("timeout"),
            timeout_max: scope.duration("timeout-max"),
            in_flight_max: scope.count("in-flight-max"),
            depth_max: scope.count("depth-max"),
            batch_max: scope.count("batch-max"),
            suspended_max: scope.count("suspended-max"),
            suspended_per_principal_max: scope.count("suspended-per-principal-max"),
            suspended_timeout: scope.duration("suspended-timeout"),
        }
    }
}

impl AdminConfig {
    fn read(scope: &Scope<'_>, state_dir: &Path, surroundings: &Surroundings<'_>) -> Self {
        let token_file = scope
            .text("token-file")
            .map(|path| surroundings.working_dir.join(path));
        Self {
            enabled: scope.flag("enabled"),
            listen: scope.address("listen"),
            allow_commands: scope.flag("allow-commands"),
            allow_urls: scope.flag("allow-urls"),
            token_file: token_file.unwrap_or_else(|| state_dir.join("admin-token")),
        }
    }
}

impl SupervisionConfig {
    fn read(scope: &Scope<'_>) -> Self {
        Self {
            starting_max: scope.count("starting-max"),
            pid_namespace: scope.choice("pid-namespace"),
        }
    }
}

fn servers(
    merged: &Table,
    defaults: &ServerDefaults,
    surroundings: &Surroundings<'_>,
) -> BTreeMap<ServerName, Arc<ServerSpec>> {
    let findings = surroundings.findings;
    let texts = Texts {
        variables: Some(surroundings.variables),
        findings,
    };
    let mut servers = BTreeMap::new();
    let mut paths: BTreeMap<String, ServerName> = BTreeMap::new();
    for (name, table) in named(merged, SERVERS, findings) {
        let path = format!("{SERVERS}.{name}");
        let name: ServerName = match name.parse() {
            Ok(name) => name,
            Err(error) => {
                findings.refuse(&table.place, path, format!("{error}; rename it"));
                continue;
            }
        };
        let spec = ServerSpec::read(name.clone(), table, defaults, &path, &texts);
        if let Some(other) = paths.insert(spec.path.clone(), name.clone()) {
            let message = format!(
                "`{}` is the path of server `{other}` too: give one of them another",
                spec.path
            );
            findings.refuse(table.place_of("path"), format!("{path}.path"), message);
        }
        servers.insert(name, Arc::new(spec));
    }
    servers
}

impl AnonymousConfig {
    fn read(scope: &Scope<'_>, modes: &Modes, default_mode: Option<&String>, findings: &Findings) -> Self {
        let access = ModeAccess::read(scope, modes, default_mode, findings);
        let enabled = scope.flag("enabled");
        if enabled {
            access.warn_of_none(modes, scope.place("modes"), "anonymous", findings);
        }
        Self {
            enabled,
            modes: access,
        }
    }
}

fn plugins(merged: &Table, modes: &Modes, surroundings: &Surroundings<'_>) -> Vec<Arc<PluginSpec>> {
    let texts = Texts {
        variables: Some(surroundings.variables),
        findings: surroundings.findings,
    };
    let mut tables = named(merged, PLUGINS, surroundings.findings);
    tables.sort_by_key(|(name, _)| surroundings.plugin_order.iter().position(|known| known == name));
    let read = |(name, table): (&str, &Table)| {
        PluginSpec::read(name, table, modes, &format!("{PLUGINS}.{name}"), &texts)
    };
    tables.into_iter().map(read).map(Arc::new).collect()
}

fn routes(merged: &Table, servers: &BTreeMap<ServerName, Arc<ServerSpec>>, findings: &Findings) -> Routes {
    let tables = named(merged, ROUTES, findings).into_iter();
    tables
        .map(|(name, table)| (name.to_owned(), RouteSpec::read(name, table, servers, findings)))
        .collect()
}

fn principals(
    merged: &Table,
    modes: &Modes,
    default_mode: Option<&String>,
    surroundings: &Surroundings<'_>,
) -> BTreeMap<PrincipalName, PrincipalConfig> {
    let findings = surroundings.findings;
    let mut principals: BTreeMap<PrincipalName, PrincipalConfig> = BTreeMap::new();
    for (name, table) in named(merged, PRINCIPALS, findings) {
        let path = format!("{PRINCIPALS}.{name}");
        let scope = Scope::new(table, &[PRINCIPAL], &path);
        scope.check(&[], findings);
        let token = token(&scope, surroundings);
        let access = ModeAccess::read(&scope, modes, default_mode, findings);
        access.warn_of_none(modes, scope.place("modes"), &path, findings);
        match name.parse::<PrincipalName>() {
            Err(error) => findings.refuse(&table.place, path, format!("{error}; rename it")),
            Ok(_) if name == "anonymous" => {
                findings.refuse(
                    &table.place,
                    path,
                    "is the name of clients without a token; rename it",
                );
            }
            Ok(name) => {
                let Some(token) = token else { continue };
                if let Some((other, _)) = principals.iter().find(|(_, principal)| principal.token == token) {
                    let message = format!("is the token of principal `{other}` too: give each their own");
                    findings.refuse(scope.place("token"), scope.path("token"), message);
                }
                let principal = PrincipalConfig {
                    token,
                    modes: access,
                    registry: scope.choice("registry"),
                };
                principals.insert(name, principal);
            }
        }
    }
    principals
}

/// Reads a token. Its violations never contain it.
fn token(scope: &Scope<'_>, surroundings: &Surroundings<'_>) -> Option<Secret> {
    let Leaf { value, place } = scope.leaf("token")?;
    let text = value.as_str()?;
    let refuse = |message: String| surroundings.findings.refuse(place, scope.path("token"), message);
    let expanded = match place {
        Place::Variable(_) => Ok(text.to_owned()),
        _ => expand(text, surroundings.variables),
    };
    let token = match expanded {
        Ok(token) => token,
        Err(errors) => {
            errors.iter().for_each(|error| refuse(error.to_string()));
            return None;
        }
    };
    if token.len() < TOKEN_BYTES_MIN {
        let length = token.len();
        refuse(format!(
            "has {length} bytes, a token needs at least {TOKEN_BYTES_MIN}: make one with `openssl rand -hex 32`"
        ));
        return None;
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        refuse("must consist of visible ASCII characters, or no client could send it".to_owned());
        return None;
    }
    Some(Secret::new(token))
}

/// Returns the tables of a table of named things; anything else in it is refused.
fn named<'a>(merged: &'a Table, section: &str, findings: &Findings) -> Vec<(&'a str, &'a Table)> {
    let mut tables = Vec::new();
    for (name, node) in merged.table(section).into_iter().flat_map(|table| &table.entries) {
        match node {
            Node::Table(table) => tables.push((name.as_str(), table)),
            Node::Leaf(leaf) => {
                let message = format!("expected a table: write `[{section}.{name}]` and its keys below");
                findings.refuse(&leaf.place, format!("{section}.{name}"), message);
            }
        }
    }
    tables
}

/// Refuses listeners that exclude each other, and warns of those that let too much or nobody in.
fn check_listeners(config: &Config, merged: &Table, findings: &Findings) {
    let place = |section: Option<&str>, key: &str| {
        let table = section.map_or(Some(merged), |section| merged.table(section));
        table.map_or(Place::Default, |table| table.place_of(key).clone())
    };
    if config
        .admin
        .listen
        .is_some_and(|listen| listen == config.listen && listen.port() != 0)
    {
        let message = "is the address of the main listener: remove it, or choose another port";
        findings.refuse(&place(Some("admin"), "listen"), "admin.listen", message);
    }
    let is_open = !config.listen.ip().is_loopback();
    if is_open && config.admin.enabled && config.admin.listen.is_none() {
        let message =
            "is not loopback, so the admin API is not served: set `admin.listen` to serve it elsewhere";
        findings.warn(&place(None, "listen"), "listen", message);
    }
    if is_open && config.anonymous.enabled {
        let message = "is not loopback, and everyone who reaches it may use every server: set `anonymous.enabled = false`";
        findings.warn(&place(None, "listen"), "listen", message);
    }
    if !config.anonymous.enabled && config.principals.is_empty() {
        let message = "nobody can use the gateway: add a principal, or serve anonymous clients";
        findings.warn(&place(Some("anonymous"), "enabled"), "anonymous.enabled", message);
    }
}
