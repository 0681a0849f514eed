//! The table of keys: every key the configuration knows, its kind and what it is for. Unknown keys are
//! refused by it, values are checked by it, the JSON schema is made from it, and a test holds
//! `config/default.toml` to it.

use std::time::Duration;

use super::choice::{Choice, ClientFeature, LogFormat, PidNamespace, Sharing, ValidateArguments};
use super::kind::Kind;

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

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

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
];

/// The sections with fixed keys, in the order in which they are shown.
pub(super) const SECTIONS: &[(&str, &[Key])] = &[
    ("http", HTTP),
    ("sessions", SESSIONS),
    ("requests", REQUESTS),
    ("admin", ADMIN),
    ("anonymous", ANONYMOUS),
    ("supervision", SUPERVISION),
    ("events", EVENTS),
    ("log", LOG),
    (SERVER_DEFAULTS, SETTINGS),
];

/// The section with what holds for every server.
pub(super) const SERVER_DEFAULTS: &str = "server-defaults";
/// The table of servers by name.
pub(super) const SERVERS: &str = "servers";
/// The table of principals by name.
pub(super) const PRINCIPALS: &str = "principals";

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
        "Most bytes of a request's body.",
    ),
    key(
        "header-max",
        Kind::Size(8 * KIB, GIB),
        "Most bytes of a request's head.",
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
        "Time between the comments that keep an event stream open.",
    ),
    key(
        "tcp-user-timeout",
        Kind::Duration(SECOND, DAY),
        "How long sent bytes may stay unacknowledged before a peer counts as gone.",
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
        "Most sessions at once; beyond it the least recently used one ends.",
    ),
    key(
        "outbox-events-max",
        Kind::Count(1, 1_000_000),
        "Most messages kept for one session's streams.",
    ),
    key(
        "outbox-bytes-max",
        Kind::Size(KIB, 4 * GIB),
        "Most bytes kept for one session's streams.",
    ),
    key(
        "streams-max",
        Kind::Count(1, 100_000),
        "Most open streams of one session.",
    ),
    key(
        "stream-retention",
        Kind::Duration(Duration::ZERO, DAY),
        "How long an ended stream can still be resumed.",
    ),
    key(
        "retry",
        Kind::Duration(Duration::ZERO, DAY),
        "The reconnection time that clients are told.",
    ),
];

