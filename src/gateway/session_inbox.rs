//! Receives what a server says on its own in an instance that belongs to one session.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::to_raw_value;
use tracing::debug;

use super::asking::{Inquiry, Suspension};
use super::attention::Attention;
use super::audience::{Audience, add_wishes, tell_subscriptions};
use super::conversation::{ServerRequest, Session, destination};
use super::ear::Ear;
use super::exchange::Exchange;
use super::gateway::Gateway;
use super::lists::Lists;
use super::policy::{Asked, in_turn};
use super::shared_hub::{tell_listener, tell_missed};
use crate::protocol::mcp::LISTINGS;
use crate::protocol::modern::Filter;
use crate::protocol::names::{code, method};
use crate::protocol::reply::{ErrorObject, write_notification};
use crate::protocol::{Era, Message, RequestId};
use crate::session::Priority;
use crate::upstream::{Connection, ServerMessages};

/// How long reading pauses for a client that does not read, at most.
const CONGESTION_MAX: Duration = Duration::from_secs(5);

/// The receiver. It holds the session weakly: the session owns the lease, and with it the instance.
pub(super) struct SessionInbox {
    me: Weak<Self>,
    gateway: Weak<Gateway>,
    session: Weak<Session>,
    ear: Arc<Ear>,
    lists: Arc<Lists>,
    /// Reading has paused for as long as it may, and the client is still behind.
    has_waited: Arc<AtomicBool>,
}

impl SessionInbox {
    pub(super) fn new(gateway: &Arc<Gateway>, session: &Arc<Session>) -> Arc<Self> {
        let (gateway, session) = (Arc::downgrade(gateway), Arc::downgrade(session));
        Arc::new_cyclic(|inbox: &Weak<Self>| Self {
            me: inbox.clone(),
            ear: Ear::new(gateway.clone(), inbox.clone()),
            lists: Lists::new(gateway.clone()),
            gateway,
            session,
            has_waited: Arc::default(),
        })
    }

    /// Returns who listens to the instance.
    pub(super) fn ear(&self) -> &Arc<Ear> {
        &self.ear
    }
}

/// Tells a client that questions want no answer any more. One that gets no requests knows nothing of them by these numbers,
/// and takes them for those of its own.
pub(super) fn take_back(session: &Session, numbers: Vec<i64>, reason: &str) {
    if session.era() == Era::Modern {
        return;
    }
    for number in numbers {
        let params = serde_json::json!({ "requestId": number, "reason": reason });
        let params = to_raw_value(&params).expect("plain data becomes JSON");
        let mut out = Vec::new();
        write_notification(method::CANCELLED, Some(&params), &mut out);
        if !deliver(session, out.into()) {
            debug!(session = ?session.id(), "cancellation dropped: the client does not read");
        }
    }
}

/// Tells whether a notification surely belongs to no request: the session's own stream is for those (2025-11-25,
/// "Listening for Messages from the Server").
fn concerns_no_request(method: &str) -> bool {
    [method::RESOURCE_UPDATED, method::TASKS_STATUS].contains(&method)
        || LISTINGS.iter().any(|listing| listing.changed == method)
}

/// Puts a message where the client will see it; `false` if it did not fit.
fn deliver(session: &Session, data: Bytes) -> bool {
    if let Some(exchange) = destination(session)
        && exchange.event(data.clone())
    {
        return true;
    }
    // There is no such request, or it has just been answered. Where there are no sessions, nobody would ever read it.
    session.era() == Era::Handshake && session.standalone().push(data, Priority::Droppable).is_ok()
}

/// Puts a request of the server before the client, or says why not.
fn ask(
    gateway: &Weak<Gateway>,
    session: &Arc<Session>,
    request: ServerRequest,
    message: &Message,
) -> Result<(), &'static str> {
    if session.era() == Era::Handshake {
        return ask_by_message(session, request, message);
    }
    let conversation = session.attachment();
    let Some(number) = conversation.add_server_request(request) else {
        return Err("too many requests wait for the client");
    };
    let gateway = gateway.upgrade().ok_or("the gateway is stopping")?;
    let suspended = gateway.suspend(session, Inquiry::new(number, message));
    if suspended.is_err() {
        drop(conversation.remove_server_request(number));
    }
    suspended
}

/// Puts a request of the server before a client that takes requests, or says why not.
pub(super) fn ask_by_message(
    session: &Session,
    request: ServerRequest,
    message: &Message,
) -> Result<(), &'static str> {
    let conversation = session.attachment();
    let Some(number) = conversation.add_server_request(request) else {
        return Err("too many requests wait for the client");
    };
    let mut out = Vec::new();
    message.write_with_id(&RequestId::Number(number), &mut out);
    // It may have been answered all the same.
    if deliver(session, out.into()) || conversation.remove_server_request(number).is_none() {
        return Ok(());
    }
    Err("the client does not read its messages")
}

/// Puts a log message before a client without a session, if its request wants log messages. While the client is asked
/// something, it waits for it.
fn log(session: &Session, message: &Message) {
    let conversation = session.attachment();
    let suspended = conversation
        .suspension()
        .as_ref()
        .and_then(Suspension::at_work)
        .cloned();
    let exchange = suspended.or_else(|| conversation.only_exchange());
    let wants_logs =
        |exchange: &Arc<Exchange>| exchange.question().is_some_and(|asked| asked.log_level.is_some());
    if let Some(exchange) = exchange.filter(wants_logs) {
        exchange.pass_on_log(message.clone());
    }
}

