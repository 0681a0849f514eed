//! WebSocket on the paths of the servers: a `GET` that upgrades becomes a session that lives as long as its socket.
//!
//! No revision of MCP has it; what clients do is the subprotocol `mcp`, and one JSON-RPC message per text message. For
//! clients without a handshake it is a custom transport that works as stdio does (2026-07-28, "Custom Transports").
//! Host, origin, principal and mode are checked on the upgrade, by its headers, exactly as on a POST.

mod handshake;
mod talk;
mod upgrade;

pub(super) use handshake::is_upgrade;
pub(super) use upgrade::handle;
