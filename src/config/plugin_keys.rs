//! The table of keys, continued: plugins and routes.

use std::time::Duration;

use super::choice::Choice;
use super::keys::{DAY, GIB, KIB, Key, MILLISECOND, key, optional, required};
use super::kind::Kind;
use super::plugin::{Activate, Isolation, OnError};

/// What holds for all plugins.
pub(super) const PLUGIN_HOST: &[Key] = &[
    key(
        "dir",
        Kind::Path,
        "The folder of the plugins, as seen from the configuration file.",
    ),
    key(
        "activate",
        Kind::Choice(Activate::NAMES),
        "Which plugins judge: those that are named, or all that lie in the folder.",
    ),
    key(
        "require-signature",
        Kind::Flag,
        "Whether a plugin without the signature of a trusted key is refused.",
    ),
    key(
        "trusted-keys",
        Kind::PublicKeys,
        "Keys whose signatures count: \"ed25519:\" and 32 bytes as base64.",
    ),
    key(
        "watch",
        Kind::Flag,
        "Whether the folder is watched, and what changes there is loaded.",
    ),
];

/// The keys of one plugin. What holds where one is absent is that of `PluginLimits::default`; a test compares them.
pub(super) const PLUGIN: &[Key] = &[
    optional(
        "name",
        Kind::Text,
        "the key of the table",
        "The name, where plugins are a list.",
    ),
    optional(
        "modes",
        Kind::Names,
        "all, and where there are none",
        "The modes whose messages it judges.",
    ),
    optional(
        "sha256",
        Kind::Digest,
        "any",
        "The SHA-256 of `plugin.wasm`; another component is refused.",
    ),
    optional(
        "on-error",
        Kind::Choice(OnError::NAMES),
        "deny",
        "What happens to a message that the plugin could not judge.",
    ),
    optional(
        "allow-fail-open",
        Kind::Flag,
        "false",
        "Whether `on-error = \"skip\"` is meant for access too.",
    ),
    optional(
        "isolation",
        Kind::Choice(Isolation::NAMES),
        "pooled",
        "Whether instances are used again.",
    ),
    optional(
        "timeout",
        Kind::Duration(MILLISECOND, Duration::from_secs(60)),
        "20ms",
        "Longest call.",
    ),
    optional(
        "init-timeout",
        Kind::Duration(MILLISECOND, DAY),
        "2s",
        "Longest wait for an instance to read its configuration.",
    ),
    optional(
        "memory-max",
        Kind::Size(64 * KIB, 4 * GIB),
        "64MiB",
        "Most memory of one instance.",
    ),
    optional(
        "memory-keep",
        Kind::Size(64 * KIB, 4 * GIB),
        "16MiB",
        "An instance that has grown by more since its start is not used again.",
    ),
    optional(
        "instances-max",
        Kind::Count(1, 1_000),
        "4",
        "Instances that are kept; when all are busy, up to three times as many more serve one call each.",
    ),
    optional(
        "calls-max",
        Kind::Count(1, u32::MAX as u64),
        "10000",
        "An instance that has served so many calls is not used again.",
    ),
    optional(
        "body-copy-max",
        Kind::Size(0, 4 * GIB),
        "1MiB",
        "Most bytes of a message that are copied into the plugin in one call.",
    ),
    optional(
        "output-max",
        Kind::Size(KIB, 4 * GIB),
        "1MiB",
        "Most bytes of a decision, and of what it gives a function of the host.",
    ),
    optional(
        "notes-max",
        Kind::Count(0, 1_000),
        "16",
        "Most notes of one call.",
    ),
    optional(
        "host-calls-max",
        Kind::Count(1, u32::MAX as u64),
        "1000",
        "Most calls of the host in one call.",
    ),
    optional(
        "log-rate",
        Kind::Count(0, 1_000_000),
        "50",
        "Lines of log per second; the rest is counted.",
    ),
    optional(
        "grant",
        Kind::Table(GRANT),
        "nothing",
        "What it may use beyond the message, the log and the clock.",
    ),
    optional(
        "config",
        Kind::Free,
        "{}",
        "Its configuration; the schema in its manifest says what it may be.",
    ),
];

const GRANT: &[Key] = &[
    optional("kv", Kind::Table(KV), "none", "A store for values."),
    optional("http", Kind::Table(HTTP), "none", "HTTP requests."),
    optional("random", Kind::Flag, "false", "Random numbers."),
    optional(
        "schema",
        Kind::Flag,
        "false",
        "Checks against JSON Schemas, its own and those of servers. Such as never end keep up to four threads busy.",
    ),
    optional(
        "headers",
        Kind::HeaderNames,
        "[]",
        "Headers of the client's request that it sees.",
    ),
];

const KV: &[Key] = &[required(
    "max-kib",
    Kind::Count(1, 1 << 20),
    "Most KiB of keys and values.",
)];

const HTTP: &[Key] = &[
    required(
        "hosts",
        Kind::Hosts,
        "Hosts that it may reach: `host` or `host:port`.",
    ),
    optional(
        "private-addresses",
        Kind::Flag,
        "false",
        "Whether those hosts may have private or loopback addresses.",
    ),
];

/// The keys of one route.
pub(super) const ROUTE: &[Key] = &[
    optional(
        "name",
        Kind::Text,
        "the key of the table",
        "The name, where routes are a list.",
    ),
    required(
        "servers",
        Kind::Entries(CANDIDATE),
        "The registered servers behind the one name, each a table or a name.",
    ),
];

const CANDIDATE: &[Key] = &[
    required("server", Kind::Text, "The name of a registered server."),
    optional(
        "weight",
        Kind::Count(0, 1_000_000),
        "1",
        "Its share of the sessions; one with 0 gets none while others can be used.",
    ),
    optional(
        "labels",
        Kind::TextTable,
        "{}",
        "What routing policies choose by.",
    ),
];