/// Puts a notification before the client.
fn tell(session: &Session, connection: &Arc<Connection>, message: &Message) {
    let is_for_listeners = concerns_no_request(&message.method()) || session.attachment().listens();
    if session.era() == Era::Modern && is_for_listeners {
        return Attention::tell(session, message);
    }
    if session.era() == Era::Modern && message.method() == method::LOG_MESSAGE {
        return log(session, message);
    }
    let mut out = Vec::new();
    if message.method() == method::CANCELLED {
        let number = message
            .cancelled_request()
            .and_then(|id| session.attachment().withdraw_server_request(connection, &id));
        // A client without requests has nothing to forget: what it says to it will be ignored.
        let Some(number) = number.filter(|_| session.era() == Era::Handshake) else {
            return;
        };
        message.write_with_cancelled_request(&RequestId::Number(number), &mut out);
    } else {
        message.write(&mut out);
    }
    let data = Bytes::from(out);
    let delivered = match concerns_no_request(&message.method()) && session.standalone().is_attached() {
        true => session.standalone().push(data, Priority::Droppable).is_ok(),
        false => deliver(session, data),
    };
    if !delivered {
        debug!(session = ?session.id(), method = %message.method(), "notification dropped: the client does not read");
    }
}

fn refuse(connection: &Connection, id: &RequestId, text: &str) {
    connection.refuse(id, &ErrorObject::new(code::INTERNAL_ERROR, text));
}

impl Audience for SessionInbox {
    fn wishes(&self) -> Filter {
        let mut wishes = Filter::default();
        if let Some(session) = self.session.upgrade() {
            add_wishes(&session, &mut wishes);
        }
        wishes
    }

    fn may_have_missed(&self, uris: &BTreeSet<String>) {
        if let Some(session) = self.session.upgrade() {
            tell_missed(&session, uris);
        }
    }

    fn tell_of_task(&self, status: &Message) {
        if let Some(session) = self.session.upgrade() {
            tell_listener(&session, status);
        }
    }

    fn read_lists_again(&self, connection: &Arc<Connection>) {
        let sessions = self.session.upgrade().into_iter().collect();
        self.lists.read_all(connection, sessions);
    }
}

impl ServerMessages for SessionInbox {
    fn request(&self, connection: &Arc<Connection>, message: Message) {
        let id = message.id().expect("a request has an id").clone();
        let Some(session) = self.session.upgrade() else {
            return refuse(connection, &id, "the client has gone");
        };
        if session.attachment().listens() {
            return refuse(connection, &id, "the client only listens");
        }
        let judge = session.attachment().judge_of_server();
        let judged = judge.clone().map(|judge| (judge, Asked::of(&message)));
        let (asker, its_id, gateway) = (connection.clone(), id.clone(), self.gateway.clone());
        let taken = in_turn(&session, judge, message, move |session, passed| match passed {
            Err(error) => drop(asker.refuse(&its_id, &error.to_error_object())),
            // Its process has ended meanwhile, and the client has been told to forget what that asked.
            Ok(_) if asker.is_closed() => {}
            Ok(message) => {
                let request = ServerRequest::new(&asker, its_id.clone(), judged);
                if let Err(text) = ask(&gateway, session, request, &message) {
                    refuse(&asker, &its_id, text);
                }
            }
        });
        if taken.is_err() {
            refuse(connection, &id, "too many messages wait to be judged");
        }
    }

    fn notification(&self, connection: &Arc<Connection>, message: Message) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let Some(message) = self.ear.take(connection, message) else {
            return;
        };
        self.lists.heed(connection, &message);
        let judge = session.attachment().judge_of_server();
        let connection = connection.clone();
        let taken = in_turn(&session, judge, message, move |session, passed| match passed {
            Ok(message) => tell(session, &connection, &message),
            Err(error) => debug!(session = ?session.id(), %error, "notification dropped"),
        });
        if taken.is_err() {
            debug!(session = ?session.id(), "notification dropped: too many messages wait to be judged");
        }
    }

    fn ready(&self, connection: &Arc<Connection>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let withdrawn = session.attachment().withdraw_requests_before(connection);
        take_back(&session, withdrawn, "the server has restarted");
        let settings = session.attachment().settings().clone();
        if let Some(level) = settings.log_level
            && let Ok(params) = serde_json::from_slice(&level)
        {
            connection.tell(method::SET_LEVEL, params);
        }
        match connection.era() {
            Era::Handshake => tell_subscriptions(connection, &settings.subscriptions, &self.me),
            Era::Modern => self.ear.hear(connection),
        }
    }

    fn announced(&self, connection: &Arc<Connection>) {
        self.lists.read_all(connection, Vec::new());
    }

    fn keeps_process(&self) -> bool {
        self.session
            .upgrade()
            .is_some_and(|session| !session.attachment().settings().subscriptions.is_empty())
    }

    fn congestion(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let session = self.session.upgrade()?;
        let lane = session.attachment().lane();
        if !lane.is_idle() && lane.is_congested() {
            let lane = lane.clone();
            // Policies have their own limits of time.
            return Some(Box::pin(async move { lane.relieved().await }));
        }
        let Some(outbox) = session.congested_stream() else {
            self.has_waited.store(false, Ordering::Relaxed);
            return None;
        };
        if self.has_waited.load(Ordering::Relaxed) {
            return None;
        }
        let has_waited = self.has_waited.clone();
        Some(Box::pin(async move {
            // A client that reads nothing for so long loses messages rather than the whole session.
            let relieved = tokio::time::timeout(CONGESTION_MAX, outbox.relieved()).await;
            has_waited.store(relieved.is_err(), Ordering::Relaxed);
        }))
    }
}
