//! The requests without a handshake that are in flight on a channel.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::gateway::error::GatewayError;
use crate::protocol::RequestId;

/// Those of one channel, by their ids, which tell them apart. A std mutex: held for look-ups.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// Cancelled when the channel is gone.
    over: CancellationToken,
    in_flight: Mutex<InFlight>,
    /// Those that have not begun: their server has yet to be chosen, or to say which era it speaks.
    beginning: TaskTracker,
}

#[derive(Debug, Default)]
struct InFlight {
    last: u64,
    by_id: HashMap<RequestId, (u64, CancellationToken)>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    visits: Arc<Visits>,
    id: RequestId,
    number: u64,
    over: CancellationToken,
    beginning: Option<TaskTrackerToken>,
}

impl Visits {
    /// Adds a request.
    ///
    /// # Errors
    /// There are `max` already, or one with the same id.
    pub(super) fn begin(self: &Arc<Self>, id: &RequestId, max: usize) -> Result<Place, GatewayError> {
        let mut in_flight = self.lock();
        if in_flight.by_id.len() >= max {
            return Err(GatewayError::TooManyInFlight(max));
        }
        let number = in_flight.last + 1;
        in_flight.last = number;
        let Entry::Vacant(entry) = in_flight.by_id.entry(id.clone()) else {
            return Err(GatewayError::InFlightAlready(id.clone()));
        };
        let over = self.over.child_token();
        entry.insert((number, over.clone()));
        Ok(Place {
            visits: self.clone(),
            id: id.clone(),
            number,
            over,
            beginning: Some(self.beginning.token()),
        })
    }

    /// Returns whether a request is in flight.
    pub(super) fn has(&self, id: &RequestId) -> bool {
        self.lock().by_id.contains_key(id)
    }

    /// Takes a request back.
    pub(super) fn take_back(&self, id: &RequestId) {
        let taken = self.lock().by_id.remove(id);
        if let Some((_, over)) = taken {
            over.cancel();
        }
    }

    /// Takes all of them back, and those that come.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Waits until every request has begun. None comes any more.
    pub(super) async fn begun(&self) {
        self.beginning.close();
        self.beginning.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().expect("no holder panics")
    }
}

impl Place {
    /// Returns what is cancelled when nobody waits for the answer any more.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Notes that the request has begun.
    pub(super) fn begun(&mut self) {
        self.beginning = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut in_flight = self.visits.lock();
        // Another one may have its id, if it was taken back.
        if let Entry::Occupied(entry) = in_flight.by_id.entry(self.id.clone())
            && entry.get().0 == self.number
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_apart_and_free_again() {
        let visits = Arc::new(Visits::default());
        let (number, text) = (RequestId::Number(1), RequestId::String("1".into()));
        let one = visits.begin(&number, 2).expect("room");
        let again = visits.begin(&number, 2).map(drop);
        assert_eq!(again, Err(GatewayError::InFlightAlready(number.clone())));
        let two = visits.begin(&text, 2).expect("another id");
        let third = visits.begin(&RequestId::Number(3), 2).map(drop);
        assert_eq!(third, Err(GatewayError::TooManyInFlight(2)));
        visits.take_back(&number);
        assert!(one.over().is_cancelled() && !two.over().is_cancelled());
        let after = visits.begin(&number, 2).expect("it was taken back");
        drop(one);
        assert!(visits.has(&number), "that of the other one is left");
        drop(after);
        assert!(!visits.has(&number) && visits.has(&text));
        visits.end();
        assert!(two.over().is_cancelled());
    }

    #[tokio::test]
    async fn all_have_begun_when_the_last_has() {
        let visits = Arc::new(Visits::default());
        let mut place = visits.begin(&RequestId::Number(1), 1).expect("room");
        let mut waiting = std::pin::pin!(visits.begun());
        assert!(futures_util::FutureExt::now_or_never(waiting.as_mut()).is_none());
        place.begun();
        waiting.await;
    }
}
