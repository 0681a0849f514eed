//! One server's instances and their supervision.
//!
//! A supervisor is a task that owns one child at a time and brings it through its phases;
//! an [`Upstream`] is the handle by which others use it. What crosses the pipes belongs to a [`Connection`], which
//! lives exactly as long as one generation of the child.

pub mod backoff;
pub mod connection;
mod door;
pub mod environment;
pub mod era;
pub mod error;
mod generation;
pub mod handle;
pub mod handshake;
pub mod inbound;
mod ladder;
pub mod launch;
pub mod lease;
mod listen;
pub mod outbound;
mod own;
mod own_calls;
pub mod pending;
pub mod pool;
pub mod remote;
mod room;
pub mod state;
pub mod stderr;
pub mod supervisor;
mod waiting;

pub use connection::{Connection, Origin, RequestRefused, SCAN};
pub use error::{CallError, UpstreamError};
pub use handle::Upstream;
pub use inbound::ServerMessages;
pub use lease::{Lease, LeaseKind};
pub use pending::{Outcome, Waiter};
pub use pool::{PoolContext, ServerPool};
pub use state::{Phase, StateChange, UpstreamState};
