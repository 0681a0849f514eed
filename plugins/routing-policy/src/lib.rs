//! Which server or instance a request goes to.
//!
//! [`policy`] decides, on plain data and without the gateway, so that `cargo test` tries it natively. `component`, which
//! exists only in WebAssembly, ties it to the interfaces of the gateway.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

pub mod chance;
pub mod policy;
pub mod rule;

/// What `portcullis plugin build` generates from `wit/world.wit`; nothing generated stands in the source.
#[cfg(target_arch = "wasm32")]
#[expect(
    clippy::empty_line_after_outer_attr,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated"
)]
mod bindings {
    include!(env!("PORTCULLIS_BINDINGS"));
}
#[cfg(target_arch = "wasm32")]
mod component;
