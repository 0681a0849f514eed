//! Sessions of handshake-era clients: who they are, when they were last heard of, and what waits for them.
//!
//! A session has no task of its own. It is a struct with short std mutexes and bounded rings; what its requests do is
//! the gateway's, which attaches its own part to it.

pub mod event_id;
pub mod outbox;
mod session;
mod store;

pub use event_id::EventId;
pub use outbox::{Outbox, OutboxReader, OutboxWriter, Priority};
pub use session::{Caller, OpenStream, Session, SessionId, SessionOptions, Transport};
pub use store::{SessionStore, StoreLimits};
