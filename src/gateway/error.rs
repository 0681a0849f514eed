//! Why the gateway itself refuses, and how that looks to a client: the first of the two conversions to the wire.

use serde_json::json;
use thiserror::Error;

use super::need::Need;
use crate::config::ServerName;
use crate::plugin::{Refusal, Why};
use crate::protocol::names::code;
use crate::protocol::reply::ErrorObject;
use crate::protocol::translate::Untranslatable;
use crate::protocol::{MessageError, RequestId};
use crate::upstream::UpstreamError;

/// Why a message was not forwarded, or not answered by its server. The texts are what a client reads.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GatewayError {
    /// The server could not answer.
    #[error("{server}: {error}")]
    Upstream {
        /// Which server.
        server: ServerName,
        /// What happened to it.
        error: UpstreamError,
    },
    /// The server is disabled or removed.
    #[error("the server {0} is disabled")]
    Disabled(ServerName),
    /// The gateway is about to stop.
    #[error("the gateway is stopping")]
    Stopping,
    /// The session ended while the request was on its way.
    #[error("the session has ended")]
    SessionEnded,
    /// The method does not work on a server that sessions share.
    #[error("{0} is not available on a shared server (set sharing = \"session\" for it)")]
    NotOnShared(String),
    /// The server does not have this method, so far as the gateway must know it.
    #[error("the server has no method {0}")]
    NoSuchMethod(String),
    /// The session was opened twice.
    #[error("the session is initialized already")]
    InitializedTwice,
    /// A request came before `initialize`.
    #[error("the session is not initialized yet: send initialize first")]
    NotInitialized,
    /// The session has subscribed to too many resources.
    #[error("the session has subscribed to {0} resources, which is the limit")]
    TooManySubscriptions(usize),
    /// The server will not tell when this resource changes.
    #[error("the server does not tell when {0:?} changes")]
    NotToldOf(String),
    /// The principal listens on too many streams.
    #[error(
        "{0} streams of subscriptions/listen are open for this client, which is the limit (sessions.listens-max)"
    )]
    TooManyListens(usize),
    /// The session has too many streams under way.
    #[error("too many streams of this session are under way (sessions.streams-max)")]
    TooManyStreams,
    /// The client asks on and on without reading the answers.
    #[error("too many messages wait on the session's stream: read them first")]
    NotReading,
    /// The parameters are wrong.
    #[error("{0}")]
    InvalidParams(String),
    /// The method belongs to the other era, and the server speaks only its own.
    #[error("{0} is not available: the server speaks another era of the protocol, which has nothing like it")]
    OfOtherEra(String),
    /// What the client or its server asks for needs something that the client has not declared.
    #[error("this needs a client that declares {0}")]
    MissingCapability(Need),
    /// The server asked the client something on the way to its answer, and there was no answer to that.
    #[error("{0}")]
    ClientDidNotSay(String),
    /// The message has no words in the era of the other side.
    #[error(transparent)]
    Untranslatable(#[from] Untranslatable),
    /// The message is no message.
    #[error("{0}")]
    InvalidMessage(MessageError),
    /// Behind the name of a route there is no server that the policies allow.
    #[error("there is no server behind this name for this client")]
    NoServer,
    /// A policy refused the message, or could not judge it.
    #[error("{}", words(.0))]
    Policy(Box<Refusal>),
    /// What the server sent cannot be shown to the policies without guessing.
    #[error("{server} sent a message that cannot be judged: {problem}")]
    Unjudgeable {
        /// Which server.
        server: ServerName,
        /// What is wrong with it.
        problem: String,
    },
    /// The gateway has panicked over it, which is a fault of its own.
    #[error("the gateway failed over this message: this is a fault of its own")]
    Panicked,
    /// The channel has a request with this id already, by which answers and cancellations are told apart.
    #[error("a request with the id {0} is in flight already")]
    InFlightAlready(RequestId),
    /// The session has too many requests in flight.
    #[error("more than {0} requests of this session are in flight (requests.in-flight-max)")]
    TooManyInFlight(usize),
}

