//! What is said on the wire: pure data, no I/O, no tokio, no clock.
//!
//! Payloads stay the bytes they arrived as. A message is scanned once, without building a tree; what has to change
//! (an id, a progress token) is spliced, and everything else passes untouched.

pub mod document;
pub mod edit;
pub mod framing;
pub mod id;
pub mod jsonrpc;
pub mod mcp;
pub mod member;
pub mod modern;
pub mod names;
pub mod reply;
pub mod scan;
pub mod sse;
mod swar;
pub mod version;

pub use id::RequestId;
pub use jsonrpc::{Kind, Message, MessageError};
pub use version::{Era, ProtocolVersion};
