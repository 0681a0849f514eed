//! Whether the client of a session without a handshake listens to notifications, and to which (2026-07-28,
//! "Subscriptions"). Clients with a handshake hear of everything that their session may.

use serde_json::json;
use serde_json::value::RawValue;
use tracing::debug;

use super::conversation::Session;
use super::listeners::Listener;
use crate::protocol::modern::{Filter, meta};
use crate::protocol::names::method;
use crate::protocol::reply::{write_notification, write_result};
use crate::protocol::{Era, Message, RequestId, translate};
use crate::session::Priority;

/// A `subscriptions/listen` of a client, from its arrival to its end.
#[derive(Debug)]
pub(super) struct Attention {
    /// Of the request. Everything that is told carries it.
    id: RequestId,
    /// What is told; none as long as that is not acknowledged.
    heard: Option<Filter>,
    /// What the server says of itself, as JSON.
    server: Option<Box<RawValue>>,
    _listener: Listener,
}

impl Attention {
    /// Notes that the client of a session has asked to be told; nothing is before that is acknowledged.
    pub(super) fn begin(session: &Session, id: RequestId, listener: Listener) {
        let attention = Self {
            id,
            heard: None,
            server: None,
            _listener: listener,
        };
        *session.attachment().attention() = Some(attention);
    }

    /// Tells the client what it will be told, and begins with that; `false` if the session has ended meanwhile.
    pub(super) fn acknowledge(session: &Session, heard: Filter, server: Option<Box<RawValue>>) -> bool {
        // Who has something to tell, or ends the session, waits for the lock, and so comes later.
        let mut attention = session.attachment().attention();
        let Some(attention) = &mut *attention else {
            return false;
        };
        let mut out = Vec::new();
        let params = heard.params(Some(&attention.id));
        write_notification(method::ACKNOWLEDGED, Some(&params), &mut out);
        let taken = session.standalone().push(out.into(), Priority::Required);
        debug_assert!(taken.is_ok(), "a required message is always taken");
        attention.heard = Some(heard);
        attention.server = server;
        true
    }

    /// Returns whether a notification is for a session's client, as far as that has a choice.
    pub(super) fn wants(session: &Session, notification: &Message) -> bool {
        if session.era() == Era::Handshake {
            return true;
        }
        let attention = session.attachment().attention();
        let heard = attention.as_ref().and_then(|attention| attention.heard.as_ref());
        heard.is_some_and(|heard| heard.wants(notification))
    }

    /// Puts a notification before a client that listens, if it wants that. One that does not read is told that this is
    /// the end: it can ask again, and would not know what it has missed.
    pub(super) fn tell(session: &Session, notification: &Message) {
        if !Self::wants(session, notification) {
            return;
        }
        let attention = session.attachment().attention();
        let Some(its) = &*attention else { return };
        let message = match translate::notification_for_listener(notification, &its.id) {
            Ok(message) => message,
            Err(error) => return debug!(session = ?session.id(), %error, "notification dropped"),
        };
        let mut out = Vec::new();
        message.write(&mut out);
        let is_full = session.standalone().push_once(out.into()).is_err();
        drop(attention);
        if is_full {
            debug!(session = ?session.id(), "subscriptions/listen ends: the client does not read");
            Self::end(session);
            session.standalone().close();
        }
    }

    /// Tells a client that listens that nothing more will come.
    pub(super) fn end(session: &Session) {
        let attention = session.attachment().attention().take();
        let Some(attention) = attention.filter(|attention| attention.heard.is_some()) else {
            return;
        };
        let mut meta = json!({ meta::SUBSCRIPTION_ID: attention.id });
        if let Some(server) = attention.server {
            meta[meta::SERVER_INFO] = json!(server);
        }
        let result = json!({ "resultType": "complete", "_meta": meta });
        let mut out = Vec::new();
        write_result(&attention.id, result.to_string().as_bytes(), &mut out);
        session.standalone().end_with(out.into());
    }
}
