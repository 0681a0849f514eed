//! One request of a client, from its arrival to its one answer.
//!
//! An exchange is its own waiter: the task that reads the server's output puts progress and the answer straight into
//! it, or into the stream that it has become. No task is spawned for a request, and a client that goes away leaves
//! nothing behind but an entry that the answer or the deadline clears.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tracing::debug;

use super::after::After;
use super::conversation::Session;
use super::error::GatewayError;
use crate::protocol::reply::write_error;
use crate::protocol::{Message, RequestId};
use crate::session::{Outbox, Priority};
use crate::upstream::{Connection, Outcome, UpstreamError, Waiter};

/// One request.
#[derive(Debug)]
pub struct Exchange {
    client_id: RequestId,
    client_token: Option<RequestId>,
    session: Arc<Session>,
    /// After which time the answer becomes a stream; `None` where only the answer is taken.
    stream_after: Option<Duration>,
    after: After,
    /// Where it was sent, for a cancellation.
    upstream: OnceLock<(Weak<Connection>, i64)>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
enum State {
    /// Somebody waits for the first word.
    Waiting {
        /// What came before the answer.
        events: Vec<Bytes>,
        answer: Option<End>,
        /// It has taken so long that the client should see a sign of life.
        long: bool,
    },
    /// Everything goes to a stream.
    Streaming(Arc<Outbox>),
    /// It is over.
    Done,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an answer, as JSON.
    Answer(Bytes),
    /// The client took it back.
    Withdrawn,
}

/// The first word of an exchange.
#[derive(Debug)]
pub enum First {
    /// It is over.
    End(End),
    /// There is something to say before the answer, or it takes so long that there should be a sign of life.
    Events,
}

/// Events that wait for somebody to take the first word, at most; the answer is always taken.
const WAITING_EVENTS_MAX: usize = 256;

impl Exchange {
    /// Returns an exchange that somebody waits for.
    pub(super) fn waiting(
        message: &Message,
        session: Arc<Session>,
        stream_after: Option<Duration>,
    ) -> Arc<Self> {
        let state = State::Waiting {
            events: Vec::new(),
            answer: None,
            long: false,
        };
        Self::new(message, session, stream_after, state)
    }

    /// Returns an exchange whose answer goes to a stream.
    pub(super) fn streaming(message: &Message, session: Arc<Session>, outbox: Arc<Outbox>) -> Arc<Self> {
        Self::new(message, session, Some(Duration::MAX), State::Streaming(outbox))
    }

    fn new(
        message: &Message,
        session: Arc<Session>,
        stream_after: Option<Duration>,
        state: State,
    ) -> Arc<Self> {
        Arc::new(Self {
            client_id: message.id().expect("an exchange is opened for a request").clone(),
            client_token: message.wanted_progress_token(),
            session,
            stream_after,
            after: After::of(message),
            upstream: OnceLock::new(),
            state: Mutex::new(state),
            wake: Notify::new(),
        })
    }

    /// Returns the id that the client gave.
    pub fn client_id(&self) -> &RequestId {
        &self.client_id
    }

    /// Returns whether its client takes anything but the answer here.
    pub(super) fn takes_events(&self) -> bool {
        self.stream_after.is_some()
    }

    pub(super) fn sent(&self, connection: &Arc<Connection>, id: i64) {
        // A request that is sent again after a restart of the server keeps its first place: that one is over.
        let _ = self.upstream.set((Arc::downgrade(connection), id));
    }

    /// Tells the server that the client takes the request back; `false` if it is over already.
    pub(super) fn cancel(&self, cancellation: &Message) -> bool {
        let Some((connection, id)) = self.upstream.get() else {
            return false;
        };
        let Some(connection) = connection.upgrade() else {
            return false;
        };
        connection.cancel(*id, |out| {
            cancellation.write_with_cancelled_request(&RequestId::Number(*id), out)
        })
    }

    /// Puts a message before the answer; `false` if it was not taken.
    pub(super) fn event(&self, data: Bytes) -> bool {
        let mut state = self.state();
        match &mut *state {
            State::Waiting {
                events, answer: None, ..
            } if self.takes_events() && events.len() < WAITING_EVENTS_MAX => {
                events.push(data);
                drop(state);
                self.wake.notify_one();
                true
            }
            State::Streaming(outbox) => outbox.push(data, Priority::Droppable).is_ok(),
            State::Waiting { .. } | State::Done => false,
        }
    }

    /// Waits until there is something to say.
    pub(super) async fn first(&self) -> First {
        loop {
            let woken = self.wake.notified();
            {
                let mut state = self.state();
                if let State::Waiting { events, answer, long } = &mut *state {
                    if !events.is_empty() || (*long && answer.is_none()) {
                        return First::Events;
                    }
                    if let Some(end) = answer.take() {
                        *state = State::Done;
                        return First::End(end);
                    }
                }
            }
            woken.await;
        }
    }

    /// Goes on as a stream: what has come and what will come goes there.
    pub(super) fn stream_into(&self, outbox: Arc<Outbox>) {
        let mut state = self.state();
        let before = std::mem::replace(&mut *state, State::Streaming(outbox.clone()));
        let State::Waiting { events, answer, .. } = before else {
            return;
        };
        for event in events {
            if outbox.push(event, Priority::Droppable).is_err() {
                debug!("event dropped: the stream is full");
            }
        }
        match answer {
            Some(end) => put(&outbox, end),
            None => return,
        }
        *state = State::Done;
    }

    /// Ends the exchange. Also the way in which the gateway answers by itself.
    pub(super) fn finish(&self, end: End) {
        self.session.attachment().remove_exchange(self);
        let mut state = self.state();
        match &mut *state {
            State::Waiting { answer, .. } => *answer = Some(end),
            State::Streaming(outbox) => {
                put(outbox, end);
                *state = State::Done;
            }
            State::Done => {}
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Ends the exchange with an error of the gateway.
    pub(super) fn fail(&self, error: &GatewayError) {
        let mut out = Vec::new();
        write_error(Some(&self.client_id), &error.to_error_object(), &mut out);
        self.finish(End::Answer(out.into()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn put(outbox: &Outbox, end: End) {
    match end {
        End::Answer(answer) => {
            let taken = outbox.push(answer, Priority::Required);
            debug_assert!(taken.is_ok(), "a required message is always taken");
        }
        End::Withdrawn => outbox.answer_withdrawn(),
    }
}

impl Waiter for Exchange {
    fn waits(&self, since: Duration) {
        if self.stream_after.is_none_or(|after| since < after) {
            return;
        }
        if let State::Waiting { long, .. } = &mut *self.state() {
            *long = true;
            self.wake.notify_one();
        }
    }

    fn complete(&self, outcome: Outcome) {
        match outcome {
            Outcome::Response(message) => {
                if message.error().is_none() {
                    self.after.apply(&self.session);
                }
                let mut out = Vec::with_capacity(message.bytes().len() + 32);
                message.write_with_id(&self.client_id, &mut out);
                self.finish(End::Answer(out.into()));
            }
            Outcome::Failed(UpstreamError::Cancelled) => self.finish(End::Withdrawn),
            Outcome::Failed(error) => {
                let server = self.session.attachment().server().name().clone();
                self.fail(&GatewayError::Upstream { server, error });
            }
        }
    }

    fn progress(&self, message: Message) {
        // A client that asked for no progress gets none, though the server could not know the token.
        let Some(token) = &self.client_token else { return };
        let mut out = Vec::new();
        message.write_with_progress_token(token, &mut out);
        if !self.event(out.into()) {
            debug!("progress dropped: nobody takes it, or the stream is full");
        }
    }
}
