//! Waiting with a limit: for an event, or for a state that nothing announces.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long anything may take before a test calls it hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Returns what the future gives; panics when it has not within [`LIMIT`].
#[track_caller]
pub(crate) fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match timeout(LIMIT, future).await {
            Ok(value) => value,
            Err(_) => panic!("{what}: nothing within {LIMIT:?} (asked at {caller})"),
        }
    }
}

/// Waits until `accept` likes what `read` sees; panics with the last sight when it does not within [`LIMIT`].
///
/// Only for what the kernel shows but does not announce, such as the number of open descriptors.
#[track_caller]
pub(crate) fn eventually<T: Debug>(
    what: &str,
    mut read: impl FnMut() -> T,
    mut accept: impl FnMut(&T) -> bool,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let limit = Instant::now() + LIMIT;
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seen = read();
            if accept(&seen) {
                return seen;
            }
            assert!(
                Instant::now() < limit,
                "{what}: still {seen:?} after {LIMIT:?} (asked at {caller})"
            );
        }
    }
}
