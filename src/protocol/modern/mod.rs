//! What 2026-07-28 brought to the wire: what each request says of its client, headers that mirror the body, subscriptions, and
//! shapes of results.

pub mod headers;
pub mod ladder;
pub mod meta;
pub mod mirror;
pub mod subscriptions;

pub use headers::{HeaderValueError, decode, encode};
pub use meta::{MetaError, RequestMeta};
pub use subscriptions::{Filter, FilterError};
