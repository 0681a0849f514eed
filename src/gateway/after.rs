//! What the gateway remembers once a server has agreed to a request.

use std::sync::Arc;

use bytes::Bytes;

use super::conversation::Session;
use crate::protocol::Message;
use crate::protocol::names::method;

/// What a successful answer changes.
#[derive(Debug, Clone)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// The session has set its log level.
    LogLevel(Bytes),
    /// The session has subscribed to a resource.
    Subscribed(String),
}

impl After {
    /// Returns what the success of a request means.
    pub(super) fn of(message: &Message) -> Self {
        match &*message.method() {
            method::SET_LEVEL => message.params().map_or(Self::Nothing, Self::LogLevel),
            method::SUBSCRIBE => message
                .uri()
                .map_or(Self::Nothing, |uri| Self::Subscribed(uri.into_owned())),
            _ => Self::Nothing,
        }
    }

    /// Takes note of the success.
    pub(super) fn apply(&self, session: &Arc<Session>) {
        let mut settings = session.attachment().settings();
        match self {
            Self::Nothing => {}
            Self::LogLevel(params) => settings.log_level = Some(Bytes::copy_from_slice(params)),
            Self::Subscribed(uri) => {
                settings.subscriptions.insert(uri.clone());
            }
        }
    }
}
