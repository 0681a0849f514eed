//! Sessions of modern clients whose server has to know its client: each has a process of its own, which is too dear for
//! one call. When a call is over its session stands by for the next one of the same client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::conversation::Session;
use crate::protocol::mcp::InitializeParams;
use crate::registry::Server;
use crate::session::Caller;

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
    until: Instant,
}

impl Standby {
    /// Has a session wait for another call, for so long.
    pub(super) fn put(&self, place: Place, session: Arc<Session>, patience: Duration) {
        let until = Instant::now() + patience;
        self.lock()
            .entry(place)
            .or_default()
            .push(Waiting { session, until });
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
