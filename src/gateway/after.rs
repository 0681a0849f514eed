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
    /// The session has subscribed to a resource. That is noted before the request is sent, lest the end of another
    /// session's subscription cross it.
    Subscribed {
        uri: String,
        /// Whether it had not before: then a failure undoes it.
        is_new: bool,
    },
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
                Some(uri) => Self::Subscribed {
                    is_new: !session.attachment().is_subscribed(&uri),
                    uri: uri.into_owned(),
                },
                None => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    /// Takes note of a result.
    pub(super) fn succeeded(&self, session: &Session) {
        let mut settings = session.attachment().settings();
        match self {
            Self::LogLevel(params) => settings.log_level = Some(Bytes::copy_from_slice(params)),
            // It may have been taken back meanwhile.
            Self::Subscribed { uri, .. } if settings.subscriptions.contains(uri) => {
                settings.promised.insert(uri.clone());
            }
            Self::Subscribed { .. } | Self::Nothing => {}
        }
    }

    /// Takes note of an error, or that there is no answer.
    pub(super) fn failed(&self, session: &Session) {
        if let Self::Subscribed { uri, is_new: true } = self {
            session.attachment().settings().subscriptions.remove(uri);
        }
    }
}
