//! The path of one request: whose it is, where it goes, what comes back.
//!
//! [`Gateway::handle`] is the one door for every message of every transport. HTTP has read the body and found the
//! session, or a [`Link`] stands for a channel that is the session; what follows here knows nothing of HTTP.

mod after;
mod arguments;
mod asking;
mod attention;
mod audience;
mod bridge;
mod cache;
pub mod context;
pub mod conversation;
mod dispatch;
mod ear;
pub mod error;
pub mod exchange;
mod gateway;
mod incoming;
mod initialize;
pub mod link;
mod listen;
mod listeners;
mod lists;
pub mod need;
mod operations;
mod pages;
mod policy;
mod questions;
mod rounds;
mod session_inbox;
pub mod shared_hub;
mod standby;
mod suspension;
mod tasks;
mod visit;

pub use cache::CacheUsage;
pub use context::{Answer, Delivery, RequestContext};
pub use conversation::{Conversation, Session};
pub use error::GatewayError;
pub use gateway::{Gateway, GatewayOptions};
pub use incoming::{Incoming, check_batch};
pub use link::Link;
pub use policy::Pinned;
pub use visit::Visit;
