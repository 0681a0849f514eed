//! What the gateway knows of a session beyond its streams: its server, its lease, its open exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use bytes::Bytes;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;

use super::asking::Suspension;
use super::attention::Attention;
use super::ear::Ear;
use super::error::GatewayError;
use super::exchange::{Exchange, Reach};
use super::policy::{Asked, Judge, Judging, Lane, Standing};
use super::rounds::Round;
use super::shared_hub::{Seat, SharedHub};
use crate::protocol::{Message, RequestId};
use crate::registry::Server;
use crate::session;
use crate::upstream::{Connection, Lease};

/// A session of the gateway.
pub type Session = session::Session<Conversation>;

/// The gateway's part of a session. Std mutexes: held for look-ups and single changes.
#[derive(Debug)]
pub struct Conversation {
    server: Arc<Server>,
    held: Mutex<Option<Held>>,
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    /// Those of all sessions.
    all_exchanges: TaskTracker,
    server_requests: Mutex<BTreeMap<i64, ServerRequest>>,
    next_server_request: AtomicI64,
    settings: Mutex<Settings>,
    /// What a client without a handshake listens to, if it does.
    attention: Mutex<Option<Attention>>,
    judging: Judging,
    /// The call that waits for what its client says.
    suspension: Mutex<Option<Suspension>>,
    /// Whether it shares a process whatever its client can do.
    shares: AtomicBool,
    /// Which of the requests that have had this session, one after the other, has it now.
    visits: AtomicU64,
    /// The shared instance that the routing policies have chosen for it.
    chosen_instance: OnceLock<u64>,
}

/// A session's lease, and its seat among those who share the instance.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Arc<Lease>,
    /// None where the instance is the session's own.
    pub(super) seat: Option<Seat>,
    /// Who listens to the instance; none where that is gone already.
    pub(super) ear: Option<Arc<Ear>>,
}

/// What a client has set on its server, to be set again on a new process.
#[derive(Debug, Default, Clone)]
pub struct Settings {
    /// `params` of the last `logging/setLevel`.
    pub log_level: Option<Bytes>,
    /// The URIs of `resources/subscribe`.
    pub subscriptions: BTreeSet<String>,
    /// Those of them that the client knows it will be told of.
    pub promised: BTreeSet<String>,
    /// The tasks that it listens to, by id.
    pub tasks: BTreeSet<String>,
}

/// A request of the server that the client has not answered.
#[derive(Debug)]
pub(super) struct ServerRequest {
    asker: Asker,
    /// Who judges the answer, if anybody does.
    pub(super) judged: Option<(Judge, Asked)>,
}

/// What waits for a client's answer.
#[derive(Debug)]
enum Asker {
    /// A server, which asked by a request with this id.
    Server(Weak<Connection>, RequestId),
    /// A request whose answer asked, under this key and with this method.
    Round(Arc<Round>, String, String),
}

impl ServerRequest {
    pub(super) fn new(connection: &Arc<Connection>, id: RequestId, judged: Option<(Judge, Asked)>) -> Self {
        Self {
            asker: Asker::Server(Arc::downgrade(connection), id),
            judged,
        }
    }

    pub(super) fn of_round(
        round: Arc<Round>,
        key: String,
        method: String,
        judged: Option<(Judge, Asked)>,
    ) -> Self {
        Self {
            asker: Asker::Round(round, key, method),
            judged,
        }
    }

    /// Gives whoever asked the client's answer, if it still waits.
    pub(super) fn respond(&self, answer: &Message) {
        match &self.asker {
            Asker::Server(connection, id) => {
                let taken = connection.upgrade();
                if !taken.is_some_and(|connection| connection.respond(id, answer)) {
                    debug!("answer that the server no longer waits for");
                }
            }
            Asker::Round(round, key, method) => round.take(key, method, answer),
        }
    }

    /// Gives whoever asked an error in the place of the client's answer.
    pub(super) fn refuse(&self, error: &GatewayError) {
        match &self.asker {
            Asker::Server(connection, id) => {
                if let Some(connection) = connection.upgrade() {
                    connection.refuse(id, &error.to_error_object());
                }
            }
            Asker::Round(round, key, _) => round.refuse(key, error.to_string()),
        }
    }

    fn is_of(&self, connection: &Arc<Connection>, id: &RequestId) -> bool {
        match &self.asker {
            Asker::Server(its, its_id) => its_id == id && its.as_ptr() == Arc::as_ptr(connection),
            Asker::Round(..) => false,
        }
    }

