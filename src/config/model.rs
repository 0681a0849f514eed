//! The whole configuration as valid plain data.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::choice::{LogFormat, PidNamespace, RegistryAccess};
use super::mode::{ModeAccess, Modes};
use super::name::{PrincipalName, ServerName};
use super::plugin::{PluginHostConfig, PluginSpec};
use super::route::Routes;
use super::secret::Secret;
use super::server::{ServerDefaults, ServerSpec};

/// Everything the gateway is told before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Address and port of the gateway; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Directory for what outlives a run. It may not exist yet.
    pub state_dir: PathBuf,
    /// The HTTP side.
    pub http: HttpConfig,
    /// Sessions.
    pub sessions: SessionConfig,
    /// Requests.
    pub requests: RequestConfig,
    /// What servers have said and may be said again.
    pub cache: CacheConfig,
    /// The admin API.
    pub admin: AdminConfig,
    /// Clients without a token.
    pub anonymous: AnonymousConfig,
    /// Clients with a token, by name.
    pub principals: BTreeMap<PrincipalName, PrincipalConfig>,
    /// The mode of whoever neither chooses one nor has one of their own; one of `modes`.
    pub default_mode: Option<String>,
    /// The modes, by name.
    pub modes: Modes,
    /// What holds for all plugins.
    pub plugin_host: PluginHostConfig,
    /// The plugins that are named, in the order in which they judge.
    pub plugins: Vec<Arc<PluginSpec>>,
    /// What all supervisors share.
    pub supervision: SupervisionConfig,
    /// The event stream.
    pub events: EventConfig,
    /// The log.
    pub log: LogConfig,
    /// What holds for every server, also for those that come later through the API.
    pub server_defaults: ServerDefaults,
    /// The servers, by name.
    pub servers: BTreeMap<ServerName, Arc<ServerSpec>>,
    /// Several servers behind one name, by that name. None is the path of a server.
    pub routes: Routes,
}

/// Limits and checks of the HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// `host` or `host:port`, accepted besides the loopback names and the listening address.
    pub allowed_hosts: Vec<String>,
    /// `scheme://host` or `scheme://host:port`, accepted besides the loopback names.
    pub allowed_origins: Vec<String>,
    /// Most bytes of a request's body, or of a message on a channel.
    pub body_max: usize,
    /// Most bytes of a request's head.
    pub header_max: usize,
    /// Longest wait for a request's head.
    pub header_timeout: Duration,
    /// Longest wait for a request's body.
    pub body_timeout: Duration,
    /// Most connections at once.
    pub connections_max: usize,
    /// Time between the comments that keep an event stream open, and between the pings of WebSocket and HTTP/2, whose
    /// peers have as long to answer.
    pub keep_alive: Duration,
    /// How long sent bytes may stay unacknowledged before a peer counts as gone; on HTTP/2, how long an answer may wait
    /// until its client has room for it.
    pub tcp_user_timeout: Duration,
    /// How long the answer to a POST may wait as plain JSON before it becomes an event stream.
    pub sse_after: Duration,
    /// How long requests in flight may finish when the gateway ends.
    pub drain_timeout: Duration,
    /// Whether the header `x-portcullis-mode` may choose the mode.
    pub mode_header: bool,
    /// Most requests at once on one connection of HTTP/2.
    pub http2_streams_max: usize,
    /// A Unix socket to listen on too.
    pub unix_socket: Option<PathBuf>,
}

/// Limits of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// A session without activity for this long ends.
    pub idle_timeout: Duration,
    /// Most sessions at once; beyond it the least recently used one ends, of the principal that has the most.
    pub max: usize,
    /// Most messages kept for one stream of a session.
    pub outbox_events_max: usize,
    /// Most bytes kept for one stream of a session.
    pub outbox_bytes_max: usize,
    /// Most open streams of one session.
    pub streams_max: usize,
    /// Most streams of `subscriptions/listen` that one principal holds open.
    pub listens_max: usize,
    /// How long an ended stream can still be resumed, and a session of HTTP+SSE is kept without its stream.
    pub stream_retention: Duration,
    /// The reconnection time that clients are told.
    pub retry: Duration,
}

/// Limits of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestConfig {
    /// How long a request may take without progress; at most `timeout_max`.
    pub timeout: Duration,
    /// How far progress can extend it.
    pub timeout_max: Duration,
    /// Most requests of one session at once.
    pub in_flight_max: usize,
    /// Deepest nesting of a message.
    pub depth_max: usize,
    /// Most messages of a batch.
    pub batch_max: usize,
    /// Most calls that wait for what their client says, of all clients.
    pub suspended_max: usize,
    /// Most of them of one principal.
    pub suspended_per_principal_max: usize,
    /// How long such a call waits.
    pub suspended_timeout: Duration,
}

/// Limits of the answers of modern servers that are kept. Where one of them is 0, nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Most answers; beyond it the one that was not asked for the longest goes.
    pub entries_max: usize,
    /// Most bytes of one answer; a longer one is not kept.
    pub entry_bytes_max: usize,
    /// Most bytes of all answers; beyond it goes what goes beyond `entries_max`.
    pub bytes_max: usize,
}

/// The admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// An address of its own; never that of the main listener.
    pub listen: Option<SocketAddr>,
    /// Whether it may register and change commands.
    pub allow_commands: bool,
    /// Whether it may register and change remote servers.
    pub allow_urls: bool,
    /// The file with its bearer token. It may not exist yet.
    pub token_file: PathBuf,
}

/// Clients without a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnonymousConfig {
    /// Whether they are served.
    pub enabled: bool,
    /// Their modes.
    pub modes: ModeAccess,
}

/// A client with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalConfig {
    /// The bearer token: at least [`TOKEN_BYTES_MIN`] of visible ASCII, of no other principal.
    pub token: Secret,
    /// Its modes.
    pub modes: ModeAccess,
    /// What it may do to servers through the admin API, as far as its mode allows.
    pub registry: RegistryAccess,
}

/// The fewest bytes of a principal's token.
pub const TOKEN_BYTES_MIN: usize = 16;

/// What all supervisors share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisionConfig {
    /// Most servers that start at once.
    pub starting_max: usize,
    /// Whether children run in a PID namespace.
    pub pid_namespace: PidNamespace,
}

/// The event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfig {
    /// Most events kept for a replay.
    pub history_max: usize,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How its lines look.
    pub format: LogFormat,
    /// A level or directives, as `EnvFilter` reads them.
    pub level: String,
}
