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
mod listening;
mod once;
mod operation;
mod requests;
mod routing;
mod scope;
mod shown;
mod turns;

pub(super) use circumstances::Standing;
pub use judge::Pinned;
pub(super) use judge::{Asked, Judge, Policy};
pub(super) use lane::Lane;
pub(super) use listening::subscription_to;
pub(super) use once::run_now_or_spawn;
pub(super) use turns::in_turn;

/// What a session needs to have its messages judged.
#[derive(Debug)]
pub(super) struct Judging {
    /// Where judges come from.
    pub(super) policy: std::sync::Arc<Policy>,
    /// What its server sends, in its order.
    pub(super) lane: std::sync::Arc<Lane>,
    /// What policies are told of it.
    pub(super) standing: Standing,
}
