//! The table of keys: every key the configuration knows, its kind and what it is for. Unknown keys are
//! refused by it, values are checked by it, the JSON schema is made from it, and a test holds
//! `config/default.toml` to it.

use std::time::Duration;

use super::choice::{Choice, LogFormat, PidNamespace, RegistryAccess};
use super::kind::Kind;
use super::plugin_keys::{PLUGIN, PLUGIN_HOST, ROUTE};
use super::server_keys::{SERVER, SETTINGS};

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Its name in kebab-case.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What holds if nobody sets it.
    pub(super) absent: Absent,
    /// One sentence for the schema.
    pub(super) doc: &'static str,
}

/// What holds where a key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// The value in `config/default.toml`.
    Default,
    /// No value; the text says what that means.
    Means(&'static str),
    /// It must be set.
    Refused,
}

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const YEAR: Duration = Duration::from_secs(365 * 86_400);
pub(super) const KIB: u64 = 1 << 10;
pub(super) const GIB: u64 = 1 << 30;

/// Keys outside any section.
pub(super) const TOP: &[Key] = &[
    key(
        "listen",
        Kind::Address,
        "Address and port of the gateway; port 0 lets the system choose.",
    ),
    optional(
        "state-dir",
        Kind::Path,
        "$XDG_STATE_HOME/portcullis or ~/.local/state/portcullis",
        "Directory for what outlives a run, such as the admin token.",
    ),
    optional(
        "default-mode",
        Kind::Text,
        "no mode: whoever has none of their own is refused where there are modes",
        "The mode of whoever neither chooses one nor has one of their own.",
    ),
];

/// The sections with fixed keys, in the order in which they are shown.
pub(super) const SECTIONS: &[(&str, &[Key])] = &[
    ("http", HTTP),
    ("sessions", SESSIONS),
    ("requests", REQUESTS),
    ("cache", CACHE),
    ("admin", ADMIN),
    ("anonymous", ANONYMOUS),
    ("supervision", SUPERVISION),
    ("events", EVENTS),
    ("log", LOG),
    ("plugin-host", PLUGIN_HOST),
    (SERVER_DEFAULTS, SETTINGS),
];

/// The section with what holds for every server.
pub(super) const SERVER_DEFAULTS: &str = "server-defaults";
/// The table of servers by name.
pub(super) const SERVERS: &str = "servers";
/// The table of principals by name.
pub(super) const PRINCIPALS: &str = "principals";
/// The table of plugins by name.
pub(super) const PLUGINS: &str = "plugins";
/// The table of modes by name. What is in them is free: the plugins that receive them say what it means.
pub(super) const MODES: &str = "modes";
/// The table of routes by name.
pub(super) const ROUTES: &str = "routes";

/// The tables of named things with the keys of one of each, in the order in which they are shown.
pub(super) const NAMED: &[(&str, &[&[Key]])] = &[
    (PRINCIPALS, &[PRINCIPAL]),
    (MODES, &[]),
    (PLUGINS, &[PLUGIN]),
    (SERVERS, &SERVER),
    (ROUTES, &[ROUTE]),
];

/// Returns the keys of one thing of a table of named things.
pub(super) fn named(section: &str) -> Option<&'static [&'static [Key]]> {
    NAMED
        .iter()
        .find(|(name, _)| *name == section)
        .map(|(_, groups)| *groups)
}

const HTTP: &[Key] = &[
    key(
        "allowed-hosts",
        Kind::Hosts,
        "Values of the Host header that are accepted besides the loopback names and the listening address.",
    ),
    key(
        "allowed-origins",
        Kind::Origins,
        "Values of the Origin header that are accepted besides the loopback names.",
    ),
    key(
        "body-max",
        Kind::Size(KIB, 4 * GIB),
        "Most bytes of a request's body, or of a message on a WebSocket.",
    ),
    key(
        "header-max",
        Kind::Size(8 * KIB, GIB),
        "Most bytes of a request's head; beyond it 431.",
    ),
    key(
        "header-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "Longest wait for a request's head.",
    ),
    key(
        "body-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "Longest wait for a request's body.",
    ),
    key(
        "connections-max",
        Kind::Count(1, 1_000_000),
        "Most connections at once.",
    ),
    key(
        "keep-alive",
        Kind::Duration(Duration::from_millis(10), DAY),
        "Time between the comments that keep an event stream open, and the pings of WebSocket and HTTP/2.",
    ),
    key(
        "tcp-user-timeout",
        Kind::Duration(SECOND, DAY),
        "How long sent bytes may stay unacknowledged before a peer counts as gone, or an answer on HTTP/2 may wait for room.",
    ),
    key(
        "sse-after",
        Kind::Duration(Duration::ZERO, DAY),
        "How long the answer to a POST may wait as plain JSON before it becomes an event stream.",
    ),
    key(
        "drain-timeout",
        Kind::Duration(Duration::ZERO, DAY),
        "How long requests in flight may finish when the gateway ends.",
    ),
    key(
        "mode-header",
        Kind::Flag,
        "Whether the header x-portcullis-mode may choose the mode.",
    ),
    key(
        "http2-streams-max",
        Kind::Count(1, 1_000_000),
        "Most requests at once on one connection of HTTP/2.",
    ),
    optional(
        "unix-socket",
        Kind::Path,
        "none",
        "A Unix socket to listen on too, for the gateway's own user.",
    ),
];

