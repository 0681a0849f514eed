//! Receives what a server says on its own in an instance that several sessions share.
//!
//! What concerns everyone (`list_changed`) goes to every session once, updates of a resource to those that subscribed
//! to it, log messages to the gateway's log and the `server.log` event. A request of the server is refused: nobody
//! knows whom it is for.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use serde_json::value::to_raw_value;
use tracing::{debug, info};

use super::attention::Attention;
use super::audience::{Audience, add_wishes, missed_by, tell_subscriptions};
use super::conversation::Session;
use super::ear::Ear;
use super::gateway::Gateway;
use super::listen::subscribe;
use super::lists::Lists;
use super::policy::in_turn;
use super::tasks::Tasks;
use crate::protocol::mcp::LISTINGS;
use crate::protocol::modern::Filter;
use crate::protocol::modern::subscriptions::covers;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Era, Message};
use crate::registry::{Actor, EventKind};
use crate::session::SessionId;
use crate::upstream::{Connection, ServerMessages};

/// The receiver, and who listens to it.
pub struct SharedHub {
    me: Weak<Self>,
    gateway: Weak<Gateway>,
    ear: Arc<Ear>,
    /// Each with the number of its seat.
    sessions: Mutex<HashMap<SessionId, (u64, Weak<Session>)>>,
    /// Numbers the seats.
    seats: AtomicU64,
    /// The resources that a generation was told of before others knew that it is ready.
    told: Mutex<BTreeSet<String>>,
    tasks: Tasks,
    lists: Arc<Lists>,
}

impl std::fmt::Debug for SharedHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedHub")
            .field("sessions", &self.lock().len())
            .finish_non_exhaustive()
    }
}

/// A session's place in a hub; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Seat {
    hub: Arc<SharedHub>,
    session: SessionId,
    number: u64,
}

impl Seat {
    pub(super) fn hub(&self) -> &Arc<SharedHub> {
        &self.hub
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sessions = self.hub.lock();
        // The session may have taken another one meanwhile.
        let is_its = sessions
            .get(&self.session)
            .is_some_and(|(number, _)| *number == self.number);
        let gone = is_its.then(|| sessions.remove(&self.session));
        drop(sessions);
        drop(gone);
    }
}

impl SharedHub {
    pub(super) fn new(gateway: Weak<Gateway>) -> Arc<Self> {
        Arc::new_cyclic(|hub: &Weak<Self>| Self {
            me: hub.clone(),
            ear: Ear::new(gateway.clone(), hub.clone()),
            lists: Lists::new(gateway.clone()),
            gateway,
            sessions: Mutex::default(),
            seats: AtomicU64::new(0),
            told: Mutex::default(),
            tasks: Tasks::default(),
        })
    }

    /// Returns who listens to the instance.
    pub(super) fn ear(&self) -> &Arc<Ear> {
        &self.ear
    }

    /// Lets a session hear what concerns everyone, until its seat is dropped.
    pub(super) fn join(self: &Arc<Self>, session: &Arc<Session>) -> Seat {
        let number = self.seats.fetch_add(1, Ordering::Relaxed);
        self.lock()
            .insert(session.id(), (number, Arc::downgrade(session)));
        Seat {
            hub: self.clone(),
            session: session.id(),
            number,
        }
    }

    /// Returns whose task is whose there.
    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Ends the subscriptions of a session that has ended, as far as nobody shares them.
    pub(super) fn end_subscriptions(&self, session: &Session, connection: &Arc<Connection>) {
        let uris = std::mem::take(&mut session.attachment().settings().subscriptions);
        if !uris.is_empty() {
            self.unsubscribe(session, uris, connection);
        }
    }

    /// Tells the server that a session does not listen any more to what nobody else listens to.
    pub(super) fn unsubscribe(
        &self,
        session: &Session,
        mut uris: BTreeSet<String>,
        connection: &Arc<Connection>,
    ) {
        if connection.era() == Era::Modern {
            return self.ear.hear(connection);
        }
        let shared = self.subscribed_by_others(session, &uris);
        uris.retain(|uri| !shared.contains(uri));
        for uri in &uris {
            tell_of(connection, method::UNSUBSCRIBE, uri);
        }
        self.mend_subscriptions(session, &uris, connection);
    }

