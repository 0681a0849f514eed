//! The commands that talk to a running gateway through its admin API: `status`, `servers`, `server`, `sessions`, `events`,
//! `stderr`, `plugin list` and `plugin reload`.
//!
//! They exit with 0 if it was done, 1 if it was refused or a server did not come up, 2 if they were not understood,
//! and 3 if no gateway could be reached.

mod client;
mod events;
mod failure;
pub(super) mod plugins;
mod servers;
mod sessions;
mod status;
mod table;
mod target;
mod verbs;

use super::output;

pub use verbs::{AdminCommand, FormArgs, run};
