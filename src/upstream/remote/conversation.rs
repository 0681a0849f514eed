//! The lines of the gateway, each brought to the server in its own way: requests side by side, everything else in order,
//! and nothing until a new log level is set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, Span, error};

use super::body::skip;
use super::exchange::Exchange;
use super::failure::RemoteFailure;
use super::listening::listen;
use super::refusal::Refusal;
use super::strings::Outgoing;
use super::wire::{Ending, Shape, Wire};
use crate::protocol::names::method;
use crate::protocol::{Kind, Message, RequestId};
use crate::upstream::SCAN;

/// Notifications and answers that wait for their turn; whoever has one more waits, and in the end the gateway's queue
/// to this server is full.
const LANE_MAX: usize = 256;
/// Longest wait until the server has accepted one of them.
const ACCEPT_TIME: Duration = Duration::from_secs(30);
/// Longest time for which a new log level keeps other messages back.
const SETTING_TIME: Duration = Duration::from_secs(1);
/// How long a request that was cancelled before the server had answered with anything may take to get there: connections
/// of their own overtake each other, and a cancellation that comes first counts for nothing.
const OVERTAKING_TIME: Duration = Duration::from_millis(250);
/// Longest wait for the end of a session.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// A conversation over HTTP.
pub(super) struct Conversation<'a> {
    wire: Arc<Wire>,
    outgoing: &'a mut Outgoing,
    tasks: JoinSet<()>,
    exchanges: HashMap<RequestId, Running>,
    permits: Arc<Semaphore>,
    lane: mpsc::Sender<Message>,
}

struct Running {
    task: AbortHandle,
    is_modern: bool,
    is_taken: Arc<AtomicBool>,
    /// Its room among those that are in flight, while it is.
    permit: Weak<OwnedSemaphorePermit>,
}

impl<'a> Conversation<'a> {
    /// Begins it. `tasks` may hold what else belongs to it.
    pub(super) fn new(wire: Arc<Wire>, outgoing: &'a mut Outgoing, mut tasks: JoinSet<()>) -> Self {
        let (lane, lane_rx) = mpsc::channel(LANE_MAX);
        tasks.spawn(follow_lane(wire.clone(), lane_rx).instrument(Span::current()));
        if wire.shape == Shape::Streamable {
            tasks.spawn(listen(wire.clone()).instrument(Span::current()));
        }
        Self {
            permits: Arc::new(Semaphore::new(wire.server.in_flight_max())),
            wire,
            outgoing,
            tasks,
            exchanges: HashMap::new(),
            lane,
        }
    }

    /// Goes on until it is over.
    pub(super) async fn run(mut self, mut endings: mpsc::Receiver<Ending>) -> Ending {
        let ending = loop {
            let line = tokio::select! {
                biased; // the end first, then what has ended, then what is new
                Some(ending) = endings.recv() => break ending,
                Some(ended) = self.tasks.join_next() => {
                    if let Err(failed) = ended && failed.is_panic() {
                        error!(error = %failed, "a task of a remote server panicked");
                        break Ending::Lost(RemoteFailure::Broken);
                    }
                    continue;
                }
                line = self.outgoing.next() => line,
            };
            let Some(line) = line else { break Ending::Closed };
            tokio::select! {
                biased;
                Some(ending) = endings.recv() => break ending,
                () = self.take(line) => {}
            }
        };
        self.tasks.shutdown().await;
        if !matches!(ending, Ending::FallBack(..)) {
            // A server that takes longer ends the session by itself one day.
            let _ = tokio::time::timeout(LEAVE_TIME, self.wire.take_leave()).await;
        }
        ending
    }

    async fn take(&mut self, line: Bytes) {
        let message = match Message::parse(line, SCAN) {
            Ok(message) => message,
            Err(error) => {
                return self
                    .wire
                    .log
                    .say(format_args!("not sent, it is no message: {error}"));
            }
        };
        match message.kind() {
            Kind::Request => self.request(message).await,
            Kind::Notification if message.method() == method::CANCELLED => self.cancel(message).await,
            Kind::Notification if message.method() == method::INITIALIZED => self.initialized(&message).await,
            // The lane ends with this conversation, not before.
            Kind::Notification | Kind::Response => drop(self.lane.send(message).await),
        }
    }

