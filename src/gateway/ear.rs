//! What is heard of one instance of a server without handshakes: one `subscriptions/listen` for everybody who has it.
//!
//! It asks for the changes of all lists, by which the gateway's own catalog is kept, and for the resources that anybody
//! has subscribed to. When those change it is opened anew, and the one before ends only when the new one is
//! acknowledged: nothing is missed in between, and what both tell is heard once. A server that has nothing to tell of is not
//! listened to; one that knows no such request has a catalog that is read at each start, and no more.

mod notes;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use self::notes::{Listen, State};
use super::audience::{Audience, catch_up};
use super::gateway::Gateway;
use crate::protocol::member::member;
use crate::protocol::modern::Filter;
use crate::protocol::modern::subscriptions::subscription_of;
use crate::protocol::names::{code, method};
use crate::protocol::{Era, Message, RequestId, ServerFacts, translate};
use crate::upstream::{Connection, Outcome, UpstreamError, Waiter};

/// Bytes of the resources and tasks that one request names, at most: servers have limits for the length of a line.
const NAMES_BYTES_MAX: usize = 4 << 20;
/// How long it is waited before a server that has ended what it was asked for is asked again; twice as long each time.
const PAUSE: Duration = Duration::from_millis(250);
/// So often that time is doubled.
const PAUSE_DOUBLINGS_MAX: u32 = 8;
/// A listen that lasted so long was no failure.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The one who listens.
pub(super) struct Ear {
    gateway: Weak<Gateway>,
    audience: Weak<dyn Audience>,
    /// A std mutex: held to change what is noted and to queue a request.
    state: Mutex<State>,
    /// Wakes who waits for an acknowledgement.
    told: Notify,
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

impl Ear {
    /// Returns one that has heard nothing yet.
    pub(super) fn new(gateway: Weak<Gateway>, audience: Weak<dyn Audience>) -> Arc<Self> {
        Arc::new(Self {
            gateway,
            audience,
            state: Mutex::default(),
            told: Notify::new(),
        })
    }

    /// Listens to what is wanted now, if that is not what is listened to already.
    pub(super) fn hear(self: &Arc<Self>, connection: &Arc<Connection>) {
        if connection.era() == Era::Handshake || connection.is_closed() {
            return;
        }
        let mut state = self.lock();
        if !state.is_of(connection) {
            return;
        }
        // What is wanted is looked at again when the one under way is acknowledged, or the pause is over.
        if state.next.is_some() || state.is_pausing || state.is_deaf {
            return;
        }
        let wanted = self.wanted_of(connection);
        match &state.open {
            None if wanted.is_empty() => return,
            Some(open) if open.wanted == wanted => return,
            _ => {}
        }
        if wanted.is_empty() {
            let gone = state.open.take();
            drop(state);
            gone.into_iter()
                .for_each(|gone| connection.stop_listening(gone.id));
            return;
        }
        self.ask(&mut state, connection, wanted);
    }

    fn ask(self: &Arc<Self>, state: &mut State, connection: &Arc<Connection>, wanted: Filter) {
        state.serial += 1;
        let end = Arc::new(End {
            ear: Arc::downgrade(self),
            connection: Arc::downgrade(connection),
            serial: state.serial,
        });
        match connection.listen(&wanted.params(None), end) {
            Ok(id) => {
                state.next = Some(Listen {
                    id,
                    serial: state.serial,
                    wanted,
                    honoured: Filter::default(),
                    since: Instant::now(),
                });
            }
            Err(error) => {
                debug!(server = %connection.server(), ?error, "not listened to");
                self.pause(state, connection);
            }
        }
    }

