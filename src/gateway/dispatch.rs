//! Bringing requests and notifications to the server that the session talks to.
//!
//! Where the server is ready this is done when the function returns; nobody waits. Where it has to start first, or the
//! arguments take time to check, a task waits in the request's place, because a client that goes away has not taken its
//! request back.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::arguments::ArgumentsCheck;
use super::bridge::{Crossing, cross};
use super::cache::{Fetching, Found};
use super::conversation::{Session, Settings};
use super::error::GatewayError;
use super::exchange::{Exchange, Owed};
use super::gateway::{Gateway, end_refused};
use super::initialize::upstream_error;
use super::policy::run_now_or_spawn;
use super::shared_hub::SharedHub;
use super::tasks::{TaskAnswer, Tasks};
use crate::config::ServerSpec;
use crate::protocol::modern::Filter;
use crate::protocol::names::method;
use crate::protocol::{Era, Message};
use crate::upstream::pending::Patience;
use crate::upstream::{Connection, Lease, LeaseKind, Outcome, RequestRefused, Waiter};

/// Resources that one session may have subscribed to.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1024;

/// Bytes of the URI of such a resource, which is kept as long as the subscription.
const URI_BYTES_MAX: usize = 4096;

impl Gateway {
    /// Sends a request to its server; the answer comes through the exchange.
    pub(super) fn dispatch(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: Message,
    ) -> Result<(), GatewayError> {
        let server = session.attachment().server();
        if !server.is_enabled() {
            return Err(GatewayError::Disabled(server.name().clone()));
        }
        if session.facts().is_none() && !session.is_alone() {
            return Err(GatewayError::NotInitialized);
        }
        let Some(message) = self.resume(session, exchange, message)? else {
            return Ok(());
        };
        let lease = self.lease(session, session.facts())?;
        exchange.set_after(&message);
        note_subscription(session, &message)?;
        if lease.kind() != LeaseKind::Own && answer_for_shared(session, exchange, &lease, &message)? {
            return Ok(());
        }
        let spec = server.spec();
        let check = ArgumentsCheck::of(self, server, &spec, &message);
        let sending = Sending {
            gateway: self.clone(),
            session: session.clone(),
            exchange: exchange.clone(),
            patience: self.patience(&spec),
            hub: concerns_subscriptions(&message)
                .then(|| self.hub_of(&lease))
                .flatten(),
            lease,
            message,
        };
        let Some(check) = check else {
            return sending.start(&self.tasks);
        };
        let tasks = self.tasks.clone();
        run_now_or_spawn(&self.tasks, async move {
            let (session, exchange) = (sending.session.clone(), sending.exchange.clone());
            let _owed = Owed(exchange.clone());
            let sent = sending.start_checked(check, &tasks).await;
            end_refused(sent, &exchange, &session);
        });
        Ok(())
    }

    pub(super) fn patience(&self, spec: &ServerSpec) -> Patience {
        let limits = &self.config.requests;
        let timeout = spec.request_timeout.unwrap_or(limits.timeout);
        Patience {
            since: Instant::now(),
            timeout,
            timeout_max: limits.timeout_max.max(timeout),
        }
    }

    /// Takes a notification of a client where it belongs.
    pub(super) fn handle_notification(&self, session: &Arc<Session>, message: &Message) {
        match &*message.method() {
            // The gateway has told the server already, when it shook hands.
            method::INITIALIZED => {}
            method::CANCELLED => {
                let exchange = message
                    .cancelled_request()
                    .and_then(|id| session.attachment().exchange_of(&id));
                if !exchange.is_some_and(|exchange| exchange.cancel(message)) {
                    debug!(session = ?session.id(), "cancellation of a request that is over, unknown, or not the only one of its id");
                }
            }
            _ => self.forward_notification(session, message),
        }
    }

    /// Only a session that has the server for itself can tell it anything: on a shared one nobody knows who spoke.
    fn forward_notification(&self, session: &Arc<Session>, message: &Message) {
        let lease = session.attachment().lease();
        let own = lease.filter(|lease| lease.kind() == LeaseKind::Own);
        let sent = own
            .and_then(|lease| lease.upstream().current())
            .filter(|connection| session.era() == connection.era() || !has_an_era(message))
            .is_some_and(|connection| connection.send(|out| message.write(out)));
        if !sent {
            debug!(session = ?session.id(), method = %message.method(), "notification not forwarded");
        }
    }
}

