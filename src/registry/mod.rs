//! What is registered, in which state, and who is told.

mod registry;
mod server;
pub mod record;
pub mod catalog;
pub mod events;
pub mod error;

pub use catalog::Catalog;
pub use error::RegistryError;
pub use events::{Actor, Event, EventKind, EventLog};
pub use record::ServerRecord;
pub use registry::Registry;
pub use server::{Server, Source};
