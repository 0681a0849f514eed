//! A request that ends for its client before it ends for its server: who gets what the server says then.

use std::sync::{Arc, Mutex};

use super::{End, Exchange};
use crate::upstream::{Outcome, Waiter};

/// Who gets what the server says to a request that has ended for its client.
#[derive(Debug)]
pub(super) enum Heir {
    /// Its client has yet to come again; what the server has said meanwhile.
    Awaited(Option<Box<Outcome>>),
    /// The request with which its client came again.
    Found(Arc<Exchange>),
}

impl Exchange {
    /// Ends the exchange for its client with a result, although the server still works on the request: what comes goes
    /// to the request with which the client comes again. Returns `false` if it has ended already.
    pub(in super::super) fn suspend(&self, result: &[u8]) -> bool {
        let result = self.written(result);
        self.end(End::Answer(result), || {
            self.heir.get_or_init(|| Mutex::new(Heir::Awaited(None)));
        })
    }

    /// Has another request of the same client get what the server says to this one. Returns what it has said already.
    pub(in super::super) fn bequeath_to(&self, heir: &Arc<Self>) -> Option<Outcome> {
        if let Some(after) = self.after.get() {
            heir.after.get_or_init(|| after.clone());
        }
        if let Some(bridge) = self.bridge.get() {
            heir.bridged_by(bridge.clone());
        }
        if let Some((connection, id)) = self.place() {
            heir.is_at(connection, id);
        }
        let place = self.heir.get()?;
        let before = std::mem::replace(
            &mut *place.lock().expect("no holder panics"),
            Heir::Found(heir.clone()),
        );
        match before {
            Heir::Awaited(outcome) => outcome.map(|outcome| *outcome),
            Heir::Found(_) => None,
        }
    }

    /// Passes on what came to whoever is to have it; returns it if that is nobody else.
    pub(super) fn inherit(&self, outcome: Outcome) -> Option<Outcome> {
        let Some(place) = self.heir.get() else {
            return Some(outcome);
        };
        let heir = match &mut *place.lock().expect("no holder panics") {
            Heir::Awaited(waiting) => {
                *waiting = Some(Box::new(outcome));
                return None;
            }
            Heir::Found(heir) => heir.clone(),
        };
        heir.complete(outcome);
        None
    }

    /// Passes on what came while the exchange was suspended, as it is known only now; nothing of it is lost.
    pub(super) fn bequeath_late(&self, outcome: Outcome) {
        if self.heir.get().is_some() {
            let taken = self.inherit(outcome);
            debug_assert!(taken.is_none(), "there is an heir");
        }
    }

    /// Returns who is to hear of progress: itself, or the request with which its client came again; `None` as long as it
    /// has not.
    pub(super) fn hearer(&self) -> Option<Arc<Self>> {
        let Some(place) = self.heir.get() else {
            return self.me.upgrade();
        };
        match &*place.lock().expect("no holder panics") {
            Heir::Found(heir) => Some(heir.clone()),
            Heir::Awaited(_) => None,
        }
    }
}
