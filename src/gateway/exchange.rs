//! One request of a client, from its arrival to its one answer.
//!
//! An exchange is its own waiter: the task that reads the server's output puts the answer straight into it, or into the
//! stream that it has become. No task is spawned for a request whose server is ready. A client that goes away does not
//! take its request back (2025-11-25, "Streamable HTTP"): the entry stays until the answer or the deadline clears it.

mod heir;
mod outcome;

use std::borrow::Cow;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::to_raw_value;
use tokio::sync::Notify;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::heir::Heir;
use super::after::After;
use super::bridge::{Bridge, own_result};
use super::conversation::Session;
use super::error::GatewayError;
use super::policy::{Asked, Judge};
use super::rounds::Round;
use super::tasks::TaskAnswer;
use crate::protocol::names::method;
use crate::protocol::reply::{write_error, write_notification, write_result};
use crate::protocol::{Era, Message, RequestId};
use crate::session::{Outbox, OutboxReader, Priority};
use crate::upstream::pending::Patience;
use crate::upstream::{Connection, Outcome, SCAN, Waiter};

/// One request.
#[derive(Debug)]
pub struct Exchange {
    me: Weak<Self>,
    client_id: RequestId,
    client_token: Option<RequestId>,
    session: Arc<Session>,
    /// Counts it for a drain, whether its session is in the store or not.
    _counted: TaskTrackerToken,
    /// After which time the answer becomes a stream; `None` where only the answer is taken.
    stream_after: Option<Duration>,
    /// Known when it is about to be sent, as the policies left it.
    after: OnceLock<After>,
    /// Who judges the answer and what comes before it, if anybody does.
    judged: OnceLock<(Judge, Asked)>,
    /// What its answer needs where its server speaks another era.
    bridge: OnceLock<Bridge>,
    /// What its answer means for the tasks of a shared process.
    tasks: OnceLock<TaskAnswer>,
    /// How often its answer has asked its client for something first.
    rounds: AtomicUsize,
    /// What its client is being asked.
    round: Mutex<Option<Arc<Round>>>,
    /// What the client asked, where it may have to ask again.
    question: Option<Question>,
    /// Who gets what comes when it has ended for its client, but not for its server.
    heir: OnceLock<Mutex<Heir>>,
    /// Where it was sent, for a cancellation.
    upstream: Mutex<Option<(Weak<Connection>, i64)>>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
enum State {
    /// Somebody waits for the first word, which may have come.
    Waiting(Option<End>),
    /// Everything goes to a stream; whoever waits for the first word gets its reader.
    Streaming(Arc<Outbox>, Option<OutboxReader>),
    /// It is over, but whoever waits for the first word has yet to come for the reader.
    Streamed(OutboxReader),
    /// Whoever waited has gone; the request goes on all the same.
    Abandoned,
    /// It is over.
    Done,
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Streamed(_) | Self::Waiting(Some(_)))
    }
}

/// What a client asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) params: Bytes,
    /// The least severe level of log messages that it wants to hear of.
    pub(super) log_level: Option<String>,
}

impl Question {
    pub(super) fn of(request: &Message) -> Self {
        Self {
            method: request.method().into_owned(),
            params: request.params().unwrap_or_default(),
            log_level: request.log_level().map(Cow::into_owned),
        }
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an answer, as JSON; and the code of one that is an error.
    Answer(Bytes, Option<i32>),
    /// The client took it back.
    Withdrawn,
}

/// The first word of an exchange.
#[derive(Debug)]
pub enum First {
    /// It is over.
    End(End),
    /// There is something to say before the answer: it has become a stream.
    Stream(OutboxReader),
}

/// Whether a message that is not the answer reaches the client through an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Somebody waits for it, or reads its stream.
    Live,
    /// It has a stream that nobody reads at the moment.
    Detached,
    /// It does not.
    Never,
}

/// Dropping this in a panic answers the request: there is nobody else who would.
pub(super) struct Owed(pub(super) Arc<Exchange>);

impl Drop for Owed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&GatewayError::Panicked);
        }
    }
}

