//! What 2026-07-28 brought to the wire: what each request says of its client, headers that mirror the body, and shapes
//! of results.

pub mod headers;
pub mod meta;
pub mod mirror;

pub use headers::{HeaderValueError, decode, encode};
pub use meta::{MetaError, RequestMeta};
