//! A request that ends for its client before it ends for its server: who gets what the server says then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tracing::debug;

use super::{End, Exchange, Reach};
use crate::gateway::policy::in_turn;
use crate::protocol::Message;
use crate::protocol::names::method;
use crate::upstream::{Outcome, SCAN, Waiter};

/// Messages about progress and log messages that wait for a client to come again; of more the latest, which say the most.
const SAID_MAX: usize = 16;

/// Who gets what the server says to a request that has ended for its client.
#[derive(Debug)]
pub(super) enum Heir {
    /// Its client has yet to come again; what the server has said meanwhile.
    Awaited {
        said: VecDeque<Message>,
        outcome: Option<Box<Outcome>>,
    },
    /// The request with which its client came again.
    Found(Arc<Exchange>),
}

impl Heir {
    fn awaited() -> Self {
        Self::Awaited {
            said: VecDeque::new(),
            outcome: None,
        }
    }
}

impl Exchange {
    /// Ends the exchange for its client with a result, although the server still works on the request: what comes goes
    /// to the request with which the client comes again. Returns `false` if it has ended already, or its client has gone.
    pub(in super::super) fn suspend(&self, result: &[u8]) -> bool {
        let is_suspended = self.end(End::Answer(self.written(result), None), |state| {
            let is_heard = self.reach_in(state) == Reach::Live;
            if is_heard {
                self.heir.get_or_init(|| Mutex::new(Heir::awaited()));
            }
            is_heard
        });
        // From now on the time is kept where those are that wait for their clients.
        if is_suspended && let Some((connection, id)) = self.connection() {
            connection.keep_open(id);
        }
        is_suspended
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
            Heir::Awaited { said, outcome } => {
                // Under the lock: what comes now comes after it.
                said.into_iter().for_each(|message| heir.hear_late(message));
                // However often its client comes again, only the latest request is kept.
                if let Some((connection, id)) = self.connection() {
                    connection.hand_over(id, heir.clone());
                }
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

    /// Takes what has waited for it.
    fn hear_late(self: &Arc<Self>, message: Message) {
        if message.method() == method::PROGRESS {
            return self.progress(message);
        }
        // It has been judged; what is still being judged was there before it.
        let me = self.clone();
        let taken = in_turn(&self.session, None, message, move |_, passed| {
            passed.into_iter().for_each(|message| me.pass_on_log(message));
        });
        if taken.is_err() {
            debug!("log message dropped: too many messages wait to be judged");
        }
    }

    /// Puts a log message before whoever hears it now.
    pub(in super::super) fn pass_on_log(&self, message: Message) {
        if let Some((hearer, message)) = self.hearer(message)
            && !hearer.event(message.bytes().clone())
        {
            debug!("log message dropped: nobody takes it, or the stream is full");
        }
    }

    /// Returns who is to hear something: itself, or the request with which its client came again. As long as it has not,
    /// the message waits for it.
    pub(super) fn hearer(&self, message: Message) -> Option<(Arc<Self>, Message)> {
        let Some(place) = self.heir.get() else {
            return Some((self.me.upgrade()?, message));
        };
        let heir = match &mut *place.lock().expect("no holder panics") {
            Heir::Found(heir) => heir.clone(),
            Heir::Awaited { said, .. } => {
                if said.len() == SAID_MAX {
                    said.pop_front();
                }
                // A copy: it may be a piece of a much larger buffer.
                let own = Message::parse(Bytes::copy_from_slice(message.bytes()), SCAN);
                said.push_back(own.expect("it was parsed before"));
                return None;
            }
        };
        heir.hearer(message)
    }
}
