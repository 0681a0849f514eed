//! The plugins: WebAssembly components that judge messages.

pub mod case;
pub mod manifest;
pub mod pattern;
