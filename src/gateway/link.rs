//! A session over one channel that carries whole messages both ways, such as a WebSocket or a pair of pipes.
//!
//! It begins and ends with its channel. What it has to say goes to the session's own stream, from which the channel
//! reads it; what the channel brings is taken one after the other. A client may speak either era, and both: a request
//! that claims the one without handshakes is a visit of its own (`Errand`), all else belongs to the session.

mod errand;
mod visits;

use std::sync::Arc;

use bytes::Bytes;
use tracing::debug;

use self::errand::Errand;
use self::visits::Visits;
use super::context::{Answer, Delivery, RequestContext};
use super::conversation::{Conversation, Session};
use super::error::GatewayError;
use super::gateway::Gateway;
use super::incoming::{Incoming, check_batch};
use super::policy::Pinned;
use crate::protocol::modern::ladder;
use crate::protocol::names::method;
use crate::protocol::reply::{ErrorObject, write_error};
use crate::protocol::{Message, MessageError};
use crate::registry::Target;
use crate::session::{Caller, OpenStream, OutboxReader, Priority, Transport};

/// The gateway's end of a channel. Dropping it ends the session and the visits: leases go back, requests are given up.
#[derive(Debug)]
pub struct Link {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    /// What the channel leads to.
    target: Target,
    visits: Arc<Visits>,
    /// The client is there, so the session is not idle.
    _open: OpenStream<Conversation>,
}

impl Link {
    /// Opens a session, and returns what reads the messages for its client.
    ///
    /// # Errors
    /// There is no server for it that is allowed and enabled, or the policies refuse.
    pub async fn open(
        gateway: &Arc<Gateway>,
        (target, caller): (Target, Caller),
        pinned: Option<&Pinned>,
        transport: Transport,
    ) -> Result<(Self, OutboxReader), GatewayError> {
        let server = gateway.choose_server_to_open(pinned, &caller, &target).await?;
        let session = gateway.new_session(server, caller, transport);
        gateway.keep_session(&session);
        let reader = session.standalone().read_unread();
        let link = Self {
            gateway: gateway.clone(),
            target,
            visits: Arc::default(),
            _open: session.stream_opened(),
            session,
        };
        Ok((link, reader))
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

    /// Waits until everything that was taken is on its way. Nothing is taken any more.
    pub async fn settled(&self) {
        self.visits.begun().await;
    }

    /// Takes what the client sent in one piece. Only `initialize` is waited for: what comes after it counts on it.
    pub async fn take(&self, bytes: Bytes, pinned: Option<Pinned>) {
        let ctx = |pinned| RequestContext {
            session: self.session.clone(),
            delivery: Delivery::SessionStream,
            pinned,
        };
        let answer = match Incoming::parse(bytes, &self.gateway.config().requests) {
            Ok(Incoming::One(request)) if ladder::is_claimed_by(&request) => {
                return self.receive(request, pinned);
            }
            Ok(Incoming::One(message)) if self.takes_back(&message) => return,
            Ok(Incoming::One(message)) => self.gateway.handle(&ctx(pinned), message).await,
            Ok(Incoming::Batch(messages)) => match check_batch(&self.session, &messages) {
                Ok(()) => self.gateway.handle_batch(&ctx(pinned), messages).await,
                Err(error) => return self.refuse(&error),
            },
            Err(error) => return self.refuse(&error),
        };
        if let Answer::Json(answer, _) | Answer::Refused(answer) = answer {
            self.say(answer);
        }
    }

    /// Takes a request that claims to be of the era without handshakes.
    fn receive(&self, request: Message, pinned: Option<Pinned>) {
        self.session.touch();
        if let Err(problem) = self.send_off(&request, pinned) {
            let mut out = Vec::new();
            write_error(request.id(), &problem, &mut out);
            self.say(out.into());
        }
    }

    /// Sends a request on its way, if it says what each must say.
    fn send_off(&self, request: &Message, pinned: Option<Pinned>) -> Result<(), ErrorObject> {
        let meta = ladder::stated(request)?;
        let version = ladder::supported(&meta)?;
        ladder::check_method(request, version)?;
        let id = request.id().expect("a request has an id");
        let in_flight_max = self.gateway.config().requests.in_flight_max;
        let place = self.visits.begin(id, in_flight_max);
        let place = place.map_err(|error| error.to_error_object())?;
        let over = place.over();
        let errand = Errand {
            gateway: self.gateway.clone(),
            target: self.target.clone(),
            caller: self.session.caller().clone(),
            pinned,
            place,
            channel: self.session.standalone().writer(),
        };
        let request = request.clone();
        self.gateway.tasks.spawn(async move {
            over.run_until_cancelled(Box::pin(errand.run((meta, version), request)))
                .await
        });
        Ok(())
    }

    /// Takes back the visit that a cancellation means; `false` if it means none. An id that the session has in flight as
    /// well means neither.
    fn takes_back(&self, message: &Message) -> bool {
        if message.method() != method::CANCELLED {
            return false;
        }
        let Some(id) = message.cancelled_request().filter(|id| self.visits.has(id)) else {
            return false;
        };
        if self.session.attachment().has_in_flight(&id) {
            debug!(session = ?self.session.id(), %id, "cancellation of one of two requests with the same id");
        } else {
            self.visits.take_back(&id);
        }
        true
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
        self.visits.end();
        self.gateway.end_session(&self.session, "its client has gone");
    }
}
