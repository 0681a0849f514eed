//! Receives what a server says on its own in an instance that belongs to one session.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tracing::debug;

use super::conversation::{Destination, Session, destination};
use super::gateway::Gateway;
use super::shared_hub::{refresh_after, tell_subscriptions};
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Message, RequestId};
use crate::session::Priority;
use crate::upstream::{Connection, ServerMessages};

/// How long reading pauses for a client that does not read, at most.
const CONGESTION_MAX: Duration = Duration::from_secs(5);

/// The receiver. It holds the session weakly: the session owns the lease, and with it the instance.
pub(super) struct SessionInbox {
    gateway: Weak<Gateway>,
    session: Weak<Session>,
}

impl SessionInbox {
    pub(super) fn new(gateway: &Arc<Gateway>, session: &Arc<Session>) -> Arc<Self> {
        Arc::new(Self {
            gateway: Arc::downgrade(gateway),
            session: Arc::downgrade(session),
        })
    }
}

/// Puts a message where the client will see it; `false` if it did not fit.
fn deliver(session: &Session, data: Bytes) -> bool {
    match destination(session) {
        Destination::Exchange(exchange) => exchange.event(data),
        Destination::Standalone(outbox) => outbox.push(data, Priority::Droppable).is_ok(),
    }
}

impl ServerMessages for SessionInbox {
    fn request(&self, connection: &Arc<Connection>, message: Message) {
        let id = message.id().expect("a request has an id");
        let refuse = |text: &str| {
            connection.refuse(id, &ErrorObject::new(code::INTERNAL_ERROR, text));
        };
        let Some(session) = self.session.upgrade() else {
            return refuse("the client has gone");
        };
        let Some(number) = session.attachment().add_server_request(connection, id.clone()) else {
            return refuse("too many requests wait for the client");
        };
        let mut out = Vec::new();
        message.write_with_id(&RequestId::Number(number), &mut out);
        if !deliver(&session, out.into()) {
            session.attachment().withdraw_server_request(id);
            refuse("the client does not read its messages");
        }
    }

    fn notification(&self, connection: &Arc<Connection>, message: Message) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        refresh_after(
            &self.gateway,
            session.attachment().server().name(),
            connection,
            &message,
        );
        let mut out = Vec::new();
        if message.method() == method::CANCELLED {
            let number = message
                .cancelled_request()
                .and_then(|id| session.attachment().withdraw_server_request(&id));
            let Some(number) = number else { return };
            message.write_with_cancelled_request(&RequestId::Number(number), &mut out);
        } else {
            message.write(&mut out);
        }
        if !deliver(&session, out.into()) {
            debug!(session = ?session.id(), method = %message.method(), "notification dropped: the client does not read");
        }
    }

    fn ready(&self, connection: &Arc<Connection>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let settings = session.attachment().settings().clone();
        if let Some(level) = settings.log_level
            && let Ok(params) = serde_json::from_slice(&level)
        {
            connection.tell(method::SET_LEVEL, params);
        }
        tell_subscriptions(connection, settings.subscriptions.iter());
        let server = session.attachment().server().name().clone();
        super::shared_hub::refresh_all(&self.gateway, &server, connection, None);
    }

    fn keeps_process(&self) -> bool {
        self.session
            .upgrade()
            .is_some_and(|session| !session.attachment().settings().subscriptions.is_empty())
    }

    fn congestion(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let session = self.session.upgrade()?;
        let outbox = session.standalone().clone();
        if !outbox.is_congested() {
            return None;
        }
        drop(session);
        Some(Box::pin(async move {
            // A client that reads nothing for so long loses messages rather than the whole session.
            let _ = tokio::time::timeout(CONGESTION_MAX, outbox.relieved()).await;
        }))
    }
}