    async fn request(&mut self, message: Message) {
        let permit = match &*message.method() {
            method::LISTEN => None,
            _ => {
                let permit = self.permits.clone().acquire_owned().await;
                Some(Arc::new(permit.expect("the semaphore is never closed")))
            }
        };
        self.wire.session.note(&message);
        let held = permit.as_ref().map(Arc::downgrade).unwrap_or_default();
        let exchange = Exchange::new(self.wire.clone(), message.clone(), permit);
        let (is_modern, is_taken) = (exchange.is_modern(), exchange.is_taken());
        let is_setting = message.method() == method::SET_LEVEL;
        let (done, ended) = is_setting.then(oneshot::channel::<()>).unzip();
        let run = async move {
            exchange.run().await;
            drop(done);
        };
        let task = self.tasks.spawn(run.instrument(Span::current()));
        if self.exchanges.len() >= 2 * self.wire.server.in_flight_max() {
            self.exchanges.retain(|_, running| !running.task.is_finished());
        }
        let id = message.id().expect("a request has an id").clone();
        let running = Running {
            task,
            is_modern,
            is_taken,
            permit: held,
        };
        self.exchanges.insert(id, running);
        if let Some(ended) = ended {
            // What comes next is to find it set: requests of their own connections may overtake each other.
            let _ = tokio::time::timeout(SETTING_TIME, ended).await;
        }
    }

    /// In the modern era to close the stream is to cancel; before, the server is told, and nothing more is expected.
    async fn cancel(&mut self, message: Message) {
        let running = message
            .cancelled_request()
            .and_then(|id| self.exchanges.remove(&id));
        let Some(running) = running else {
            return self.tell_cancelled(message).await;
        };
        let permit = running.permit.upgrade();
        // What of the request is not on its way now never will be.
        running.task.abort();
        if running.is_modern || self.wire.session.version().is_none() {
            return;
        }
        if running.is_taken.load(Ordering::Relaxed) {
            return self.tell_cancelled(message).await;
        }
        let wire = self.wire.clone();
        let later = async move {
            tokio::time::sleep(OVERTAKING_TIME).await;
            tell(&wire, &message).await;
            drop(permit);
        };
        self.tasks.spawn(later.instrument(Span::current()));
    }

    async fn tell_cancelled(&self, message: Message) {
        if self.wire.session.version().is_some() {
            let _ = self.lane.send(message).await;
        }
    }

    /// Nothing else is sent until the server has this.
    async fn initialized(&self, message: &Message) {
        tell(&self.wire, message).await;
        if self.wire.shape == Shape::Streamable {
            self.wire.sessions.send_replace(1);
            self.wire.listening().await;
        }
    }
}

async fn follow_lane(wire: Arc<Wire>, mut lane: mpsc::Receiver<Message>) {
    while let Some(message) = lane.recv().await {
        tell(&wire, &message).await;
    }
}

/// Sends what is not answered. If the server does not take it, the log says so.
async fn tell(wire: &Wire, message: &Message) {
    let told = tokio::time::timeout(ACCEPT_TIME, try_tell(wire, message)).await;
    if let Err(failure) = told.unwrap_or(Err(RemoteFailure::TooSlow)) {
        let what = match message.kind() {
            Kind::Notification => message.method(),
            _ => "an answer".into(),
        };
        wire.log.say(format_args!("{what} was not taken: {failure}"));
    }
}

async fn try_tell(wire: &Wire, message: &Message) -> Result<(), RemoteFailure> {
    let mut was_renewed = false;
    loop {
        let mut headers = HeaderMap::new();
        let epoch = wire.session.write(&mut headers);
        let mut response = wire.post(message.bytes().clone(), headers).await?;
        if response.status().is_success() {
            skip(&mut response).await;
            return Ok(());
        }
        let refusal = Refusal::read(response).await;
        // Another session has not asked what this answers.
        let is_for_any_session = message.kind() == Kind::Notification && !was_renewed;
        if !(epoch.has_id && refusal.is_unknown_session() && is_for_any_session) {
            return Err(RemoteFailure::of_status(refusal.status));
        }
        wire.renew(epoch).await?;
        was_renewed = true;
    }
}
