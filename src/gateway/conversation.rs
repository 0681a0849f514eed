//! What the gateway knows of a session beyond its streams: its server, its lease, its open exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;

use super::exchange::Exchange;
use crate::protocol::{Message, RequestId};
use crate::registry::Server;
use crate::session::{self, Outbox, Transport};
use crate::upstream::{Connection, Lease};

/// A session of the gateway.
pub type Session = session::Session<Conversation>;

/// The gateway's part of a session. Std mutexes: held for look-ups and single changes.
#[derive(Debug)]
pub struct Conversation {
    server: Arc<Server>,
    lease: Mutex<Option<Arc<Lease>>>,
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    server_requests: Mutex<BTreeMap<i64, ServerRequest>>,
    next_server_request: AtomicI64,
    settings: Mutex<Settings>,
}

/// What a client has set on its server, to be set again on a new process.
#[derive(Debug, Default, Clone)]
pub struct Settings {
    /// `params` of the last `logging/setLevel`.
    pub log_level: Option<Bytes>,
    /// The URIs of `resources/subscribe`.
    pub subscriptions: BTreeSet<String>,
}

/// A request of the server that the client has not answered.
#[derive(Debug, Clone)]
struct ServerRequest {
    connection: Weak<Connection>,
    id: RequestId,
}

/// Requests of a server that wait for one client, at most.
const SERVER_REQUESTS_MAX: usize = 256;

impl Conversation {
    /// Returns the part of a session that has just been opened.
    pub fn new(server: Arc<Server>) -> Self {
        server.session_opened();
        Self {
            server,
            lease: Mutex::default(),
            exchanges: Mutex::default(),
            server_requests: Mutex::default(),
            next_server_request: AtomicI64::new(1),
            settings: Mutex::default(),
        }
    }

    /// Returns the server it talks to.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Returns its lease, if it has one.
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.lock().expect("no holder panics").clone()
    }

    pub(super) fn set_lease(&self, lease: Option<Arc<Lease>>) -> Option<Arc<Lease>> {
        std::mem::replace(&mut *self.lease.lock().expect("no holder panics"), lease)
    }

    /// Returns what the client has set.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().expect("no holder panics")
    }

    /// Returns how many requests of the client wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.exchanges().len()
    }

    /// Adds an exchange, unless there are too many.
    pub(super) fn add_exchange(&self, exchange: &Arc<Exchange>, in_flight_max: usize) -> bool {
        let mut exchanges = self.exchanges();
        let fits = exchanges.len() < in_flight_max;
        if fits {
            exchanges.push(exchange.clone());
        }
        fits
    }

    pub(super) fn remove_exchange(&self, exchange: &Exchange) {
        let mut exchanges = self.exchanges();
        if let Some(index) = exchanges
            .iter()
            .position(|other| std::ptr::eq(&raw const **other, exchange))
        {
            exchanges.remove(index);
        }
    }

    /// Returns the exchange that a client's id means: only if exactly one carries it.
    pub(super) fn exchange_of(&self, id: &RequestId) -> Option<Arc<Exchange>> {
        let exchanges = self.exchanges();
        let mut same = exchanges.iter().filter(|exchange| exchange.client_id() == id);
        let found = same.next().cloned();
        if same.next().is_some() { None } else { found }
    }

    /// Returns the exchanges that are open, oldest first.
    pub(super) fn open_exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges().clone()
    }

    /// Remembers a request of the server and returns the id under which the client gets it.
    pub(super) fn add_server_request(&self, connection: &Arc<Connection>, id: RequestId) -> Option<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        requests.retain(|_, request| request.connection.strong_count() > 0);
        if requests.len() >= SERVER_REQUESTS_MAX {
            return None;
        }
        let number = self.next_server_request.fetch_add(1, Ordering::Relaxed);
        requests.insert(
            number,
            ServerRequest {
                connection: Arc::downgrade(connection),
                id,
            },
        );
        Some(number)
    }

    /// Forgets a request that could not be delivered, or that the server took back; returns the client's id of it.
    pub(super) fn withdraw_server_request(&self, id: &RequestId) -> Option<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        let number = requests
            .iter()
            .find(|(_, request)| request.id == *id)
            .map(|(number, _)| *number)?;
        requests.remove(&number);
        Some(number)
    }

    /// Gives a client's answer to the server that asked; `false` if nobody asked, or no longer waits.
    pub(super) fn answer_server_request(&self, answer: &Message) -> bool {
        let Some(RequestId::Number(number)) = answer.id() else {
            return false;
        };
        let request = self
            .server_requests
            .lock()
            .expect("no holder panics")
            .remove(number);
        let Some(request) = request else { return false };
        request
            .connection
            .upgrade()
            .is_some_and(|connection| connection.respond(&request.id, answer))
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Arc<Exchange>>> {
        self.exchanges.lock().expect("no holder panics")
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.server.session_ended();
    }
}

/// Where a message of the server that answers nothing goes, in a session that has the server for itself.
pub(super) enum Destination {
    /// The stream of the one request it must belong to.
    Exchange(Arc<Exchange>),
    /// The session's own stream.
    Standalone(Arc<Outbox>),
}

/// Picks the stream: that of the only request in flight; otherwise the session's own, if somebody reads it or no
/// request is in flight; otherwise that of the oldest request, so that a client without a stream of its own is reached.
pub(super) fn destination(session: &Session) -> Destination {
    let standalone = || Destination::Standalone(session.standalone().clone());
    if session.transport() == Transport::HttpSse {
        return standalone();
    }
    let mut exchanges = session.attachment().open_exchanges();
    exchanges.retain(|exchange| exchange.takes_events());
    match exchanges.len() {
        0 => standalone(),
        1 => Destination::Exchange(exchanges.remove(0)),
        _ if session.standalone().is_attached() => standalone(),
        _ => Destination::Exchange(exchanges.remove(0)),
    }
}
