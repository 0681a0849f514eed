//! The policies on the way of a message: who is asked about it, what of it may be seen, what becomes of it.
//!
//! A [`Judge`] is the plugins that hold when a request comes, kept until it is answered. What a policy has to say comes
//! later than what it is asked about, so messages of a server wait in their session's [`Lane`], where none overtakes
//! another. Without plugins there is no judge, nothing waits, and nothing of this runs.

mod circumstances;
mod hearing;
mod item;
mod judge;
mod lane;
mod once;
mod shown;

pub use judge::Pinned;
pub(super) use judge::{Asked, Judge, Policy};
pub(super) use lane::Lane;
pub(super) use once::run_now_or_spawn;