const REQUESTS: &[Key] = &[
    key(
        "timeout",
        Kind::Duration(MILLISECOND, DAY),
        "How long a request may take without progress.",
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
    optional(
        "token-file",
        Kind::Path,
        "<state-dir>/admin-token",
        "The file with the bearer token of the API.",
    ),
];

const ANONYMOUS: &[Key] = &[key(
    "enabled",
    Kind::Flag,
    "Whether clients without a token are served.",
)];

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
pub(super) const PRINCIPAL: &[Key] = &[required(
    "token",
    Kind::Secret,
    "The bearer token, at least 16 bytes; usually \"${VARIABLE}\".",
)];

/// The keys that say what a server is; no defaults for all servers.
pub(super) const IDENTITY: &[Key] = &[
    optional(
        "name",
        Kind::Text,
        "the key of the table",
        "The name, where servers are a list.",
    ),
    optional(
        "type",
        Kind::Choice(&["stdio"]),
        "stdio",
        "The transport, as other clients' files name it.",
    ),
    optional(
        "path",
        Kind::Segment,
        "the name",
        "The last segment of the server's URL.",
    ),
    optional("display-name", Kind::Text, "the name", "The name for people."),
    optional(
        "version",
        Kind::Text,
        "what the server says",
        "The version for people.",
    ),
    required(
        "command",
        Kind::Template,
        "The program; \"@self\" is this very executable. No shell reads it.",
    ),
    optional("args", Kind::Templates, "[]", "The arguments."),
    optional(
        "env",
        Kind::TemplateTable,
        "{}",
        "Environment variables of the process.",
    ),
    optional(
        "cwd",
        Kind::Template,
        "the gateway's",
        "The directory in which the process starts.",
    ),
];

/// The keys of a server that have defaults; `[server-defaults]` takes them too.
pub(super) const SETTINGS: &[Key] = &[
    key(
        "inherit-env",
        Kind::VariableNames,
        "The variables of the gateway that the process gets; a trailing * matches a prefix.",
    ),
    key("enabled", Kind::Flag, "Whether the server may be used."),
    key("autostart", Kind::Flag, "Whether it starts with the gateway."),
    key("sharing", Kind::Choice(Sharing::NAMES), "Who shares a process."),
    key(
        "client-features",
        Kind::Choices(ClientFeature::NAMES),
        "The features of a client that give its session a process of its own where sharing is auto.",
    ),
    key(
        "instances",
        Kind::Count(1, 1_024),
        "Processes of the shared pool.",
    ),
    key(
        "instances-max",
        Kind::Count(1, 1_024),
        "Most processes of the server.",
    ),
    key(
        "warm-spares",
        Kind::Count(0, 1_024),
        "Processes kept ready for sessions that need their own.",
    ),
    key(
        "handshake-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "Longest wait for the answer to initialize.",
    ),
    optional(
        "request-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "requests.timeout",
        "How long a request to this server may take without progress.",
    ),
    key(
        "idle-timeout",
        Kind::DurationOrNever(YEAR),
        "A process without use for this long stops. A server that starts by itself stays, unless this is set.",
    ),
    key(
        "linger",
        Kind::Duration(Duration::ZERO, YEAR),
        "How long a process stays after its last session ended.",
    ),
    key(
        "stop-grace",
        Kind::Duration(Duration::ZERO, DAY),
        "How long each step of the stop ladder waits.",
    ),
    key(
        "ping-interval",
        Kind::DurationOrNever(YEAR),
        "Time between pings to the process.",
    ),
    key(
        "ping-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "Longest wait for the answer to a ping.",
    ),
    key(
        "restart-attempts-max",
        Kind::Count(0, 1_000),
        "Most restarts within the window.",
    ),
    key(
        "restart-window",
        Kind::Duration(MILLISECOND, YEAR),
        "The window in which restarts count.",
    ),
    key(
        "backoff-initial",
        Kind::Duration(MILLISECOND, DAY),
        "Wait before the first restart; it doubles.",
    ),
    key(
        "backoff-max",
        Kind::Duration(MILLISECOND, DAY),
        "Longest wait before a restart.",
    ),
    key(
        "stable-after",
        Kind::Duration(MILLISECOND, YEAR),
        "Uptime after which the restarts are forgotten.",
    ),
    key(
        "cool-down",
        Kind::Duration(Duration::ZERO, YEAR),
        "How long a failed server stays failed before a request may try again.",
    ),
    key(
        "line-max",
        Kind::Size(KIB, 4 * GIB),
        "Most bytes of one message from the server.",
    ),
    key(
        "queue-max",
        Kind::Count(1, 1_000_000),
        "Most messages that wait for the process's stdin.",
    ),
    key(
        "queue-bytes-max",
        Kind::Size(KIB, 16 * GIB),
        "Most bytes that wait for the process's stdin.",
    ),
    key(
        "in-flight-max",
        Kind::Count(1, 1_000_000),
        "Most requests at once in one process.",
    ),
    key(
        "validate-arguments",
        Kind::Choice(ValidateArguments::NAMES),
        "What happens to arguments that do not fit a tool's schema.",
    ),
    key(
        "stderr-rate",
        Kind::Count(0, 1_000_000),
        "Lines of stderr per second that reach the log.",
    ),
    key(
        "stderr-tail",
        Kind::Count(0, 100_000),
        "Last lines of stderr that are kept.",
    ),
];

/// The keys of one server.
pub(super) const SERVER: [&[Key]; 2] = [IDENTITY, SETTINGS];

/// Keys of other programs' files, and what to do about them here.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    (
        "url",
        "remote servers are not supported yet: give a `command` that speaks MCP on stdin and stdout",
    ),
    (
        "headers",
        "remote servers are not supported yet: give a `command` that speaks MCP on stdin and stdout",
    ),
    ("timeout", "unknown key; did you mean `request-timeout`?"),
    ("description", "unknown key; did you mean `display-name`?"),
    ("working-directory", "unknown key; did you mean `cwd`?"),
    (
        "always-allow",
        "unknown key; this gateway does not approve tools, remove it",
    ),
    (
        "auto-approve",
        "unknown key; this gateway does not approve tools, remove it",
    ),
];

/// Returns the key of this name.
pub(super) fn find(groups: &[&'static [Key]], name: &str) -> Option<&'static Key> {
    groups
        .iter()
        .flat_map(|group| group.iter())
        .find(|key| key.name == name)
}

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Default,
        doc,
    }
}

const fn optional(name: &'static str, kind: Kind, means: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Means(means),
        doc,
    }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent: Absent::Refused,
        doc,
    }
}