impl GatewayError {
    /// Returns the JSON-RPC error for the client.
    pub fn to_error_object(&self) -> ErrorObject {
        let code = match self {
            Self::Upstream { error, .. } => match error {
                UpstreamError::Timeout(_) => code::REQUEST_TIMEOUT,
                UpstreamError::Overloaded(_) => code::OVERLOADED,
                UpstreamError::Cancelled => code::CANCELLED,
                UpstreamError::Oversized(_) => code::INTERNAL_ERROR,
                UpstreamError::Ended(_)
                | UpstreamError::Stopped(_)
                | UpstreamError::Failed(_)
                | UpstreamError::NotReady(_) => code::SERVER_UNAVAILABLE,
            },
            Self::Disabled(_) | Self::Stopping => code::SERVER_UNAVAILABLE,
            Self::SessionEnded => code::SESSION_NOT_FOUND,
            Self::NotOnShared(_) | Self::NoSuchMethod(_) | Self::OfOtherEra(_) => code::METHOD_NOT_FOUND,
            Self::InitializedTwice | Self::NotInitialized | Self::InFlightAlready(_) => code::INVALID_REQUEST,
            Self::InvalidParams(_) => code::INVALID_PARAMS,
            Self::NotToldOf(_) => code::RESOURCE_NOT_FOUND,
            Self::InvalidMessage(error) => error.code,
            Self::Policy(refusal) => match &refusal.why {
                Why::Denied(denial) => denial.code,
                Why::Failed(_) => code::POLICY_FAILED,
            },
            Self::MissingCapability(_) => code::MISSING_CLIENT_CAPABILITY,
            Self::NoServer => code::REFUSED,
            Self::Unjudgeable { .. }
            | Self::Untranslatable(_)
            | Self::ClientDidNotSay(_)
            | Self::Panicked => code::INTERNAL_ERROR,
            Self::TooManyInFlight(_)
            | Self::TooManySubscriptions(_)
            | Self::TooManyListens(_)
            | Self::TooManyStreams
            | Self::NotReading => code::OVERLOADED,
        };
        let object = ErrorObject::new(code, self.to_string());
        match self {
            Self::Upstream { server, error } => {
                object.with_data(json!({ "server": server, "reason": reason(error) }))
            }
            Self::Disabled(server) => object.with_data(json!({ "server": server, "reason": "disabled" })),
            Self::NotToldOf(uri) => object.with_data(json!({ "uri": uri })),
            Self::Policy(refusal) => with_data_of(object, refusal),
            Self::MissingCapability(need) => {
                object.with_data(json!({ "requiredCapabilities": need.capabilities() }))
            }
            _ => object,
        }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(Box::new(refusal))
    }
}

/// What the sender reads. That a policy broke must not look as if it had said no.
fn words(refusal: &Refusal) -> String {
    match &refusal.why {
        Why::Denied(denial) => denial.message.clone(),
        Why::Failed(error) => format!(
            "the policy {} could not judge this ({}), so it was not let through: this is no decision of the policy",
            refusal.plugin,
            error.kind.as_str()
        ),
    }
}

fn with_data_of(object: ErrorObject, refusal: &Refusal) -> ErrorObject {
    match &refusal.why {
        Why::Denied(denial) => {
            let data = denial.data.as_deref().map(serde_json::from_str);
            match data {
                Some(Ok(data)) => object.with_data(data),
                _ => object,
            }
        }
        Why::Failed(error) => {
            object.with_data(json!({ "plugin": refusal.plugin, "kind": error.kind.as_str() }))
        }
    }
}

/// A word for programs.
fn reason(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::Ended(_) => "ended",
        UpstreamError::Stopped(_) => "stopped",
        UpstreamError::Failed(_) => "failed",
        UpstreamError::NotReady(_) => "not-ready",
        UpstreamError::Timeout(_) => "timeout",
        UpstreamError::Overloaded(_) => "overloaded",
        UpstreamError::Cancelled => "cancelled",
        UpstreamError::Oversized(_) => "oversized",
    }
}
