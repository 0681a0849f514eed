//! Sessions, as an operator sees them: whose, on what, since when. Never their ids, which are credentials.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Value, json};

use super::super::reply::{self, Response};
use super::error::AdminError;
use super::servers::answer;
use crate::gateway::{Gateway, Session};
use crate::registry::events::milliseconds;
use crate::upstream::Lease;

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
    let Some(session) = sessions.find(|session| session.id().handle() == wanted) else {
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
        "handle": session.id().handle(),
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
