//! Work that is nearly always over at once, and must not be lost when it is not.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio_util::task::TaskTracker;

/// Something to do.
pub(in super::super) type Turn = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does as much as can be done without waiting; returns what is left.
pub(super) fn begin(mut turn: Turn) -> Option<Turn> {
    // Whoever finishes it polls it at once with a waker of its own, so nothing is missed that this one is told.
    let mut context = Context::from_waker(Waker::noop());
    turn.as_mut().poll(&mut context).is_pending().then_some(turn)
}

/// Does something here and now, and what has to wait in a task: whoever asked for it may go away meanwhile.
pub(in super::super) fn run_now_or_spawn(
    tasks: &TaskTracker,
    turn: impl Future<Output = ()> + Send + 'static,
) {
    if let Some(rest) = begin(Box::pin(turn)) {
        tasks.spawn(rest);
    }
}
