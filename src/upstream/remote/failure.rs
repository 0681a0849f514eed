//! Why a remote server gave no answer, in words that a client may read.

use std::error::Error as _;
use std::io;

use reqwest::StatusCode;
use thiserror::Error;

use crate::protocol::names::code;
use crate::protocol::reply::ErrorObject;

/// Why a remote server gave no answer. The texts name no place and no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RemoteFailure {
    /// No connection could be made; nothing was sent.
    #[error("it cannot be reached: {0}")]
    Unreachable(Unreachable),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TooSlow,
    /// It wants other credentials.
    #[error("it refuses the credentials of the gateway (HTTP status {0})")]
    Credentials(u16),
    /// It points elsewhere, where nobody is followed with credentials.
    #[error("it redirects to another place, which is not followed (HTTP status {0})")]
    Redirect(u16),
    /// It answered with a status that means nothing else.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// The answer is of no type that the transport knows.
    #[error("its answer is neither JSON nor an event stream")]
    ContentType,
    /// The connection broke after the request was sent, at least in part.
    #[error("the connection broke before the answer; the request may have been carried out")]
    Broken,
    /// The answer is over the limit.
    #[error("its answer is longer than its limit line-max")]
    Oversized,
    /// What it answered was not the answer.
    #[error("what it answered is not the answer to the request")]
    WrongAnswer,
    /// A request met no session, again after a new one was opened.
    #[error("its session ended, and so did the next one")]
    SessionGone,
    /// The session that took the place of another one is not like it.
    #[error("it came back with another protocol version")]
    Changed,
    /// The stream that all answers come by is over.
    #[error("its event stream ended")]
    StreamEnded,
    /// HTTP+SSE without an endpoint, or with one of another origin.
    #[error("it names no endpoint of its own origin")]
    Endpoint,
    /// The WebSocket was not opened, or not as it should be.
    #[error("it does not speak WebSocket as it should")]
    Handshake,
    /// The WebSocket was closed, or broke.
    #[error("its WebSocket was closed")]
    SocketClosed,
}

/// Why no connection could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// Its name leads nowhere.
    #[error("its name cannot be resolved")]
    Name,
    /// Nobody answered.
    #[error("no connection in time")]
    TimedOut,
    /// No secure connection.
    #[error("TLS failed")]
    Tls,
    /// Anything else.
    #[error("no connection")]
    Other,
}

impl RemoteFailure {
    /// Returns the failure that a status is.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            code @ (401 | 403 | 407) => Self::Credentials(code),
            code @ 300..=399 => Self::Redirect(code),
            code => Self::Status(code),
        }
    }

    /// Returns the failure that an error of the client is.
    pub(super) fn of_error(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            return Self::Unreachable(unreachable_by(error));
        }
        if error.is_timeout() {
            Self::TooSlow
        } else {
            Self::Broken
        }
    }

    /// Returns whether nothing was sent, because there was nobody to send it to.
    pub(super) fn is_unreachable(self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Returns what a request is answered with.
    pub(super) fn to_error(self) -> ErrorObject {
        ErrorObject::new(
            code::SERVER_UNAVAILABLE,
            format!("the server gave no answer: {self}"),
        )
    }
}

fn unreachable_by(error: &reqwest::Error) -> Unreachable {
    if error.is_timeout() {
        return Unreachable::TimedOut;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.to_string().starts_with("dns error") {
            return Unreachable::Name;
        }
        if let Some(system) = inner.downcast_ref::<io::Error>() {
            match kind_of(system) {
                io::ErrorKind::ConnectionRefused => return Unreachable::Refused,
                io::ErrorKind::TimedOut => return Unreachable::TimedOut,
                // What rustls has to say comes as data that is invalid.
                io::ErrorKind::InvalidData => return Unreachable::Tls,
                _ => {}
            }
        }
        cause = inner.source();
    }
    Unreachable::Other
}

/// Returns the kind of an error that may stand inside another one of the system, which its source does not show.
fn kind_of(mut system: &io::Error) -> io::ErrorKind {
    while let Some(inner) = system.get_ref().and_then(|inner| inner.downcast_ref()) {
        system = inner;
    }
    system.kind()
}

/// Gives an error with its causes, and without the URL.
pub(super) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_what_can_be_done_about_it() {
        let check = |status: u16, expect: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(RemoteFailure::of_status(status).to_string(), expect);
        };
        check(401, "it refuses the credentials of the gateway (HTTP status 401)");
        check(
            308,
            "it redirects to another place, which is not followed (HTTP status 308)",
        );
        check(503, "it answered with HTTP status 503");
    }

    #[test]
    fn the_innermost_error_of_the_system_says_what_happened() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, "certificate");
        assert_eq!(
            kind_of(&io::Error::other(io::Error::other(inner))),
            io::ErrorKind::InvalidData
        );
        assert_eq!(kind_of(&io::Error::other("text")), io::ErrorKind::Other);
        assert_eq!(
            kind_of(&io::ErrorKind::ConnectionRefused.into()),
            io::ErrorKind::ConnectionRefused
        );
    }
}
