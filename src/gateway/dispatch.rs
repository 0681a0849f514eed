//! Bringing requests and notifications to the server that the session talks to.

use std::sync::Arc;

use tokio::time::Instant;
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
use crate::upstream::pending::Patience;
use crate::upstream::{Lease, LeaseKind, RequestRefused};

impl Gateway {
    /// Sends a request to its server; the answer comes through the exchange.
    pub(super) async fn dispatch(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: &Message,
    ) -> Result<(), GatewayError> {
        let server = session.attachment().server();
        if !server.is_enabled() {
            return Err(GatewayError::Disabled(server.name().clone()));
        }
        let lease = self.lease(session, session.facts());
        if lease.kind() != LeaseKind::Own && self.answer_for_shared(session, &lease, exchange, message)? {
            return Ok(());
        }
        if message.method() == method::TOOLS_CALL
            && let Some(answer) = self.check_arguments(server, message)
        {
            exchange.finish(End::Answer(answer));
            return Ok(());
        }
        if message.method() == method::UNSUBSCRIBE
            && let Some(uri) = message.uri()
        {
            session.attachment().settings().subscriptions.remove(&*uri);
        }
        self.send(session, &lease, exchange, message).await
    }

    async fn send(
        &self,
        session: &Arc<Session>,
        lease: &Lease,
        exchange: &Arc<Exchange>,
        message: &Message,
    ) -> Result<(), GatewayError> {
        let patience = self.patience(lease);
        let deadline = Instant::now() + patience.timeout;
        let in_flight_max = self.config.requests.in_flight_max;
        if !session.attachment().add_exchange(exchange, in_flight_max) {
            return Err(GatewayError::TooManyInFlight(in_flight_max));
        }
        loop {
            if session.has_ended() {
                return Err(GatewayError::SessionEnded);
            }
            let connection = lease
                .upstream()
                .connection(deadline)
                .await
                .map_err(|error| upstream_error(session, error))?;
            match connection.request(message, exchange.clone(), patience) {
                Ok(id) => {
                    exchange.sent(&connection, id);
                    return Ok(());
                }
                Err(RequestRefused::Overloaded(error)) => return Err(upstream_error(session, error)),
                // It went away between the look and the request, which was not sent: another generation takes it.
                Err(RequestRefused::Closed(_)) => tokio::task::yield_now().await,
            }
        }
    }

    fn patience(&self, lease: &Lease) -> Patience {
        let limits = &self.config.requests;
        let timeout = lease.upstream().spec().request_timeout.unwrap_or(limits.timeout);
        Patience {
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
