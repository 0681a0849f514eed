//! Sessions of modern clients whose server has to know its client: each has a process of its own, which is too dear for
//! one call. When a call is over its session stands by for the next one of the same client, and gives way to whoever
//! needs a process meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::conversation::Session;
use crate::protocol::mcp::InitializeParams;
use crate::registry::Server;
use crate::session::Caller;
use crate::upstream::{Lease, ServerPool, Upstream};

/// Who may take over a session: only somebody of whom the server was told just this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    server: String,
    principal: Arc<str>,
    mode: Option<Arc<str>>,
    capabilities: String,
    client: String,
}

impl Place {
    pub(super) fn of(server: &Server, caller: &Caller, facts: &InitializeParams) -> Self {
        Self {
            server: server.name().to_string(),
            principal: caller.principal.clone(),
            mode: caller.mode.clone(),
            capabilities: serde_json::Value::from(facts.capabilities.clone()).to_string(),
            client: facts.client_info.get().to_owned(),
        }
    }
}

/// The sessions that stand by. How many there are is bounded by `instances-max` of their servers.
#[derive(Debug, Default)]
pub(super) struct Standby {
    sessions: Mutex<HashMap<Place, Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    session: Arc<Session>,
    /// Its process, as long as it holds one.
    upstream: Weak<Upstream>,
    until: Instant,
}

impl Waiting {
    fn holds_one_of(&self, pool: &ServerPool) -> Option<Arc<Upstream>> {
        let upstream = self.upstream.upgrade().filter(|upstream| pool.has(upstream));
        upstream.filter(|_| !self.session.has_ended())
    }
}

impl Standby {
    /// Has a session wait for another call with its process, for so long.
    pub(super) fn put(&self, place: Place, session: Arc<Session>, lease: &Lease, patience: Duration) {
        let waiting = Waiting {
            session,
            upstream: Arc::downgrade(lease.upstream()),
            until: Instant::now() + patience,
        };
        self.lock().entry(place).or_default().push(waiting);
    }

    /// Takes a session of this server that waits, the one that was in use last: its process is the warmest.
    pub(super) fn take(&self, place: &Place, server: &Arc<Server>) -> Option<Arc<Session>> {
        let mut sessions = self.lock();
        let waiting = sessions.get_mut(place)?;
        while let Some(Waiting { session, .. }) = waiting.pop() {
            // A server of the same name may have taken the place of the one that it was.
            if !session.has_ended() && Arc::ptr_eq(session.attachment().server(), server) {
                return Some(session);
            }
        }
        None
    }

    /// Takes out the session that has waited longest of those with a process of this pool; the caller ends both.
    pub(super) fn give_way(&self, pool: &ServerPool) -> Option<(Arc<Session>, Arc<Upstream>)> {
        let mut sessions = self.lock();
        let waiting = sessions.iter().flat_map(|(place, waiting)| {
            let here = waiting.iter().enumerate();
            here.filter_map(move |(index, one)| Some((one.until, place, index, one.holds_one_of(pool)?)))
        });
        let (_, place, index, upstream) = waiting.min_by_key(|(until, ..)| *until)?;
        let place = place.clone();
        let waiting = sessions.get_mut(&place).expect("it was there a moment ago");
        let longest = waiting.remove(index).session;
        if waiting.is_empty() {
            sessions.remove(&place);
        }
        Some((longest, upstream))
    }

    /// Takes out the sessions that nobody has called for in time.
    pub(super) fn remove_idle(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut removed = Vec::new();
        self.lock().retain(|_, waiting| {
            let late = waiting.extract_if(.., |one| one.until <= now || one.session.has_ended());
            removed.extend(late.map(|one| one.session));
            !waiting.is_empty()
        });
        removed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Vec<Waiting>>> {
        self.sessions.lock().expect("no holder panics")
    }
}
