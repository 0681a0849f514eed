//! Between a client of one era and a server of the other: each hears its own words.
//!
//! What a message says in the other era stands in [`translate`]; here it is decided for which messages that is needed.
//! Clients and servers of one era hear each other's bytes.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::json;
use serde_json::value::to_raw_value;
use tracing::debug;

use super::asking::MAY_ASK;
use super::conversation::Session;
use super::error::GatewayError;
use super::rounds::{Repeatable, asks};
use super::suspension::check_none;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::member::{member, string_member};
use crate::protocol::modern::meta::LOG_LEVEL;
use crate::protocol::names::method;
use crate::protocol::reply::write_error;
use crate::protocol::translate::{self, Speaker, Untranslatable};
use crate::protocol::{Era, Message, RequestId, ServerFacts};
use crate::upstream::pending::Patience;
use crate::upstream::{Connection, Lease, LeaseKind, SCAN};

/// What the answer to a request needs, so that its client understands it.
#[derive(Debug, Clone)]
pub(super) enum Bridge {
    /// The client has no handshake, the server has.
    ToModern {
        method: String,
        /// What the server says of itself, as JSON.
        server: Option<String>,
    },
    /// The client has a handshake, the server has none.
    ToHandshake {
        method: String,
        /// The request, if the answer may ask for something first.
        repeatable: Option<Box<Repeatable>>,
    },
}

/// What becomes of a request at a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always the large one, which is moved once"
)]
pub(super) enum Crossing<'a> {
    /// It is sent, and its answer translated if there is a bridge.
    Sent(Cow<'a, Message>, Option<Bridge>),
    /// It is answered here: the server knows no such request. The result as JSON.
    Answered(&'static [u8]),
}

/// Returns what becomes of a request of a session's client at a connection to its server.
///
/// # Errors
/// The server has no words for it.
pub(super) fn cross<'a>(
    session: &Session,
    lease: &Lease,
    connection: &Connection,
    message: &'a Message,
    patience: Patience,
) -> Result<Crossing<'a>, GatewayError> {
    let is_own = lease.kind() == LeaseKind::Own;
    let method = message.method();
    match (session.era(), connection.era()) {
        (Era::Handshake, Era::Handshake) => Ok(Crossing::Sent(Cow::Borrowed(message), None)),
        // On a shared process nobody knows whose request a log message belongs to.
        (Era::Modern, Era::Modern) if !is_own => {
            let message = translate::without_log_level(message)?;
            Ok(Crossing::Sent(Cow::Owned(message), None))
        }
        (Era::Modern, Era::Modern) => Ok(Crossing::Sent(Cow::Borrowed(message), None)),
        (Era::Modern, Era::Handshake) => {
            check_none(&message.params().unwrap_or_default())?;
            if is_own {
                set_level(connection, message);
            }
            let info = connection.facts().and_then(ServerFacts::server_info);
            let bridge = Bridge::ToModern {
                method: method.into_owned(),
                server: info.map(ToString::to_string),
            };
            let message = translate::request_for_handshake(message)?;
            Ok(Crossing::Sent(Cow::Owned(message), Some(bridge)))
        }
        (Era::Handshake, Era::Modern) => match &*method {
            // What it sets is kept here, and said with each request.
            method::SET_LEVEL => Ok(Crossing::Answered(b"{}")),
            method::TASKS_RESULT | method::LISTEN | "tasks/list" => {
                Err(GatewayError::OfOtherEra(method.into_owned()))
            }
            _ => {
                let message = for_modern(session, is_own, message)?;
                let may_ask = MAY_ASK.contains(&&*method);
                let bridge = Bridge::ToHandshake {
                    method: method.into_owned(),
                    repeatable: may_ask.then(|| {
                        Box::new(Repeatable {
                            request: message.clone(),
                            patience,
                        })
                    }),
                };
                Ok(Crossing::Sent(Cow::Owned(message), Some(bridge)))
            }
        },
    }
}

/// Tells a server that has its client for itself which log messages a request wants; those of a request that wants none
/// are not passed on.
fn set_level(connection: &Connection, message: &Message) {
    let params = message.params().unwrap_or_default();
    let meta = member(&params, "_meta");
    let level = meta.and_then(|meta| string_member(meta.get().as_bytes(), LOG_LEVEL));
    let logs = connection
        .facts()
        .is_some_and(|facts| facts.capability("logging").is_some());
    if let Some(level) = level.filter(|_| logs) {
        let params = to_raw_value(&json!({ "level": level })).expect("plain data becomes JSON");
        connection.tell(method::SET_LEVEL, params);
    }
}

fn for_modern(session: &Session, is_own: bool, message: &Message) -> Result<Message, GatewayError> {
    let facts = match session.facts() {
        Some(facts) => facts.clone(),
        // Nobody knows who it is, and it takes nothing but the answer.
        None if session.is_alone() => Arc::new(InitializeParams::of_gateway()),
        None => return Err(GatewayError::NotInitialized),
    };
    let level = session
        .attachment()
        .settings()
        .log_level
        .clone()
        .filter(|_| is_own);
    let level = level.and_then(|params| string_member(&params, "level"));
    let speaker = Speaker {
        capabilities: serde_json::Value::from(facts.capabilities.clone()).to_string(),
        info: &facts.client_info,
        log_level: level.as_deref(),
    };
    Ok(translate::request_for_modern(message, &speaker)?)
}

impl Bridge {
    /// Returns the request that is to be made again, if this answer asks for something first.
    pub(super) fn repeated(&self, answer: &Message) -> Option<&Repeatable> {
        match self {
            Self::ToHandshake { repeatable, .. } => repeatable.as_deref().filter(|_| asks(answer)),
            Self::ToModern { .. } => None,
        }
    }

    /// Returns the answer of the server as the client understands it.
    pub(super) fn answer(&self, answer: &Message) -> Message {
        let translated = match self {
            Self::ToModern { method, server } => {
                translate::answer_for_modern(answer, method, server.as_deref())
            }
            Self::ToHandshake { method, .. } => translate::answer_for_handshake(answer, method),
        };
        translated.unwrap_or_else(|error| {
            debug!(%error, "answer of the server not translated");
            failure(error)
        })
    }
}

/// Returns an answer that says why there is none.
fn failure(error: Untranslatable) -> Message {
    let object = GatewayError::Untranslatable(error).to_error_object();
    let mut out = Vec::new();
    write_error(Some(&RequestId::Number(0)), &object, &mut out);
    Message::parse(out.into(), SCAN).expect("it was written here")
}

/// Returns a result of the gateway's own as a client of an era wants it: with its type where results have one.
pub(super) fn own_result(era: Era, result: &[u8]) -> Cow<'_, [u8]> {
    if era == Era::Handshake {
        return Cow::Borrowed(result);
    }
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(result).expect("the gateway's own results are objects");
    fields.entry("resultType").or_insert_with(|| json!("complete"));
    Cow::Owned(serde_json::to_vec(&fields).expect("a JSON object is written to memory without errors"))
}
