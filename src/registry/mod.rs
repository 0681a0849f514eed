//! What is registered, in which state, and who is told.

pub mod catalog;
pub mod error;
pub mod events;
pub mod record;
mod registry;
mod server;

pub use catalog::Catalog;
pub use error::RegistryError;
pub use events::{Actor, Event, EventKind, EventLog};
pub use record::ServerRecord;
pub use registry::Registry;
pub use server::{Server, Source};
