//! The table of keys, continued: the keys of one server, and what other programs' files call them.

use std::time::Duration;

use super::choice::{Choice, ClientFeature, Sharing, ValidateArguments};
use super::keys::{DAY, GIB, KIB, Key, MILLISECOND, YEAR, find, key, optional};
use super::kind::Kind;
use super::remote::RemoteTransport;

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
        Kind::Choice(<Option<RemoteTransport> as Choice>::NAMES),
        "stdio, or what the server at the URL answers: Streamable HTTP or else HTTP+SSE, or WebSocket",
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
    optional(
        "command",
        Kind::Template,
        "the server is remote",
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
    optional(
        "url",
        Kind::Url,
        "the server is started by its command",
        "Where a remote server is: https://, http://, wss:// or ws://.",
    ),
    optional(
        "headers",
        Kind::HeaderTable,
        "{}",
        "Headers of every request to a remote server.",
    ),
];

/// What other programs' files call keys of a server, in camelCase. `httpUrl` also says the transport.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("serverUrl", "url"),
    (HTTP_URL, "url"),
    ("transportType", "type"),
    ("transport", "type"),
];
/// The URL of a server of Streamable HTTP.
pub(super) const HTTP_URL: &str = "httpUrl";

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
        "Most processes of the server, of which instances are kept for the shared pool; beyond it sessions share.",
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

/// Whether these are the keys of one server.
pub(super) fn describe_server(groups: &[&'static [Key]]) -> bool {
    find(groups, "command").is_some()
}
