//! What is registered, in which state, and who is told.

pub mod catalog;
pub mod error;
pub mod events;
pub mod record;
mod registry;
mod server;
mod target;

pub use catalog::{Catalog, ItemFacts};
pub use error::RegistryError;
pub use events::{Actor, Event, EventKind, EventLog, Order};
pub use record::ServerRecord;
pub use registry::{Reconfigured, Registry};
pub use server::{Server, Source};
pub use target::{RouteTarget, Target};