/// Somebody waits for the first word of an exchange; dropping this says that nobody does any more.
pub(super) struct Attendance<'a>(&'a Exchange);

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Exchange {
    /// Returns an exchange that somebody waits for.
    pub(super) fn waiting(
        message: &Message,
        session: Arc<Session>,
        stream_after: Option<Duration>,
    ) -> Arc<Self> {
        Self::new(message, session, stream_after, State::Waiting(None))
    }

    /// Returns an exchange whose answer goes to a stream.
    pub(super) fn streaming(message: &Message, session: Arc<Session>, outbox: Arc<Outbox>) -> Arc<Self> {
        Self::new(message, session, None, State::Streaming(outbox, None))
    }

    fn new(
        message: &Message,
        session: Arc<Session>,
        stream_after: Option<Duration>,
        state: State,
    ) -> Arc<Self> {
        session.request_began();
        let question = (session.era() == Era::Modern).then(|| Question::of(message));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            question,
            heir: OnceLock::new(),
            client_id: message.id().expect("an exchange is opened for a request").clone(),
            client_token: message.wanted_progress_token(),
            _counted: session.attachment().count_exchange(),
            session,
            stream_after,
            after: OnceLock::new(),
            judged: OnceLock::new(),
            bridge: OnceLock::new(),
            tasks: OnceLock::new(),
            rounds: AtomicUsize::new(0),
            round: Mutex::default(),
            upstream: Mutex::default(),
            state: Mutex::new(state),
            wake: Notify::new(),
        })
    }

    /// Notes what the end of it will mean for its session.
    pub(super) fn set_after(&self, message: &Message) {
        self.after.get_or_init(|| After::of(message, &self.session));
    }

    /// Notes who has judged it, and will judge the answer.
    pub(super) fn judged_by(&self, judge: Judge, asked: Asked) {
        self.judged.get_or_init(|| (judge, asked));
    }

    /// Notes that its server speaks another era.
    pub(super) fn bridged_by(&self, bridge: Bridge) {
        self.bridge.get_or_init(|| bridge);
    }

    /// Notes what its answer will mean for the tasks of a shared process.
    pub(super) fn set_tasks(&self, answer: Option<TaskAnswer>) {
        if let Some(answer) = answer {
            self.tasks.get_or_init(|| answer);
        }
    }

    /// Returns whose it is.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Returns the id that the client gave.
    pub fn client_id(&self) -> &RequestId {
        &self.client_id
    }

    /// Returns whether anything but the answer reaches the client here.
    pub(super) fn reach(&self) -> Reach {
        self.reach_in(&self.state())
    }

    fn reach_in(&self, state: &State) -> Reach {
        match state {
            State::Waiting(None) if self.stream_after.is_some() => Reach::Live,
            State::Streaming(outbox, _) if outbox.is_attached() => Reach::Live,
            State::Streaming(..) => Reach::Detached,
            State::Waiting(_) | State::Streamed(_) | State::Abandoned | State::Done => Reach::Never,
        }
    }

    /// Returns whether it has its answer, or was taken back.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over()
    }

    /// Notes where it was sent. If it was taken back in the meantime, the server is told.
    pub(super) fn sent(&self, connection: &Arc<Connection>, id: i64) {
        self.is_at(Arc::downgrade(connection), id);
    }

    fn is_at(&self, connection: Weak<Connection>, id: i64) {
        *self.upstream.lock().expect("no holder panics") = Some((connection, id));
        if self.is_over() {
            self.cancel_upstream("the client took it back");
        }
    }

    /// Takes the request back for its client and tells the server, if it has been sent; `false` if it is over already.
    pub(super) fn cancel(&self, cancellation: &Message) -> bool {
        let Some((connection, id)) = self.place() else {
            let was_open = !self.is_over();
            self.withdraw();
            return was_open;
        };
        let Some(connection) = connection.upgrade() else {
            return false;
        };
        connection.cancel(id, |out| {
            cancellation.write_with_cancelled_request(&RequestId::Number(id), out)
        })
    }

    /// Ends the exchange with an error of the gateway and tells the server that nobody waits any more.
    pub(super) fn give_up(&self, error: &GatewayError) {
        self.fail(error);
        self.cancel_upstream(&error.to_string());
    }

    fn cancel_upstream(&self, reason: &str) {
        let Some((connection, id)) = self.connection() else {
            return;
        };
        let params = to_raw_value(&serde_json::json!({ "requestId": id, "reason": reason }));
        let params = params.expect("plain data becomes JSON");
        connection.cancel(id, |out| {
            write_notification(method::CANCELLED, Some(&params), out)
        });
    }

    /// Returns where it was sent.
    fn place(&self) -> Option<(Weak<Connection>, i64)> {
        self.upstream.lock().expect("no holder panics").clone()
    }

    /// Returns where it was sent, if that is still there.
    fn connection(&self) -> Option<(Arc<Connection>, i64)> {
        let (connection, id) = self.place()?;
        Some((connection.upgrade()?, id))
    }

    /// Gives the server another patience, from now on.
    pub(super) fn postpone(&self, patience: Patience) {
        if let Some((connection, id)) = self.connection() {
            connection.postpone(id, patience);
        }
    }

    /// Returns what the client asked, where it may have to ask again.
    pub(super) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Puts a message before the answer; `false` if it was not taken.
    pub(super) fn event(&self, data: Bytes) -> bool {
        let mut state = self.state();
        self.stream_if_waiting(&mut state);
        match &*state {
            State::Streaming(outbox, _) => outbox.push(data, Priority::Droppable).is_ok(),
            State::Waiting(_) | State::Streamed(_) | State::Abandoned | State::Done => false,
        }
    }

    /// Makes a stream of an exchange that is being waited for, if its client takes one and its session may have it.
    fn stream_if_waiting(&self, state: &mut State) {
        let may_stream = matches!(state, State::Waiting(None)) && self.stream_after.is_some();
        if may_stream && let Some(outbox) = self.session.open_stream(1) {
            let reader = outbox.read_after(0);
            *state = State::Streaming(outbox, Some(reader));
            self.wake.notify_one();
        }
    }

    /// Says that somebody waits for the first word, until the guard is dropped.
    pub(super) fn attend(&self) -> Attendance<'_> {
        Attendance(self)
    }

    fn abandon(&self) {
        let mut state = self.state();
        match &mut *state {
            State::Waiting(None) => *state = State::Abandoned,
            State::Waiting(Some(_)) | State::Streamed(_) => *state = State::Done,
            State::Streaming(_, reader) => drop(reader.take()),
            State::Abandoned | State::Done => {}
        }
    }

    /// Waits until there is something to say.
    pub(super) async fn first(&self) -> First {
        loop {
            let woken = self.wake.notified();
            {
                let mut state = self.state();
                match &mut *state {
                    State::Waiting(answer) => {
                        if let Some(end) = answer.take() {
                            *state = State::Done;
                            return First::End(end);
                        }
                    }
                    State::Streaming(_, reader) => {
                        return First::Stream(reader.take().expect("the first word is taken once"));
                    }
                    State::Streamed(_) => {
                        let before = std::mem::replace(&mut *state, State::Done);
                        if let State::Streamed(reader) = before {
                            return First::Stream(reader);
                        }
                    }
                    State::Abandoned | State::Done => {}
                }
            }
            woken.await;
        }
    }

    /// Becomes a stream although there is nothing to say yet, unless the first word has come.
    pub(super) fn become_stream(&self) {
        self.stream_if_waiting(&mut self.state());
    }

    /// Returns after which time of waiting it should become a stream, if its client takes one.
    pub(super) fn stream_after(&self) -> Option<Duration> {
        self.stream_after
    }

    /// Ends the exchange with an answer of the gateway's own; `result` is JSON.
    pub(super) fn answer(&self, result: &[u8]) {
        self.finish(End::Answer(self.written(result), None));
    }

    /// Returns the answer with a result of the gateway's own.
    fn written(&self, result: &[u8]) -> Bytes {
        let mut out = Vec::new();
        write_result(&self.client_id, &own_result(self.session.era(), result), &mut out);
        out.into()
    }

    /// Ends the exchange with a result of the gateway's own in the place of the server, which would have agreed.
    pub(super) fn answer_agreed(&self, result: &[u8]) {
        if let Some(after) = self.after.get() {
            after.succeeded(&self.session);
        }
        self.answer(result);
    }

    /// Ends the exchange with an answer of the gateway in the place of its server's, judged as that would be. `result`
    /// is JSON.
    pub(super) fn answer_for_server(&self, result: &[u8]) -> Result<(), GatewayError> {
        let answer = Message::parse(self.written(result), SCAN).map_err(GatewayError::InvalidMessage)?;
        self.complete(Outcome::Response(answer));
        Ok(())
    }

    /// Ends the exchange; `false` if it has ended already.
    fn finish(&self, end: End) -> bool {
        let is_first = self.end(end, |_| true);
        // Nobody wants to know any more what the client is being asked.
        if let Some(round) = self.round().take() {
            round.give_up();
        }
        is_first
    }

    /// Ends the exchange if it had not ended and `agrees` says so, before anybody can see that it has.
    fn end(&self, end: End, agrees: impl FnOnce(&State) -> bool) -> bool {
        let mut state = self.state();
        if state.is_over() || !agrees(&state) {
            return false;
        }
        self.session.attachment().remove_exchange(self);
        match &mut *state {
            State::Waiting(answer) => {
                *answer = Some(end);
                drop(state);
                self.wake.notify_one();
            }
            State::Streaming(outbox, reader) => {
                put(outbox, end);
                *state = reader.take().map_or(State::Done, State::Streamed);
            }
            State::Abandoned => *state = State::Done,
            State::Streamed(_) | State::Done => {}
        }
        true
    }

    fn withdraw(&self) {
        self.failed();
        self.finish(End::Withdrawn);
    }

    /// Ends the exchange with an error of the gateway.
    pub(super) fn fail(&self, error: &GatewayError) {
        self.end_with_error(error);
    }

    /// Ends the exchange with an error of the gateway; `false` if it has ended already.
    fn end_with_error(&self, error: &GatewayError) -> bool {
        self.failed();
        let object = error.to_error_object();
        let mut out = Vec::new();
        write_error(Some(&self.client_id), &object, &mut out);
        self.finish(End::Answer(out.into(), Some(object.code)))
    }

    fn failed(&self) {
        if let Some(after) = self.after.get() {
            after.failed(&self.session);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn put(outbox: &Outbox, end: End) {
    match end {
        End::Answer(answer, _) => {
            let taken = outbox.push(answer, Priority::Required);
            debug_assert!(taken.is_ok(), "a required message is always taken");
        }
        End::Withdrawn => outbox.answer_withdrawn(),
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.request_ended();
    }
}
