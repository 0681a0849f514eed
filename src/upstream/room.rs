//! The room for instances besides the shared pool: so many places, each taken by an instance until nothing is left of its
//! process. Who finds all of them taken waits for the next that is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

/// All places. A std mutex: held to count one.
#[derive(Debug)]
pub(super) struct Room(Mutex<Places>);

#[derive(Debug)]
struct Places {
    free: usize,
    /// Those who wait for one that is about to be left, in their order.
    heirs: VecDeque<oneshot::Sender<Taken>>,
}

/// A place, or the promise of one.
#[derive(Debug)]
pub(super) enum Place {
    Taken(Taken),
    Promised(oneshot::Receiver<Taken>),
}

/// A place that is taken; dropping it leaves it to the first who waits for one.
#[derive(Debug)]
pub(super) struct Taken(Arc<Room>);

impl Room {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Places {
            free: places,
            heirs: VecDeque::new(),
        })))
    }

    /// Claims a place: a free one, or else the next that is left. The pool sees to it that there are no more who have
    /// claims than places.
    pub(super) fn claim(self: &Arc<Self>) -> Place {
        let mut places = self.0.lock().expect("no holder panics");
        if places.free > 0 {
            places.free -= 1;
            return Place::Taken(Taken(self.clone()));
        }
        let (tx, rx) = oneshot::channel();
        // Sessions may come and go much faster than processes.
        places.heirs.retain(|heir| !heir.is_closed());
        places.heirs.push_back(tx);
        Place::Promised(rx)
    }
}

impl Place {
    /// Waits until the place is there; `None` if it never will be.
    pub(super) async fn reached(self) -> Option<Taken> {
        match self {
            Self::Taken(taken) => Some(taken),
            Self::Promised(promise) => promise.await.ok(),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let heir = {
            let mut places = self.0.0.lock().expect("no holder panics");
            let heir = places.heirs.pop_front();
            places.free += usize::from(heir.is_none());
            heir
        };
        if let Some(heir) = heir {
            // One who does not wait any more gives it back, and so leaves it to the next.
            drop(heir.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_goes_to_who_claimed_it_first() {
        let room = Room::new(1);
        let first = room.claim().reached().await;
        let [gone, heir, late] = [room.claim(), room.claim(), room.claim()];
        assert!(matches!(heir, Place::Promised(_)), "there is one");
        drop(gone);
        drop(first);
        let second = heir.reached().await;
        assert!(second.is_some(), "before it was one who does not wait any more");
        drop(second);
        drop(late);
        assert!(matches!(room.claim(), Place::Taken(_)), "it came back");
    }

    #[tokio::test]
    async fn those_who_wait_no_more_are_forgotten() {
        let room = Room::new(1);
        let first = room.claim().reached().await;
        (0..200_000).for_each(|_| drop(room.claim()));
        let heir = room.claim();
        assert_eq!(room.0.lock().expect("no holder panics").heirs.len(), 1);
        drop(first);
        assert!(heir.reached().await.is_some());
    }
}