    fn is_of_another(&self, connection: &Arc<Connection>) -> bool {
        match &self.asker {
            Asker::Server(its, _) => its.as_ptr() != Arc::as_ptr(connection),
            Asker::Round(..) => false,
        }
    }
}

/// Requests of a server that wait for one client, at most.
const SERVER_REQUESTS_MAX: usize = 256;

impl Conversation {
    /// Returns the part of a session that has just been opened; `all_exchanges` counts those of every session.
    pub(super) fn new(server: Arc<Server>, all_exchanges: TaskTracker, judging: Judging) -> Self {
        server.session_opened();
        Self {
            server,
            held: Mutex::default(),
            exchanges: Mutex::default(),
            all_exchanges,
            server_requests: Mutex::default(),
            next_server_request: AtomicI64::new(1),
            settings: Mutex::default(),
            attention: Mutex::default(),
            judging,
            suspension: Mutex::default(),
            shares: AtomicBool::new(false),
            visits: AtomicU64::new(0),
            chosen_instance: OnceLock::new(),
        }
    }

    /// Notes the shared instance that it is to get. Only the first choice counts.
    pub(super) fn choose_instance(&self, instance: u64) {
        self.chosen_instance.get_or_init(|| instance);
    }

    /// Returns the shared instance that the routing policies have chosen for it, if they were asked.
    pub(super) fn chosen_instance(&self) -> Option<u64> {
        self.chosen_instance.get().copied()
    }

    /// Returns who judges a message of its server that belongs to no request; `None` without plugins.
    pub(super) fn judge_of_server(&self) -> Option<Judge> {
        self.judging.policy.judge_of_server()
    }