    /// Subscribes again to what another session has subscribed to while the end of the last subscription before it
    /// was on its way. Whoever subscribes takes note of that first, so it is seen here or its request comes later.
    pub(super) fn mend_subscriptions(
        &self,
        session: &Session,
        ended: &BTreeSet<String>,
        connection: &Connection,
    ) {
        for uri in self.subscribed_by_others(session, ended) {
            tell_of(connection, method::SUBSCRIBE, &uri);
        }
    }

    /// Returns which of these resources a session other than this one has subscribed to.
    pub(super) fn subscribed_by_others(
        &self,
        session: &Session,
        uris: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for other in self.sessions() {
            if other.id() != session.id() {
                let settings = other.attachment().settings();
                found.extend(settings.subscriptions.intersection(uris).cloned());
            }
        }
        found
    }

    /// Tells the server of subscriptions that it does not know of yet.
    pub(super) fn subscribe(&self, uris: &BTreeSet<String>, connection: &Arc<Connection>) {
        match connection.era() {
            Era::Handshake => tell_subscriptions(connection, uris, &self.me),
            Era::Modern => self.ear.hear(connection),
        }
    }

    /// Tells the server of the subscriptions of a session that comes from another instance, and the session what it may
    /// have missed on its way.
    pub(super) fn welcome(&self, session: &Arc<Session>, connection: &Arc<Connection>) {
        let uris = session.attachment().settings().subscriptions.clone();
        if uris.is_empty() {
            return;
        }
        let Some(gateway) = self.gateway.upgrade() else {
            return;
        };
        let (ear, session, connection) = (self.ear.clone(), session.clone(), connection.clone());
        let deadline = gateway.patience(&session.attachment().server().spec()).deadline();
        gateway.tasks.spawn(async move {
            let wanted = Filter {
                uris,
                ..Filter::default()
            };
            let heard = match connection.era() {
                Era::Modern => ear.honours(&connection, &wanted, deadline).await,
                Era::Handshake => subscribe(&connection, wanted, deadline).await,
            };
            match heard {
                Ok(heard) => tell_missed(&session, &heard.uris),
                // Another generation is told of all subscriptions when it is ready.
                Err(error) => debug!(session = ?session.id(), %error, "not subscribed again"),
            }
        });
    }

    /// Returns what its sessions have subscribed to.
    fn subscriptions(&self) -> BTreeSet<String> {
        self.wishes().uris
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let sessions = self.lock();
        sessions
            .values()
            .filter_map(|(_, session)| session.upgrade())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (u64, Weak<Session>)>> {
        self.sessions.lock().expect("no holder panics")
    }

    fn told(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.told.lock().expect("no holder panics")
    }

    fn broadcast(&self, message: &Message) {
        let data = line_of(message);
        for session in self.sessions() {
            tell(&session, message, &data);
        }
    }

    /// The subscriber of a URI gets its updates, and those of what lies below it.
    fn tell_subscribers(&self, message: &Message) {
        let Some(uri) = message.uri() else { return };
        let data = line_of(message);
        for session in self.sessions() {
            if covers(&session.attachment().settings().subscriptions, &uri) {
                tell(&session, message, &data);
            }
        }
    }
}

impl Audience for SharedHub {
    fn wishes(&self) -> Filter {
        let mut wishes = Filter::default();
        for session in self.sessions() {
            add_wishes(&session, &mut wishes);
        }
        wishes
    }

    fn may_have_missed(&self, uris: &BTreeSet<String>) {
        self.sessions()
            .iter()
            .for_each(|session| tell_missed(session, uris));
    }

    fn tell_of_task(&self, status: &Message) {
        for session in self.tasks.owners_among(self.sessions(), status) {
            tell_listener(&session, status);
        }
    }

