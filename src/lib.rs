//! Portcullis: an MCP gateway.

pub mod app;
pub mod telemetry;
pub mod schema;
pub mod protocol;
pub mod config;
pub mod upstream;
pub mod registry;
pub mod session;
pub mod gateway;
pub mod http;