    /// Returns where what its server sends waits to be judged.
    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.judging.lane
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.judging.standing
    }

    /// Returns the server it talks to.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Returns its lease, if it has one.
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.held().as_ref().map(|held| held.lease.clone())
    }

    /// Returns the receiver of its instance's messages, if others share the instance.
    pub(super) fn hub(&self) -> Option<Arc<SharedHub>> {
        let held = self.held();
        let seat = held.as_ref()?.seat.as_ref()?;
        Some(seat.hub().clone())
    }

    /// Returns the place of the lease. Who fills it holds the lock meanwhile, so that a session never gets two.
    pub(super) fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().expect("no holder panics")
    }

    /// Takes the lease away; the caller drops it.
    #[must_use]
    pub(super) fn release(&self) -> Option<Held> {
        self.held().take()
    }

    /// Returns the place of the call that waits for what its client says.
    pub(super) fn suspension(&self) -> MutexGuard<'_, Option<Suspension>> {
        self.suspension.lock().expect("no holder panics")
    }

    /// Notes that it needs no process of its own.
    pub(super) fn shares_only(&self) {
        self.shares.store(true, Ordering::Relaxed);
    }

    /// Returns whether it needs no process of its own.
    pub(super) fn only_shares(&self) -> bool {
        self.shares.load(Ordering::Relaxed)
    }

    /// Gives the session to another request; returns the number of its stay.
    pub(super) fn begin_visit(&self) -> u64 {
        self.visits.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns whether a stay is the present one.
    pub(super) fn is_visit(&self, number: u64) -> bool {
        self.visits.load(Ordering::Relaxed) == number
    }

    /// Returns the request that is open, if it is the only one.
    pub(super) fn only_exchange(&self) -> Option<Arc<Exchange>> {
        match self.exchanges().as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// Returns what the client has set.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().expect("no holder panics")
    }

    /// Returns who listens to its instance, if it has a lease.
    pub(super) fn ear(&self) -> Option<Arc<Ear>> {
        self.held().as_ref()?.ear.clone()
    }

    /// Returns what the client listens to.
    pub(super) fn attention(&self) -> MutexGuard<'_, Option<Attention>> {
        self.attention.lock().expect("no holder panics")
    }

    /// Returns whether the client has asked to be told of something, and nothing else.
    pub(super) fn listens(&self) -> bool {
        self.attention().is_some()
    }

    /// Returns whether the client has subscribed to this very resource.
    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        self.settings().subscriptions.contains(uri)
    }

    /// Returns how many requests of the client wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.exchanges().len()
    }

    /// Counts an exchange, among those of all sessions, until what is returned is dropped.
    pub(super) fn count_exchange(&self) -> TaskTrackerToken {
        self.all_exchanges.token()
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
        let index = exchanges
            .iter()
            .position(|other| std::ptr::eq(&raw const **other, exchange));
        index.map(|index| exchanges.remove(index));
    }

    /// Returns the exchange that a client's id means: only if exactly one carries it.
    pub(super) fn exchange_of(&self, id: &RequestId) -> Option<Arc<Exchange>> {
        let exchanges = self.exchanges();
        let mut same = exchanges.iter().filter(|exchange| exchange.client_id() == id);
        let found = same.next().cloned();
        if same.next().is_some() { None } else { found }
    }

    /// Returns whether any exchange that is open carries a client's id.
    pub(super) fn has_in_flight(&self, id: &RequestId) -> bool {
        self.exchanges().iter().any(|exchange| exchange.client_id() == id)
    }

    /// Returns the exchanges that are open, oldest first.
    pub(super) fn open_exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges().clone()
    }

    /// Remembers a request of the server and returns the id under which the client gets it.
    pub(super) fn add_server_request(&self, request: ServerRequest) -> Option<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        if requests.len() >= SERVER_REQUESTS_MAX {
            return None;
        }
        let number = self.next_server_request.fetch_add(1, Ordering::Relaxed);
        requests.insert(number, request);
        Some(number)
    }

    /// Takes out a request of the server; `None` if it has been answered, or taken back.
    pub(super) fn remove_server_request(&self, number: i64) -> Option<ServerRequest> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        requests.remove(&number)
    }

    /// Forgets a request that its server took back; returns the client's id of it.
    pub(super) fn withdraw_server_request(
        &self,
        connection: &Arc<Connection>,
        id: &RequestId,
    ) -> Option<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        let is_it = |request: &ServerRequest| request.is_of(connection, id);
        let number = requests
            .iter()
            .find(|(_, request)| is_it(request))
            .map(|(number, _)| *number)?;
        requests.remove(&number);
        Some(number)
    }

    /// Returns whether somebody waits for the client's answer to a request.
    pub(super) fn awaits(&self, number: i64) -> bool {
        let requests = self.server_requests.lock().expect("no holder panics");
        requests.contains_key(&number)
    }

    /// Forgets what a round has asked, which waits for nothing any more; returns the client's ids of it.
    pub(super) fn withdraw_round(&self, round: &Arc<Round>) -> Vec<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        let of_round = requests.extract_if(.., |_, request| match &request.asker {
            Asker::Round(its, ..) => Arc::ptr_eq(its, round),
            Asker::Server(..) => false,
        });
        of_round.map(|(number, _)| number).collect()
    }

    /// Forgets the requests of earlier processes, which wait for nothing any more; returns the client's ids of them.
    pub(super) fn withdraw_requests_before(&self, connection: &Arc<Connection>) -> Vec<i64> {
        let mut requests = self.server_requests.lock().expect("no holder panics");
        let earlier = requests.extract_if(.., |_, request| request.is_of_another(connection));
        earlier.map(|(number, _)| number).collect()
    }

    /// Takes out the request of the server that a client answers; `None` if nobody asked, or no longer waits.
    pub(super) fn take_server_request(&self, answer: &Message) -> Option<ServerRequest> {
        let Some(RequestId::Number(number)) = answer.id() else {
            return None;
        };
        self.remove_server_request(*number)
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

/// Picks the request on whose stream a message of the server that answers nothing goes, in a session that has the
/// server for itself; `None` is the session's own stream.
///
/// That is the only request whose client is there. With several, it is the session's own stream, if somebody reads it;
/// otherwise the oldest request, so that a client without a stream of its own is reached. If no request's client is
/// there, the session's own stream holds the message until somebody comes.
pub(super) fn destination(session: &Session) -> Option<Arc<Exchange>> {
    if session.transport().has_one_stream() {
        return None;
    }
    let exchanges = session.attachment().open_exchanges();
    let with = |reach| exchanges.iter().filter(move |exchange| exchange.reach() == reach);
    let oldest = with(Reach::Live).next();
    let is_only = with(Reach::Live).nth(1).is_none();
    if oldest.is_some() && is_only {
        return oldest.cloned();
    }
    if session.standalone().is_attached() {
        return None;
    }
    oldest.or_else(|| with(Reach::Detached).next()).cloned()
}
