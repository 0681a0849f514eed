//! The path of one request: whose it is, where it goes, what comes back.
//!
//! [`Gateway::handle`] is the one door for every message of every transport. HTTP has read the body and found the
//! session; what follows here knows nothing of HTTP.

mod after;
mod arguments;
pub mod context;
pub mod conversation;
mod dispatch;
pub mod error;
pub mod exchange;
mod gateway;
mod initialize;
mod operations;
mod policy;
mod session_inbox;
pub mod shared_hub;
mod tasks;

pub use context::{Answer, Delivery, RequestContext};
pub use conversation::{Conversation, Session};
pub use error::GatewayError;
pub use gateway::{Gateway, GatewayOptions};
pub use policy::Pinned;
