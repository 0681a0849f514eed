//! What 2026-07-28 brought to the wire: what each request says of its client, headers that mirror the body, subscriptions, and
//! shapes of results.

pub mod headers;
pub mod meta;
pub mod mirror;
pub mod subscriptions;

pub use headers::{HeaderValueError, decode, encode};
pub use meta::{MetaError, RequestMeta};

/// The extension whose calls are answered with tasks, as its name stands in capabilities.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
pub use subscriptions::{Filter, FilterError};