    /// Returns what is to be asked for.
    fn wanted_of(&self, connection: &Connection) -> Filter {
        let mut bytes = 0;
        let audience = self.audience.upgrade();
        let mut wanted = audience.map(|audience| audience.wishes()).unwrap_or_default();
        for names in [&mut wanted.uris, &mut wanted.tasks] {
            names.retain(|name| {
                bytes += name.len();
                bytes <= NAMES_BYTES_MAX
            });
        }
        wanted.lists = Filter::of_lists().lists;
        wanted.offered_by(
            connection
                .facts()
                .map_or(&serde_json::Value::Null, ServerFacts::capabilities),
        )
    }

    /// Waits until the server has acknowledged what somebody wants, and returns what of it is honoured.
    ///
    /// # Errors
    /// The server has refused, did not answer before the deadline, or has gone.
    pub(super) async fn honours(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        wanted: &Filter,
        deadline: Instant,
    ) -> Result<Filter, UpstreamError> {
        let capabilities = connection.facts().map(ServerFacts::capabilities);
        let wanted = capabilities.map_or_else(Filter::default, |its| wanted.clone().offered_by(its));
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let refusals = self.lock().refusals;
        self.hear(connection);
        if !wanted.is_within(&self.wanted_of(connection)) {
            let why = "what is subscribed to does not fit into one request";
            return Err(UpstreamError::Overloaded(why));
        }
        loop {
            let told = self.told.notified();
            if let Some(honoured) = self.lock().verdict(&wanted, connection, refusals) {
                return honoured;
            }
            let told_in_time = timeout_at(deadline, async {
                tokio::select! {
                    () = told => {}
                    () = connection.closed() => {}
                }
            });
            if told_in_time.await.is_err() {
                return Err(UpstreamError::NotReady(
                    "it does not acknowledge subscriptions".into(),
                ));
            }
        }
    }

    /// Returns a message of the server as those with a handshake know it; `None` for what is about listening itself, and
    /// for what belongs to nothing that was asked for.
    pub(super) fn take(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        notification: Message,
    ) -> Option<Message> {
        if connection.era() == Era::Handshake {
            return Some(notification);
        }
        if let Some(gateway) = self.gateway.upgrade() {
            gateway.cache.heed(connection, &notification);
        }
        let subscription = subscription_of(&notification);
        let method = notification.method().into_owned();
        match method.as_str() {
            method::ACKNOWLEDGED => self.acknowledged(connection, subscription.as_ref(), &notification),
            method::CANCELLED => {
                // Nothing else is a server's to cancel.
                if let Some(RequestId::Number(id)) = notification.cancelled_request()
                    && self.lock().listens(id)
                {
                    connection.listen_cancelled(id);
                }
            }
            method::LOG_MESSAGE => return Some(notification),
            _ => return self.attribute(connection, subscription.as_ref(), &notification),
        }
        None
    }

    fn attribute(
        &self,
        connection: &Connection,
        subscription: Option<&RequestId>,
        notification: &Message,
    ) -> Option<Message> {
        let stripped = translate::notification_for_handshake(notification).ok()?;
        let mut state = self.lock();
        let news = match subscription {
            Some(RequestId::Number(id)) if state.is_of(connection) => state.is_news(*id, stripped.bytes()),
            _ => None,
        };
        drop(state);
        if news.is_none() {
            connection.count_stray();
            debug!(server = %connection.server(), method = %stripped.method(), "notification dropped: nobody has asked for it");
        }
        news.is_some_and(|news| news).then_some(stripped)
    }

    fn acknowledged(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        subscription: Option<&RequestId>,
        notification: &Message,
    ) {
        let mut state = self.lock();
        let is_it = |next: &mut Listen| subscription == Some(&RequestId::Number(next.id));
        if !state.is_of(connection) {
            return;
        }
        let Some(mut next) = state.next.take_if(is_it) else {
            drop(state);
            connection.count_stray();
            return;
        };
        connection.keep_open(next.id);
        let params = notification.params().unwrap_or_default();
        next.honoured = Filter::parse(&params).unwrap_or_default();
        let honoured = next.honoured.clone();
        let (before, was_open) = (state.open(next), std::mem::replace(&mut state.was_open, true));
        drop(state);
        match before {
            Some(before) => connection.stop_listening(before.id),
            None => {
                // Nobody has heard what changed until now.
                if let Some(gateway) = self.gateway.upgrade() {
                    gateway.cache.forget(connection.origin().instance);
                }
                self.hears_again(connection, honoured, was_open);
            }
        }
        self.told.notify_waiters();
        // Something else may be wanted by now.
        self.hear(connection);
    }

