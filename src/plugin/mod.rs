//! Policies as WebAssembly components: the only room that knows wasmtime.
//!
//! A [`PluginHost`] makes generations of plugins ([`Plugin`]) of components; a [`PluginSet`] is those that judge, in
//! their order. The set is swapped whole; a request asks the set that it began with.
//!
//! A [`Roster`] looks after what lies in the folder: a [`PluginLoader`] makes a generation of each plugin that is new,
//! and the roster puts the next set in place. On the way of a message there is only the set.

mod bindings;
mod breaker;
pub mod build;
pub mod cache;
pub mod call;
pub mod case;
pub mod engine;
pub mod error;
mod exports;
pub mod folder;
mod fuel;
mod host;
mod instance;
mod lane;
pub mod loader;
pub mod manifest;
pub mod metrics;
pub mod orders;
pub mod pattern;
mod plugin;
mod pool;
pub mod roster;
pub mod set;
mod shared;
pub mod signature;
pub mod smoke;
mod state;
pub mod status;
#[cfg(test)]
mod tests;
mod ticker;
#[cfg(test)]
mod trial;
mod verdict;
pub mod watch;
pub mod wishes;

pub use breaker::BreakerState;
pub use build::{Blueprint, BuildError, PluginHost};
pub use engine::PluginEngine;
pub use error::{ErrorKind, PluginError};
pub use exports::{ABI, Hook};
pub use loader::{LoadError, LoadedPlugin, PluginLoader};
pub use orders::PluginOrders;
pub use plugin::{Judged, Matter, Plugin};
pub use roster::{Roster, RosterError, RosterOptions};
pub use set::{Aim, Changed, Passed, PluginSet, Plugins, Refusal, Why};
