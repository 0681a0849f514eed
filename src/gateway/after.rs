//! What the gateway remembers of a request that its server agreed to.

use bytes::Bytes;

use super::conversation::Session;
use crate::protocol::Message;
use crate::protocol::names::method;

/// What the end of a request changes.
#[derive(Debug, Clone)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// Success: the session has set its log level.
    LogLevel(Bytes),
    /// Failure: the session has not subscribed to this resource. That it has is noted before the request is sent, lest
    /// the end of another session's subscription cross it.
    NotSubscribed(String),
}

/// Longer parameters of `logging/setLevel` are not kept for another process; a level is one word.
const LEVEL_BYTES_MAX: usize = 1024;

impl After {
    /// Returns what the end of a request means for its session.
    pub(super) fn of(message: &Message, session: &Session) -> Self {
        match &*message.method() {
            method::SET_LEVEL => {
                let params = message.params().filter(|params| params.len() <= LEVEL_BYTES_MAX);
                params.map_or(Self::Nothing, Self::LogLevel)
            }
            method::SUBSCRIBE => match message.uri() {
                Some(uri) if !session.attachment().is_subscribed(&uri) => {
                    Self::NotSubscribed(uri.into_owned())
                }
                // Asked for again: whatever comes of that, the subscription there was stays.
                _ => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    /// Takes note of a result.
    pub(super) fn succeeded(&self, session: &Session) {
        if let Self::LogLevel(params) = self {
            session.attachment().settings().log_level = Some(Bytes::copy_from_slice(params));
        }
    }

    /// Takes note of an error, or that there is no answer.
    pub(super) fn failed(&self, session: &Session) {
        if let Self::NotSubscribed(uri) = self {
            session.attachment().settings().subscriptions.remove(uri);
        }
    }
}
