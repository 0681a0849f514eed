//! What the bundled policies have in common. All of it is here for the sake of size: a policy is loaded as often as there
//! are instances of it, and reading one configuration by derived code took more room than all the rules.
//!
//! - [`Glob`] and [`Globs`]: names with wildcards;
//! - [`json`]: JSON text, one token after the other;
//! - [`config`]: configurations, and errors that name the place;
//! - `guest`, in WebAssembly only: what stands in for the standard library.
#![no_std]

extern crate alloc;

pub mod config;
mod glob;
#[cfg(target_arch = "wasm32")]
pub mod guest;
pub mod json;
mod number;
mod quote;

pub use glob::{Glob, Globs};
pub use number::number;
pub use quote::quoted;
