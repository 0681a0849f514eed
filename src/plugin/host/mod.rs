//! What a plugin can ask of the host, one file per interface of `wit/`.

mod clock;
pub(super) mod http;
pub(super) mod kv;
pub(super) mod log;
mod message;
mod random;
mod schema;
