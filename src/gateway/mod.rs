//! The path of one request: whose it is, where it goes, what comes back.
//!
//! [`Gateway::handle`] is the one door for every message of every transport. HTTP has read the body and found the
//! session; what follows here knows nothing of HTTP.

mod gateway;
pub mod context;
pub mod conversation;
mod initialize;
mod dispatch;
pub mod exchange;
mod after;
mod arguments;
mod shared_hub;
mod session_inbox;
mod operations;
pub mod error;

pub use context::{Answer, Delivery, RequestContext};
pub use conversation::{Conversation, Session};
pub use error::GatewayError;
pub use gateway::{Gateway, GatewayOptions};
