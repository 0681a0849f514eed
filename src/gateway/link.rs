//! A session over one channel that carries whole messages both ways, such as a WebSocket or a pair of pipes.
//!
//! It begins and ends with its channel. What it has to say goes to the session's own stream, from which the channel
//! reads it; what the channel brings is taken one after the other.

use std::sync::Arc;

use bytes::Bytes;

use super::context::{Answer, Delivery, RequestContext};
use super::conversation::{Conversation, Session};
use super::gateway::Gateway;
use super::incoming::{Incoming, check_batch};
use super::policy::Pinned;
use crate::protocol::MessageError;
use crate::protocol::reply::{ErrorObject, write_error};
use crate::registry::Server;
use crate::session::{Caller, OpenStream, OutboxReader, Priority, Transport};

/// The gateway's end of a channel. Dropping it ends the session: its lease goes back, its requests are given up.
#[derive(Debug)]
pub struct Link {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    /// The client is there, so the session is not idle.
    _open: OpenStream<Conversation>,
}

impl Link {
    /// Opens a session, and returns what reads the messages for its client.
    pub fn open(
        gateway: &Arc<Gateway>,
        server: Arc<Server>,
        caller: Caller,
        transport: Transport,
    ) -> (Self, OutboxReader) {
        let session = gateway.new_session(server, caller, transport);
        gateway.keep_session(&session);
        let reader = session.standalone().read_unread();
        let link = Self {
            gateway: gateway.clone(),
            _open: session.stream_opened(),
            session,
        };
        (link, reader)
    }

    /// Returns the gateway.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Waits until the client has read enough of what waits for it. Who asks first takes no more of a client that does
    /// not read, and so bounds what its messages make.
    pub async fn room(&self) {
        let outbox = self.session.standalone();
        if outbox.is_full() {
            outbox.relieved().await;
        }
    }

    /// Waits until the session has ended otherwise than with its channel; its last messages can still be read.
    pub async fn ended(&self) {
        self.session.standalone().closed().await;
    }

    /// Takes what the client sent in one piece. Only `initialize` is waited for: what comes after it counts on it.
    pub async fn take(&self, bytes: Bytes, pinned: Option<Pinned>) {
        let ctx = RequestContext {
            session: self.session.clone(),
            delivery: Delivery::SessionStream,
            pinned,
        };
        let answer = match Incoming::parse(bytes, &self.gateway.config().requests) {
            Ok(Incoming::One(message)) => self.gateway.handle(&ctx, message).await,
            Ok(Incoming::Batch(messages)) => match check_batch(&self.session, &messages) {
                Ok(()) => self.gateway.handle_batch(&ctx, messages).await,
                Err(error) => return self.refuse(&error),
            },
            Err(error) => return self.refuse(&error),
        };
        if let Answer::Json(answer) | Answer::Refused(answer) = answer {
            self.say(answer);
        }
    }

    /// Tells the client that what it sent is no message.
    pub fn refuse(&self, error: &MessageError) {
        let mut out = Vec::new();
        let object = ErrorObject::new(error.code, error.message.clone());
        write_error(error.id.as_ref(), &object, &mut out);
        self.say(out.into());
    }

    fn say(&self, answer: Bytes) {
        // There are no more of them than pieces that were taken, and none is taken without room.
        let taken = self.session.standalone().push(answer, Priority::Required);
        debug_assert!(taken.is_ok(), "a required message is always taken");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.gateway.end_session(&self.session, "its client has gone");
    }
}
