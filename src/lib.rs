//! Portcullis: an MCP gateway. Clients on one side, supervised MCP servers on the other.
//!
//! This page is the map. *Downstream* is the side of the MCP client, *upstream* that of the MCP server; "server" alone
//! means a registered MCP server.
//!
//! # Rooms
//!
//! | room | what it is for |
//! |---|---|
//! | [`protocol`] | what is said on the wire: messages, ids, versions, framing; pure data |
//! | [`config`] | layers of text become one valid model |
//! | [`schema`] | compiled JSON Schema validators |
//! | [`upstream`] | one server's instances: processes or remote servers, supervision, connections, leases |
//! | [`registry`] | what is registered, in which state, and who is told |
//! | [`session`] | handshake-era sessions and their event streams |
//! | [`plugin`] | the host of the policies: WebAssembly components that judge messages |
//! | [`gateway`] | the path of one request |
//! | [`http`] | warp and hyper: routes, transports, authentication, the admin API |
//! | [`author`] | the tools for the authors of plugins |
//! | [`mock`] | a real stdio server, for trying things out and for tests |
//! | [`telemetry`] | logs |
//! | [`app`] | the composition root |
//! | [`cli`] | one file per command |
//!
//! # Who may import whom
//!
//! `main -> cli -> app -> http -> gateway -> {registry -> upstream, plugin -> schema, session} ->
//! protocol`; `cli -> mock -> protocol`; `cli -> author -> plugin`; `telemetry` from `app` and `cli` only; `config` is plain data that any room but `protocol` and `schema`
//! may read. No cycles. Walls: figment stays in `config`, jsonschema in `schema`, warp and hyper in `http`, the
//! starting of processes in `upstream::launch` and, for an author's tools, in `author::tool`, reqwest in
//! `upstream::remote` and in what plugins may call. The test `layers` holds the code to this.
//!
//! # Invariants
//!
//! 1. `protocol` performs no I/O and reads no clock.
//! 2. Only a supervisor holds a child; only `upstream::launch` creates one, always in a process group of its own, under
//!    a guard, with a cleared environment.
//! 3. Which era a client speaks is asked where its message comes in, in `http::post` and [`gateway::Link`], by the same
//!    words ([`protocol::modern::ladder`]); which one a server speaks, in `upstream::handshake`. Nothing else asks.
//! 4. HTTP types stay in `http`, those of clients in `upstream::remote`.
//! 5. No lock guard lives across an await. No task without an owner that reaps it.
//! 6. Every queue, map, buffer, body, line, wait and retry has a limit and a stated behaviour at it.
//! 7. Every request is answered exactly once: response, error or closed stream, also when the process dies.
//! 8. Payloads are forwarded as the bytes that were authorised; what changes (ids, progress tokens) is spliced. Unknown
//!    methods and fields pass untouched. Repeated keys are refused at every depth in what clients send.
//! 9. What a client may read and what the log says are different strings.
//! 10. A message goes to the one session it belongs to. Where that cannot be known, it is refused, never guessed.
//! 11. No plugin's answer, crash or absence ever widens access.
//!
//! # Follow one request
//!
//! `POST /mcp/{server}` arrives in `http::routes`. `http::mcp` checks host, origin, principal and version and finds the
//! server; `http::post` reads the body under a limit, finds the session and parses the message in one scan. From there
//! [`gateway::Gateway::handle`] knows nothing of HTTP: it opens an [`Exchange`](gateway::exchange::Exchange), takes the
//! session's lease, waits for a connection of the leased instance (starting its process if need be) and sends the
//! request under an id of the connection's own. The task that reads the server's stdout finds the exchange in the
//! pending table and completes it; whoever waits gets JSON, or the exchange has meanwhile become an event stream and
//! the answer goes there. `http::post` turns either into an HTTP answer.
//!
//! A remote server has no stdout; a task in `upstream::remote` gives the supervisor lines as if it had.
//!
//! A WebSocket, or the pipes of `portcullis stdio`, are a [`gateway::Link`]: a session whose messages come one after the
//! other and whose answers all go to its own stream. `http::websocket` and `app::pipes` carry them.
//!
//! A request without a handshake (`http::modern`, or on a link) is a [`gateway::Visit`]: it has a session for as long as
//! it takes, and from there on goes the same way.
//!
//! Who listens (`gateway::listen`) has a session as long as its stream, and hears what sessions hear. A server without
//! handshakes is listened to once for all who share it (`gateway::ear`); one with a handshake is subscribed to.
//!
//! Where there are plugins, the request holds the set of them that it began with: `gateway::policy` asks it for access,
//! shows it the message, asks it where a session goes, and shows it the answer and all that comes before. What a server
//! sends waits in its session's lane meanwhile, so that nothing overtakes. Without plugins none of this runs.

pub mod app;
pub mod author;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod http;
pub mod mock;
pub mod plugin;
pub mod protocol;
pub mod registry;
pub mod schema;
pub mod session;
pub mod telemetry;
pub mod upstream;