    /// Sees to what may have changed while nobody listened, perhaps since another process: the lists of a new one are read
    /// anyway.
    fn hears_again(&self, connection: &Arc<Connection>, honoured: Filter, was_open: bool) {
        let (Some(audience), Some(gateway)) = (self.audience.upgrade(), self.gateway.upgrade()) else {
            return;
        };
        audience.may_have_missed(&honoured.uris);
        if !honoured.tasks.is_empty() {
            let (audience, connection) = (self.audience.clone(), connection.clone());
            gateway
                .tasks
                .spawn(catch_up(audience, connection, honoured.tasks));
        }
        if was_open {
            audience.read_lists_again(connection);
        }
    }

    /// Takes note that a listen has ended, and asks again after a while unless that was meant.
    fn ended(self: &Arc<Self>, connection: &Arc<Connection>, serial: u64, outcome: &Outcome) {
        let mut state = self.lock();
        if !state.is_of(connection) {
            return;
        }
        let is_it = |listen: &mut Listen| listen.serial == serial;
        let (next, open) = (state.next.take_if(is_it), state.open.take_if(is_it));
        let Some(listen) = next.as_ref().or(open.as_ref()) else {
            return; // the gateway itself has ended it
        };
        state.refusals += u64::from(next.is_some());
        let is_over = connection.is_closed();
        if !is_over {
            let why = match outcome {
                Outcome::Failed(error) => error.to_string(),
                Outcome::Response(answer) => answer.error().map_or("a result", |_| "an error").to_owned(),
            };
            warn!(server = %connection.server(), why, was_open = open.is_some(), "the server has ended subscriptions/listen");
        }
        if open.is_some() && listen.since.elapsed() >= STABLE_AFTER {
            state.failures = 0;
        }
        if is_unknown(outcome) {
            state.is_deaf = true;
        } else if !is_over && state.next.is_none() {
            self.pause(&mut state, connection);
        }
        drop(state);
        self.told.notify_waiters();
    }

    /// Asks again after a while, unless the generation ends before.
    fn pause(self: &Arc<Self>, state: &mut State, connection: &Arc<Connection>) {
        let Some(gateway) = self.gateway.upgrade() else {
            return;
        };
        let pause = PAUSE * 2_u32.pow(state.failures.min(PAUSE_DOUBLINGS_MAX));
        state.failures += 1;
        state.is_pausing = true;
        let (ear, connection) = (self.clone(), connection.clone());
        gateway.tasks.spawn(async move {
            tokio::select! {
                () = sleep(pause) => {}
                () = connection.closed() => return,
            }
            let mut state = ear.lock();
            if state.is_of(&connection) {
                state.is_pausing = false;
                drop(state);
                ear.hear(&connection);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

/// Returns whether the server has no such method.
fn is_unknown(outcome: &Outcome) -> bool {
    let Outcome::Response(answer) = outcome else {
        return false;
    };
    let error = answer.error().unwrap_or_default();
    member(&error, "code").is_some_and(|its| its.get() == code::METHOD_NOT_FOUND.to_string())
}

/// Waits for the end of one listen.
struct End {
    ear: Weak<Ear>,
    connection: Weak<Connection>,
    serial: u64,
}

impl Waiter for End {
    fn complete(&self, outcome: Outcome) {
        if let (Some(ear), Some(connection)) = (self.ear.upgrade(), self.connection.upgrade()) {
            ear.ended(&connection, self.serial, &outcome);
        }
    }

    fn progress(&self, _: Message) {}
}
