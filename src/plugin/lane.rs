//! The slow lane: guests that run for longer than a tick take turns, and together never have more than half of the
//! machine. However many of them spin, somebody else's message finds a thread that is free within a tick.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where guests wait for their next tick, first come, first served.
pub(super) struct SlowLane {
    places: Arc<Semaphore>,
}

/// What one guest has of it: nothing in its first tick, a place in each later one.
#[derive(Clone)]
pub(super) struct Turn {
    lane: Arc<SlowLane>,
    /// A std mutex: held to put in and to take out.
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl SlowLane {
    /// Returns a lane for a machine with so many processors.
    pub(super) fn new(processors: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new((processors / 2).max(1))),
        })
    }

    /// Returns the turn of a guest that has not been slow yet.
    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            lane: self.clone(),
            place: Arc::default(),
        }
    }
}

impl Turn {
    /// Gives the place back: the guest has had its tick, or is through.
    pub(super) fn end(&self) {
        let place = self.place().take();
        drop(place);
    }

    /// Lets everybody else go first, and waits for a place.
    pub(super) async fn next(self) {
        // Not only to the end of the queue: the runtime looks for what came in from outside first.
        tokio::task::yield_now().await;
        let place = self.lane.places.clone().acquire_owned().await;
        *self.place() = Some(place.expect("the lane is never closed"));
    }

    fn place(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.place.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = pin!(future);
        // The first poll only yields.
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
            || poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn half_of_the_machine_is_for_the_slow() {
        for (processors, places) in [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)] {
            let lane = SlowLane::new(processors);
            let turns: Vec<Turn> = (0..places).map(|_| lane.turn()).collect();
            for turn in &turns {
                assert!(is_ready(turn.clone().next()).await, "{processors}");
            }
            let late = lane.turn();
            assert!(!is_ready(late.clone().next()).await, "{processors}");
            turns[0].end();
            assert!(is_ready(late.clone().next()).await, "{processors}");
        }
    }

    #[tokio::test]
    async fn who_goes_away_leaves_no_place_taken() {
        let lane = SlowLane::new(2);
        let turn = lane.turn();
        assert!(is_ready(turn.clone().next()).await);
        drop(turn);
        assert!(is_ready(lane.turn().next()).await);
    }

    #[tokio::test]
    async fn they_take_turns() {
        let lane = SlowLane::new(2);
        let order = Arc::new(Mutex::new(Vec::new()));
        let guests = (0..3).map(|guest| {
            let (turn, order) = (lane.turn(), order.clone());
            async move {
                for _ in 0..3 {
                    turn.end();
                    turn.clone().next().await;
                    order.lock().expect("free").push(guest);
                    tokio::task::yield_now().await;
                }
                turn.end();
            }
        });
        futures_util::future::join_all(guests).await;
        let order = order.lock().expect("free");
        assert_eq!(*order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }
}
