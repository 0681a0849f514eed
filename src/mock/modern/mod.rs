//! The modern era (2026-07-28): every request says what its client is, and is answered by itself.
//!
//! Tools, lists and resources are those of the handshake era; `methods` dresses what they return, `inputs` turns what
//! they ask into `input_required`, and `listens` sends what changes to whoever listens.

mod clock;
mod inputs;
mod listens;
mod methods;
mod seal;
mod skills;
mod state;
mod tasks;

pub(crate) use listens::Filter;
pub(crate) use methods::{handle, unsupported_version};
pub(crate) use skills::is_skill;
pub(crate) use state::Modern;
pub(crate) use tasks::Plan;