const SESSIONS: &[Key] = &[
    key(
        "idle-timeout",
        Kind::Duration(MILLISECOND, YEAR),
        "A session without activity for this long ends.",
    ),
    key(
        "max",
        Kind::Count(1, 10_000_000),
        "Most sessions at once; beyond it the least recently used one ends, of the principal that has the most.",
    ),
    key(
        "outbox-events-max",
        Kind::Count(1, 1_000_000),
        "Most messages kept for one stream of a session.",
    ),
    key(
        "outbox-bytes-max",
        Kind::Size(KIB, 4 * GIB),
        "Most bytes kept for one stream of a session.",
    ),
    key(
        "streams-max",
        Kind::Count(1, 100_000),
        "Most open streams of one session.",
    ),
    key(
        "listens-max",
        Kind::Count(1, 100_000),
        "Most streams of `subscriptions/listen` that one principal holds open.",
    ),
    key(
        "stream-retention",
        Kind::Duration(Duration::ZERO, DAY),
        "How long an ended stream can still be resumed, and a session of HTTP+SSE is kept without its stream.",
    ),
    key(
        "retry",
        Kind::Duration(Duration::ZERO, DAY),
        "The reconnection time that clients are told.",
    ),
];

pub(super) const REQUESTS: &[Key] = &[
    key(
        "timeout",
        Kind::Duration(MILLISECOND, DAY),
        "How long a request may take without progress, its wait for a process included.",
    ),
    key(
        "timeout-max",
        Kind::Duration(MILLISECOND, YEAR),
        "How far progress can extend it.",
    ),
    key(
        "in-flight-max",
        Kind::Count(1, 1_000_000),
        "Most requests of one session at once.",
    ),
    key(
        "depth-max",
        Kind::Count(8, 1_024),
        "Deepest nesting of a message.",
    ),
    key("batch-max", Kind::Count(1, 100_000), "Most messages of a batch."),
    key(
        "suspended-max",
        Kind::Count(0, 100_000),
        "Most calls of modern clients that wait for what their client says to a server with a handshake.",
    ),
    key(
        "suspended-per-principal-max",
        Kind::Count(0, 100_000),
        "Most of them of one principal.",
    ),
    key(
        "suspended-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "How long such a call waits; then it ends with the process that it holds.",
    ),
];

const CACHE: &[Key] = &[
    key(
        "entries-max",
        Kind::Count(0, 10_000_000),
        "Most answers of modern servers that are kept; 0 keeps none.",
    ),
    key(
        "entry-bytes-max",
        Kind::Size(0, GIB),
        "Most bytes of one of them; 0 keeps none.",
    ),
    key(
        "bytes-max",
        Kind::Size(0, 64 * GIB),
        "Most bytes of all of them; 0 keeps none.",
    ),
];

const ADMIN: &[Key] = &[
    key("enabled", Kind::Flag, "Whether the admin API is served."),
    optional(
        "listen",
        Kind::Address,
        "the main listener, while that is loopback",
        "An address of its own for the admin API.",
    ),
    key(
        "allow-commands",
        Kind::Flag,
        "Whether the API may register and change commands.",
    ),
    key(
        "allow-urls",
        Kind::Flag,
        "Whether the API may register and change remote servers.",
    ),
    optional(
        "token-file",
        Kind::Path,
        "<state-dir>/admin-token",
        "The file with the bearer token of the API.",
    ),
];

const ANONYMOUS: &[Key] = &[
    key(
        "enabled",
        Kind::Flag,
        "Whether clients without a token are served.",
    ),
    ITS_MODES,
    ITS_MODE,
];

const ITS_MODES: Key = optional(
    "modes",
    Kind::Names,
    "its own mode alone, or else `default-mode`",
    "The modes that it may choose.",
);
const ITS_MODE: Key = optional(
    "mode",
    Kind::Text,
    "`default-mode`, if it may use that",
    "Its own mode, where it chooses none.",
);

const SUPERVISION: &[Key] = &[
    key(
        "starting-max",
        Kind::Count(1, 10_000),
        "Most servers that start at once.",
    ),
    key(
        "pid-namespace",
        Kind::Choice(PidNamespace::NAMES),
        "Whether children run in a PID namespace where the system allows it.",
    ),
];

const EVENTS: &[Key] = &[key(
    "history-max",
    Kind::Count(0, 1_000_000),
    "Most events kept for a replay.",
)];

const LOG: &[Key] = &[
    key("format", Kind::Choice(LogFormat::NAMES), "How log lines look."),
    key(
        "level",
        Kind::LogFilter,
        "A level, or directives of an EnvFilter.",
    ),
];

/// The keys of one principal.
pub(super) const PRINCIPAL: &[Key] = &[
    required(
        "token",
        Kind::Secret,
        "The bearer token, at least 16 bytes; usually \"${VARIABLE}\".",
    ),
    ITS_MODES,
    ITS_MODE,
    optional(
        "registry",
        Kind::Choice(RegistryAccess::NAMES),
        "none",
        "What it may do to servers through the admin API with its own token, as far as its mode allows the capability registry.",
    ),
];

/// Returns the key of this name.
pub(super) fn find(groups: &[&'static [Key]], name: &str) -> Option<&'static Key> {
    groups
        .iter()
        .flat_map(|group| group.iter())
        .find(|key| key.name == name)
}

/// A key with a value in `config/default.toml`.
pub(super) const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Default,
        doc,
    }
}

/// A key without a default value.
pub(super) const fn optional(name: &'static str, kind: Kind, means: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Means(means),
        doc,
    }
}

/// A key that must be set.
pub(super) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Refused,
        doc,
    }
}
