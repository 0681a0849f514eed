//! Bringing requests and notifications to the server that the session talks to.
//!
//! Where the server is ready this is done when the function returns; nobody waits. Where it has to start first, a task
//! waits in the request's place, because a client that goes away has not taken its request back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::context::RequestContext;
use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::{End, Exchange};
use super::gateway::Gateway;
use super::initialize::upstream_error;
use crate::protocol::Message;
use crate::protocol::names::method;
use crate::protocol::reply::write_result;
use crate::session::Transport;
use crate::upstream::pending::Patience;
use crate::upstream::{Connection, Lease, LeaseKind, RequestRefused};

/// Resources that one session may have subscribed to.
const SUBSCRIPTIONS_MAX: usize = 1024;

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
        if session.facts().is_none() && session.transport() != Transport::OneShot {
            return Err(GatewayError::NotInitialized);
        }
        let lease = self.lease(session, session.facts())?;
        if lease.kind() != LeaseKind::Own && self.answer_for_shared(session, &lease, exchange, &message)? {
            return Ok(());
        }
        if message.method() == method::TOOLS_CALL
            && let Some(answer) = self.check_arguments(server, &message)
        {
            exchange.finish(End::Answer(answer));
            return Ok(());
        }
        note_subscription(session, &message)?;
        let sending = Sending {
            session: session.clone(),
            exchange: exchange.clone(),
            patience: self.patience(&lease),
            lease,
            message,
        };
        if let Some(connection) = sending.lease.upstream().current()
            && sending.try_send(&connection)?
        {
            return Ok(());
        }
        self.tasks.spawn(sending.send_when_ready());
        Ok(())
    }

    fn patience(&self, lease: &Lease) -> Patience {
        let limits = &self.config.requests;
        let timeout = lease.upstream().spec().request_timeout.unwrap_or(limits.timeout);
        Patience {
            since: Instant::now(),
            timeout,
            timeout_max: limits.timeout_max.max(timeout),
        }
    }

    /// Answers what a shared server must not be asked on behalf of one session; `true` if it is answered.
    fn answer_for_shared(
        &self,
        session: &Arc<Session>,
        lease: &Lease,
        exchange: &Exchange,
        message: &Message,
    ) -> Result<bool, GatewayError> {
        match &*message.method() {
            method::SET_LEVEL => Err(GatewayError::NotOnShared(method::SET_LEVEL.to_owned())),
            method::UNSUBSCRIBE => {
                let (Some(uri), Some(hub)) = (message.uri(), self.hub(lease.upstream().instance())) else {
                    return Ok(false);
                };
                let others_listen = hub.is_subscribed_by_another(session, &uri);
                if others_listen {
                    session.attachment().settings().subscriptions.remove(&*uri);
                    let mut out = Vec::new();
                    write_result(exchange.client_id(), b"{}", &mut out);
                    exchange.finish(End::Answer(out.into()));
                }
                Ok(others_listen)
            }
            _ => Ok(false),
        }
    }

    /// Takes a notification of a client where it belongs.
    pub(super) fn handle_notification(&self, ctx: &RequestContext, message: &Message) {
        let session = &ctx.session;
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
            .is_some_and(|connection| connection.send(|out| message.write(out)));
        if !sent {
            debug!(session = ?session.id(), method = %message.method(), "notification not forwarded");
        }
    }
}

/// Takes note of what the session wants to hear of, before the server is asked: what comes of it is noted by `After`.
fn note_subscription(session: &Session, message: &Message) -> Result<(), GatewayError> {
    let is_subscription = message.method() == method::SUBSCRIBE;
    if !is_subscription && message.method() != method::UNSUBSCRIBE {
        return Ok(());
    }
    let Some(uri) = message.uri() else { return Ok(()) };
    let subscriptions = &mut session.attachment().settings().subscriptions;
    if !is_subscription {
        subscriptions.remove(&*uri);
    } else if subscriptions.len() >= SUBSCRIPTIONS_MAX {
        return Err(GatewayError::TooManySubscriptions(SUBSCRIPTIONS_MAX));
    } else {
        subscriptions.insert(uri.into_owned());
    }
    Ok(())
}

/// A request on its way to its server.
struct Sending {
    session: Arc<Session>,
    lease: Arc<Lease>,
    exchange: Arc<Exchange>,
    message: Message,
    patience: Patience,
}

impl Sending {
    /// Sends the request; `false` if this connection is over and another one has to take it.
    fn try_send(&self, connection: &Arc<Connection>) -> Result<bool, GatewayError> {
        match connection.request(&self.message, self.exchange.clone(), self.patience) {
            Ok(id) => {
                self.exchange.sent(connection, id);
                self.mend_subscriptions(connection);
                Ok(true)
            }
            Err(RequestRefused::Overloaded(error)) => Err(upstream_error(&self.session, error)),
            Err(RequestRefused::Closed(_)) => Ok(false),
        }
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

    /// Another session may have subscribed while this one's end of the same subscription was on its way.
    fn mend_subscriptions(&self, connection: &Connection) {
        if self.message.method() == method::UNSUBSCRIBE
            && let Some(uri) = self.message.uri()
            && let Some(hub) = self.session.attachment().hub()
        {
            hub.mend_subscription(&self.session, &uri, connection);
        }
    }
}