/// Answers what a shared server must not be asked on behalf of one session; `true` if it is answered.
fn answer_for_shared(
    session: &Arc<Session>,
    exchange: &Exchange,
    lease: &Lease,
    message: &Message,
) -> Result<bool, GatewayError> {
    let hub = session.attachment().hub();
    Tasks::check(hub.as_ref().map(|hub| hub.tasks()), session, lease, message)?;
    exchange.set_tasks(hub.as_ref().and_then(|hub| TaskAnswer::of(session, message, hub)));
    match &*message.method() {
        method::SET_LEVEL => Err(GatewayError::NotOnShared(method::SET_LEVEL.to_owned())),
        method::UNSUBSCRIBE => {
            let (Some(uri), Some(hub)) = (message.uri(), hub) else {
                return Ok(false);
            };
            // Its own is over already: of two that leave at once, the server is told by one at least.
            let uris = BTreeSet::from([uri.into_owned()]);
            let others_listen = !hub.subscribed_by_others(session, &uris).is_empty();
            if others_listen {
                exchange.answer(b"{}");
            }
            Ok(others_listen)
        }
        _ => Ok(false),
    }
}

/// Takes note of what the session wants to hear of, before the server is asked: what comes of it is noted by `After`.
fn note_subscription(session: &Session, message: &Message) -> Result<(), GatewayError> {
    if !concerns_subscriptions(message) {
        return Ok(());
    }
    let Some(uri) = message.uri() else { return Ok(()) };
    let mut settings = session.attachment().settings();
    let Settings {
        subscriptions,
        promised,
        ..
    } = &mut *settings;
    if message.method() == method::UNSUBSCRIBE {
        subscriptions.remove(&*uri);
        promised.remove(&*uri);
        return Ok(());
    }
    check_uri(&uri)?;
    if subscriptions.len() >= SUBSCRIPTIONS_MAX && !subscriptions.contains(&*uri) {
        return Err(GatewayError::TooManySubscriptions(SUBSCRIPTIONS_MAX));
    }
    subscriptions.insert(uri.into_owned());
    Ok(())
}

/// Refuses to keep a URI that is too long for that.
pub(super) fn check_uri(uri: &str) -> Result<(), GatewayError> {
    if uri.len() > URI_BYTES_MAX {
        let text = format!("the uri of a subscription is longer than {URI_BYTES_MAX} bytes");
        return Err(GatewayError::InvalidParams(text));
    }
    Ok(())
}

/// Returns whether a notification of a client is one that only servers with a handshake know.
fn has_an_era(message: &Message) -> bool {
    matches!(
        &*message.method(),
        method::ROOTS_CHANGED | method::PROGRESS | method::TASK_STATUS
    )
}

fn concerns_subscriptions(message: &Message) -> bool {
    matches!(&*message.method(), method::SUBSCRIBE | method::UNSUBSCRIBE)
}

/// A request on its way to its server.
struct Sending {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    lease: Arc<Lease>,
    exchange: Arc<Exchange>,
    /// Who else may have subscribed, where the instance is shared and this is about a subscription.
    hub: Option<Arc<SharedHub>>,
    message: Message,
    patience: Patience,
}

impl Sending {
    /// Sends the request if its arguments fit, and answers it if they do not.
    async fn start_checked(self, check: ArgumentsCheck, tasks: &TaskTracker) -> Result<(), GatewayError> {
        match check.result(self.patience.deadline()).await {
            Some(result) => self.exchange.answer_for_server(&result),
            // It may have been taken back meanwhile.
            None if self.exchange.is_over() => Ok(()),
            None => self.start(tasks),
        }
    }

    /// Sends the request, now or once its server is ready.
    fn start(self, tasks: &TaskTracker) -> Result<(), GatewayError> {
        if let Some(connection) = self.lease.upstream().current()
            && self.try_send(&connection)?
        {
            return Ok(());
        }
        tasks.spawn(self.send_when_ready());
        Ok(())
    }

