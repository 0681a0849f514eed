//! Sessions, as an operator sees them: whose, on what, since when. Never their ids, which are credentials.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::reply::{self, Response};
use super::error::AdminError;
use super::servers::answer;
use crate::gateway::{Gateway, Session};
use crate::registry::events::milliseconds;
use crate::session::SessionId;
use crate::upstream::Lease;

/// Bytes of a handle: enough that no two sessions meet, too few to say anything of an id.
const HANDLE_BYTES: usize = 8;

/// Every session, oldest first.
pub(super) fn list(gateway: &Gateway) -> Response {
    records(gateway, |_| true)
}

/// The sessions of one server.
pub(super) fn of_server(gateway: &Gateway, name: &str) -> Result<Response, AdminError> {
    let server = gateway.registry().server(name)?;
    Ok(records(gateway, |session| {
        session.attachment().server().name() == server.name()
    }))
}

/// Ends a session.
pub(super) fn end(gateway: &Gateway, wanted: &str) -> Result<Response, AdminError> {
    let mut sessions = gateway.sessions().all().into_iter();
    let Some(session) = sessions.find(|session| handle(session.id()) == wanted) else {
        return Err(AdminError::SessionNotFound(wanted.to_owned()));
    };
    gateway.end_session(&session, "ended by admin");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn records(gateway: &Gateway, wanted: impl Fn(&Session) -> bool) -> Response {
    let mut sessions = gateway.sessions().all();
    sessions.retain(|session| wanted(session));
    sessions.sort_by_key(|session| (session.created(), session.id()));
    let records: Vec<Value> = sessions.iter().map(|session| record(session)).collect();
    answer(StatusCode::OK, &json!({ "sessions": records }))
}

fn record(session: &Session) -> Value {
    let conversation = session.attachment();
    let last_activity = SystemTime::now()
        .checked_sub(session.last_activity().elapsed())
        .unwrap_or_else(|| session.created());
    let facts = session.facts();
    json!({
        // Cut, as in the log: whoever knows the whole id may use the session.
        "id": format!("{:?}", session.id()),
        "handle": handle(session.id()),
        "server": conversation.server().name(),
        "principal": session.principal(),
        "mode": session.mode(),
        "transport": session.transport().as_str(),
        "protocolVersion": facts.map(|_| session.version().as_str()),
        "client": facts.map(|facts| &facts.client_info),
        "created": milliseconds(session.created()),
        "lastActivity": milliseconds(last_activity),
        "lease": conversation.lease().as_deref().map(lease_record),
        "openStreams": session.open_streams(),
        "inFlight": conversation.in_flight(),
    })
}

fn lease_record(lease: &Lease) -> Value {
    json!({
        "kind": lease.kind().as_str(),
        "reason": lease.reason(),
        "instance": lease.upstream().instance(),
    })
}

/// A name for a session that ends it and does nothing else: it does not lead back to the id.
fn handle(id: SessionId) -> String {
    let digest = Sha256::digest(id.to_string());
    digest[..HANDLE_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_stable_and_is_no_part_of_the_id() {
        let text = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        let id = SessionId::parse(text).expect("an id");
        assert_eq!(handle(id), handle(id));
        assert_eq!(handle(id).len(), 2 * HANDLE_BYTES);
        assert!(!text.replace('-', "").contains(&handle(id)));
        assert_ne!(handle(SessionId::random()), handle(id));
    }
}
