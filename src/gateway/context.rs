//! What is known of a message before it is handled, and what becomes of it.

use std::sync::Arc;

use bytes::Bytes;

use super::conversation::Session;
use super::policy::Pinned;
use crate::session::OutboxReader;

/// How the client takes the answer of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// On this very exchange: as JSON, or as an event stream once there is more to say than the answer.
    JsonOrStream,
    /// On this very exchange, as JSON; what else there is to say is not said.
    JsonOnly,
    /// On the session's own stream (HTTP+SSE, WebSocket, stdio).
    SessionStream,
}

/// A message's surroundings.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Its session.
    pub session: Arc<Session>,
    /// How an answer is taken.
    pub delivery: Delivery,
    /// The policies that judge it; `None` without any. See [`Gateway::pin`](super::Gateway::pin).
    pub pinned: Option<Pinned>,
}

impl RequestContext {
    /// Returns the same for one of several messages that came together.
    pub(super) fn of_part(&self, number: usize) -> Self {
        Self {
            pinned: self.pinned.as_ref().map(|pinned| pinned.of_part(number)),
            ..self.clone()
        }
    }
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Answer {
    /// It was taken and needs no answer, or gets it elsewhere.
    Accepted,
    /// The answer: one message or a batch of them, as JSON; and the code of one that is an error.
    Json(Bytes, Option<i32>),
    /// The answer comes on a stream.
    Stream(OutboxReader),
    /// The request was taken back; there is no answer.
    Withdrawn,
    /// It was not taken: an error, as JSON. For a client that gets its answers elsewhere.
    Refused(Bytes),
}
