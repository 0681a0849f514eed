//! Between a client of one era and a server of the other: each hears its own words.
//!
//! What a message says in the other era stands in [`translate`]; here it is decided for which messages that is needed.
//! Clients and servers of one era hear each other's bytes.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use serde_json::json;
use serde_json::value::to_raw_value;
use tracing::debug;

use super::asking::MAY_ASK;
use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::Exchange;
use super::gateway::Gateway;
use super::need::Need;
use super::pages::pages;
use super::rounds::{Repeatable, asks};
use super::suspension::check_none;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::member::string_member;
use crate::protocol::names::method;
use crate::protocol::reply::write_error;
use crate::protocol::translate::{self, Speaker};
use crate::protocol::{Era, Message, ProtocolVersion, RequestId, ServerFacts};
use crate::upstream::pending::Patience;
use crate::upstream::{Connection, Lease, LeaseKind, SCAN};

/// What the answer to a request needs, so that its client understands it.
#[derive(Debug, Clone)]
pub(super) enum Bridge {
    /// The client has no handshake, the server has.
    Modern {
        method: String,
        /// What the server says of itself, as JSON.
        server: Option<String>,
        gateway: Weak<Gateway>,
    },
    /// The client speaks an older version with a handshake than its server.
    Older {
        method: String,
        version: ProtocolVersion,
    },
    /// The client has a handshake, the server has none.
    Handshake {
        method: String,
        version: ProtocolVersion,
        /// Whether the client has declared the extension `tasks`.
        knows_tasks: bool,
        /// The request, if the answer may ask for something first.
        repeatable: Option<Box<Repeatable>>,
    },
}

/// What becomes of a request at a connection.
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
    gateway: &Arc<Gateway>,
    (session, lease): (&Session, &Lease),
    connection: &Connection,
    message: &'a Message,
    patience: Patience,
) -> Result<Crossing<'a>, GatewayError> {
    let is_own = lease.kind() == LeaseKind::Own;
    let method = message.method();
    match (session.era(), connection.era()) {
        (Era::Handshake, Era::Handshake) => {
            let bridge = to_older(session, connection, &method);
            Ok(Crossing::Sent(Cow::Borrowed(message), bridge))
        }
        // On a shared process nobody knows whose request a log message belongs to.
        (Era::Modern, Era::Modern) if !is_own => {
            Ok(Crossing::Sent(translate::without_log_level(message)?, None))
        }
        (Era::Modern, Era::Modern) => Ok(Crossing::Sent(Cow::Borrowed(message), None)),
        (Era::Modern, Era::Handshake) if method.starts_with("tasks/") => {
            Err(GatewayError::OfOtherEra(method.into_owned()))
        }
        (Era::Modern, Era::Handshake) => {
            check_none(message)?;
            if is_own {
                set_level(connection, message);
            }
            let info = connection.facts().and_then(ServerFacts::server_info);
            let bridge = Bridge::Modern {
                method: method.into_owned(),
                server: info.map(ToString::to_string),
                gateway: Arc::downgrade(gateway),
            };
            let message = translate::request_for_handshake(message)?;
            Ok(Crossing::Sent(Cow::Owned(message), Some(bridge)))
        }
        (Era::Handshake, Era::Modern) => match &*method {
            // What it sets is kept here, and said with each request.
            method::SET_LEVEL => Ok(Crossing::Answered(b"{}")),
            method::TASKS_RESULT | method::LISTEN | method::TASKS_LIST => {
                Err(GatewayError::OfOtherEra(method.into_owned()))
            }
            name if name.starts_with("tasks/") && !Need::Tasks.is_met_by(session) => {
                Err(GatewayError::OfOtherEra(method.into_owned()))
            }
            _ => {
                let message = for_modern(session, is_own, message)?;
                let may_ask = MAY_ASK.contains(&&*method);
                let bridge = Bridge::Handshake {
                    method: method.into_owned(),
                    version: spoken_by(session),
                    knows_tasks: Need::Tasks.is_met_by(session),
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

/// Returns what the answers of a server need whose client speaks an older version; most are of the same, or read alike.
fn to_older(session: &Session, connection: &Connection, method: &str) -> Option<Bridge> {
    let version = spoken_by(session);
    let servers = connection.facts()?.version();
    (version < servers && translate::has_content(method)).then(|| Bridge::Older {
        method: method.to_owned(),
        version,
    })
}

/// Returns the version that a client with a handshake speaks. One that has not said gets what servers say.
pub(super) fn spoken_by(session: &Session) -> ProtocolVersion {
    match session.facts() {
        Some(_) => session.version(),
        None => ProtocolVersion::LATEST,
    }
}

/// Tells a server that has its client for itself which log messages a request wants; those of a request that wants none
/// are not passed on.
fn set_level(connection: &Connection, message: &Message) {
    let logs = connection
        .facts()
        .is_some_and(|facts| facts.capability("logging").is_some());
    if let Some(level) = message.log_level().filter(|_| logs) {
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
            Self::Handshake { repeatable, .. } => repeatable.as_deref().filter(|_| asks(answer)),
            Self::Modern { .. } | Self::Older { .. } => None,
        }
    }

    /// Returns the answer of the server to an exchange as its client understands it.
    pub(super) fn answer(&self, exchange: &Exchange, answer: &Message) -> Message {
        self.translated(exchange, answer).unwrap_or_else(|error| {
            debug!(%error, "answer of the server not translated");
            failure(&error)
        })
    }

    /// Takes note that an answer does not reach its client, whatever it asked for.
    pub(super) fn call_off(&self, exchange: &Exchange) {
        if let Self::Modern { gateway, .. } = self
            && let Some(gateway) = gateway.upgrade()
        {
            gateway.call_off_visits(exchange.session());
        }
    }

    fn translated(&self, exchange: &Exchange, answer: &Message) -> Result<Message, GatewayError> {
        Ok(match self {
            Self::Modern {
                method,
                server,
                gateway,
            } => {
                if let (Some(pages), Some(gateway)) = (pages(answer), gateway.upgrade()) {
                    return gateway.ask_to_visit(exchange, pages);
                }
                translate::answer_for_modern(answer, method, server.as_deref())?
            }
            Self::Older { method, version } => translate::answer_for_older(answer, method, *version)?,
            Self::Handshake {
                method,
                version,
                knows_tasks,
                ..
            } => {
                let answer = translate::answer_for_handshake(answer, method, *knows_tasks)?;
                translate::answer_for_older(&answer, method, *version)?
            }
        })
    }
}

/// Returns an answer that says why there is none.
pub(super) fn failure(error: &GatewayError) -> Message {
    let object = error.to_error_object();
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
