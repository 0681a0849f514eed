//! A request that ends for its client before it ends for its server: who gets what the server says then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{End, Exchange};
use crate::protocol::Message;
use crate::upstream::{Outcome, SCAN, Waiter};

/// Messages about progress that wait for a client to come again; of more the latest, which say the most.
const PROGRESS_MAX: usize = 16;

/// Who gets what the server says to a request that has ended for its client.
#[derive(Debug)]
pub(super) enum Heir {
    /// Its client has yet to come again; what the server has said meanwhile.
    Awaited {
        progress: VecDeque<Message>,
        outcome: Option<Box<Outcome>>,
    },
    /// The request with which its client came again.
    Found(Arc<Exchange>),
}

impl Exchange {
    /// Ends the exchange for its client with a result, although the server still works on the request: what comes goes
    /// to the request with which the client comes again. Returns `false` if it has ended already.
    pub(in super::super) fn suspend(&self, result: &[u8]) -> bool {
        let result = self.written(result);
        self.end(End::Answer(result, None), || {
            let awaited = || Heir::Awaited {
                progress: VecDeque::new(),
                outcome: None,
            };
            self.heir.get_or_init(|| Mutex::new(awaited()));
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
        let mut place = self.heir.get()?.lock().expect("no holder panics");
        match std::mem::replace(&mut *place, Heir::Found(heir.clone())) {
            Heir::Awaited { progress, outcome } => {
                // Under the lock: what comes now comes after it.
                progress.into_iter().for_each(|message| heir.progress(message));
                outcome.map(|outcome| *outcome)
            }
            Heir::Found(_) => None,
        }
    }

    /// Passes on what came to whoever is to have it; returns it if that is nobody else.
    pub(super) fn inherit(&self, outcome: Outcome) -> Option<Outcome> {
        let Some(place) = self.heir.get() else {
            return Some(outcome);
        };
        let heir = match &mut *place.lock().expect("no holder panics") {
            Heir::Awaited { outcome: waiting, .. } => {
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

    /// Returns who is to hear of progress: itself, or the request with which its client came again. As long as it has not,
    /// the message waits for it.
    pub(super) fn hearer(&self, message: Message) -> Option<(Arc<Self>, Message)> {
        let Some(place) = self.heir.get() else {
            return Some((self.me.upgrade()?, message));
        };
        match &mut *place.lock().expect("no holder panics") {
            Heir::Found(heir) => Some((heir.clone(), message)),
            Heir::Awaited { progress, .. } => {
                if progress.len() == PROGRESS_MAX {
                    progress.pop_front();
                }
                // A copy: it may be a piece of a much larger buffer.
                let own = Message::parse(Bytes::copy_from_slice(message.bytes()), SCAN);
                progress.push_back(own.expect("it was parsed before"));
                None
            }
        }
    }
}