    fn read_lists_again(&self, connection: &Arc<Connection>) {
        self.lists.read_all(connection, self.sessions());
    }
}

/// Tells a session how a task is doing, if it listens to that.
pub(super) fn tell_listener(session: &Arc<Session>, status: &Message) {
    if session.attachment().listens() {
        tell(session, status, &line_of(status));
    }
}

/// Tells a session what it may have missed of these resources.
pub(super) fn tell_missed(session: &Arc<Session>, uris: &BTreeSet<String>) {
    for message in missed_by(session, uris) {
        tell(session, &message, &line_of(&message));
    }
}

/// Puts a notification, whose line is `data`, before a session in its turn, if the policies agree.
pub(super) fn tell(session: &Arc<Session>, message: &Message, data: &Bytes) {
    if !Attention::wants(session, message) {
        return;
    }
    let Some(judge) = session.attachment().judge_of_server() else {
        return put(session, message, data);
    };
    let taken = in_turn(
        session,
        Some(judge),
        message.clone(),
        |session, judged| match judged {
            Ok(message) => put(session, &message, &line_of(&message)),
            Err(error) => debug!(session = ?session.id(), %error, "notification dropped"),
        },
    );
    if taken.is_err() {
        debug!(session = ?session.id(), "notification dropped: too many messages wait to be judged");
    }
}

fn put(session: &Session, message: &Message, data: &Bytes) {
    if session.era() == Era::Modern {
        return Attention::tell(session, message);
    }
    if session.standalone().push_once(data.clone()).is_err() {
        debug!(session = ?session.id(), "notification dropped: the client does not read");
    }
}

/// Copies a message out of the read buffer, so that a message that waits long holds no more than itself.
fn line_of(message: &Message) -> Bytes {
    let mut out = Vec::new();
    message.write(&mut out);
    out.into()
}

impl ServerMessages for SharedHub {
    fn request(&self, connection: &Arc<Connection>, message: Message) {
        let text = format!(
            "{} cannot be answered: this server process is shared by several clients",
            message.method()
        );
        let id = message.id().expect("a request has an id");
        connection.refuse(id, &ErrorObject::new(code::METHOD_NOT_FOUND, text));
    }

    fn notification(&self, connection: &Arc<Connection>, message: Message) {
        let Some(message) = self.ear.take(connection, message) else {
            return;
        };
        let server = connection.server();
        self.lists.heed(connection, &message);
        match &*message.method() {
            method::RESOURCE_UPDATED => self.tell_subscribers(&message),
            method::TASKS_STATUS => self.tell_of_task(&message),
            method::LOG_MESSAGE => {
                let params = message.params().unwrap_or_default();
                info!(target: "upstream::log", %server, params = %String::from_utf8_lossy(&params), "message of the server");
                let data = serde_json::from_slice(&params).unwrap_or_default();
                if let Some(gateway) = self.gateway.upgrade() {
                    gateway.registry().emit(
                        EventKind::Log,
                        server,
                        Actor::Gateway,
                        "message of the server",
                        data,
                    );
                }
            }
            name if LISTINGS.iter().any(|listing| listing.changed == name) => self.broadcast(&message),
            name => {
                connection.count_stray();
                debug!(%server, method = name, "notification dropped: it cannot be known whom it is for");
            }
        }
    }

    fn ready(&self, connection: &Arc<Connection>) {
        self.tasks.begin(connection.generation());
        let uris = self.subscriptions();
        self.subscribe(&uris, connection);
        *self.told() = uris;
    }

    fn announced(&self, connection: &Arc<Connection>) {
        // Whoever came in between could not know that the generation is ready, and has missed nothing of it.
        let uris = &self.subscriptions() - &std::mem::take(&mut *self.told());
        match connection.era() {
            Era::Handshake => uris
                .iter()
                .for_each(|uri| tell_of(connection, method::SUBSCRIBE, uri)),
            Era::Modern => self.ear.hear(connection),
        }
        if let Some(gateway) = self.gateway.upgrade() {
            gateway.gather_listeners(connection.server());
        }
        self.lists.read_all(connection, self.sessions());
    }

    fn keeps_process(&self) -> bool {
        self.sessions()
            .iter()
            .any(|session| !session.attachment().settings().subscriptions.is_empty())
    }

    fn congestion(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}

fn tell_of(connection: &Connection, method: &str, uri: &str) {
    let params = to_raw_value(&serde_json::json!({ "uri": uri })).expect("plain data becomes JSON");
    connection.tell(method, params);
}