    /// Sends the request; `false` if this connection is over and another one has to take it.
    fn try_send(&self, connection: &Arc<Connection>) -> Result<bool, GatewayError> {
        if connection.era() == Era::Modern && concerns_subscriptions(&self.message) {
            self.answer_subscription(connection);
            return Ok(true);
        }
        let message = match cross(
            &self.gateway,
            (&self.session, &self.lease),
            connection,
            &self.message,
            self.patience,
        )? {
            Crossing::Answered(result) => {
                self.exchange.answer_agreed(result);
                return Ok(true);
            }
            Crossing::Sent(message, bridge) => {
                bridge
                    .into_iter()
                    .for_each(|bridge| self.exchange.bridged_by(bridge));
                message
            }
        };
        let cache = &self.gateway.cache;
        let waiter: Arc<dyn Waiter> = match cache.look_up(connection, self.session.caller(), &message) {
            Found::Kept(answer) => {
                self.exchange.complete(Outcome::Response(answer));
                return Ok(true);
            }
            Found::Missing(vacancy) => Arc::new(Fetching::new(vacancy, self.exchange.clone())),
            Found::Nothing => self.exchange.clone(),
        };
        match connection.request(&message, waiter, self.patience) {
            Ok(id) => {
                self.exchange.sent(connection, id);
                self.mend_subscriptions(connection);
                Ok(true)
            }
            Err(RequestRefused::Overloaded(error)) => Err(upstream_error(&self.session, error)),
            Err(RequestRefused::Closed(_)) => Ok(false),
        }
    }

    /// Answers a request about a subscription in the place of a server that is told of them all at once.
    fn answer_subscription(&self, connection: &Arc<Connection>) {
        let (Some(uri), Some(ear)) = (self.message.uri(), self.session.attachment().ear()) else {
            let error = GatewayError::InvalidParams("a subscription needs a uri".to_owned());
            return self.exchange.fail(&error);
        };
        if self.message.method() == method::UNSUBSCRIBE {
            ear.hear(connection);
            return self.exchange.answer_agreed(b"{}");
        }
        let wanted = Filter {
            uris: BTreeSet::from([uri.into_owned()]),
            ..Filter::default()
        };
        let (session, exchange, connection) =
            (self.session.clone(), self.exchange.clone(), connection.clone());
        let deadline = self.patience.deadline();
        self.gateway.tasks.spawn(async move {
            match ear.honours(&connection, &wanted, deadline).await {
                Ok(heard) if heard == wanted => exchange.answer_agreed(b"{}"),
                Ok(_) => {
                    let uri = wanted.uris.into_iter().next().unwrap_or_default();
                    exchange.fail(&GatewayError::NotToldOf(uri));
                }
                Err(error) => exchange.fail(&upstream_error(&session, error)),
            }
            // It may have been refused, or taken back.
            ear.hear(&connection);
        });
    }

    /// Sends the request once its server is ready, within its time.
    async fn send_when_ready(self) {
        let mut sending = pin!(self.send_to_next());
        let stream_after = self.exchange.stream_after().unwrap_or(Duration::MAX);
        let sent = match timeout(stream_after, sending.as_mut()).await {
            Ok(sent) => sent,
            Err(_) => {
                self.exchange.become_stream();
                sending.await
            }
        };
        if let Err(error) = sent {
            debug!(session = ?self.session.id(), %error, "request not sent");
            self.exchange.fail(&error);
        }
    }

    async fn send_to_next(&self) -> Result<(), GatewayError> {
        // One deadline for both: what is left of it when the server is ready goes to the answer.
        let deadline = self.patience.deadline();
        // Over: it was taken back, or its session has ended.
        while !self.exchange.is_over() {
            let connection = self.lease.upstream().connection(deadline).await;
            let connection = connection.map_err(|error| upstream_error(&self.session, error))?;
            if self.session.has_ended() {
                return Err(GatewayError::SessionEnded);
            }
            if self.exchange.is_over() || self.try_send(&connection)? {
                break;
            }
            // It went away between the look and the request, which was not sent: another generation takes it.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sees to it that the server knows of a subscription if and only if somebody has it, whatever crossed this request.
    fn mend_subscriptions(&self, connection: &Arc<Connection>) {
        let (Some(hub), Some(uri)) = (&self.hub, self.message.uri()) else {
            return;
        };
        let uris = BTreeSet::from([uri.into_owned()]);
        if self.message.method() == method::UNSUBSCRIBE {
            hub.mend_subscriptions(&self.session, &uris, connection);
        } else if self.session.has_ended() {
            hub.unsubscribe(&self.session, uris, connection);
        }
    }
}
