//! Rules for messages, for the arguments of tools and prompts, and for what results may reveal.
//!
//! [`policy`] decides, on plain data; it reads the message through [`message::Message`], so that `cargo test` tries it
//! natively. `component`, which exists only in WebAssembly, ties it to the interfaces of the gateway. Only what is
//! configured costs.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

pub mod argument;
pub mod envelope;
pub mod message;
pub mod pattern;
pub mod pointer;
pub mod policy;
pub mod redaction;
pub mod regex;
pub mod walk;

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
