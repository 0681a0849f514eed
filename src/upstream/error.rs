//! What can go wrong between the gateway and a server.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::reply::ErrorObject;

/// Why a request got no answer of the server. The texts are fit for clients: they name no paths and no output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpstreamError {
    /// The process ended while the request was in flight, or its pipes broke.
    #[error("the server ended while the request was in flight ({0})")]
    Ended(Arc<str>),
    /// The instance is being stopped.
    #[error("the server was stopped ({0})")]
    Stopped(Arc<str>),
    /// The server gave up after too many failed starts.
    #[error("the server failed: {0}")]
    Failed(Arc<str>),
    /// The server did not become ready before the deadline of the request.
    #[error("the server was not ready in time ({0})")]
    NotReady(Arc<str>),
    /// The server took longer than the limit of the request.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// A queue or table of this server is full.
    #[error("the server has too much to do: {0}")]
    Overloaded(&'static str),
    /// The client took the request back.
    #[error("the request was cancelled by the client")]
    Cancelled,
    /// The answer was longer than `line-max`.
    #[error("the answer of the server has {0} bytes, more than its limit line-max")]
    Oversized(usize),
}

/// Why a request of the gateway's own (handshake, ping, list) gave no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CallError {
    /// It got no answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The server answered with an error.
    #[error("the server answered {code}: {message}", code = .0.code, message = .0.message)]
    Refused(ErrorObject),
}
