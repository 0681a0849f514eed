//! One generation of a server: who waits for what, and the way in and out of its pipes.
//!
//! The pending table lives here and not in the supervisor task: a request is one lock and one append away from the
//! pipe, an answer one lock away from its waiter, with no other task in between. What the supervisor's ownership would
//! give holds by construction: closing happens under the same lock as inserting, so no waiter can be forgotten.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::error::{CallError, UpstreamError};
use super::inbound::ServerMessages;
use super::outbound::{Outbound, PushRefused};
use super::own::{write_cancelled, write_own};
use super::own_calls::{NoOne, OneCall, TELL_TIMEOUT};
use super::pending::{Outcome, Patience, Pending, Purpose, Waiter};
use crate::config::ServerName;
use crate::protocol::framing::{Frame, id_of_oversized};
use crate::protocol::names::{code, method};
use crate::protocol::reply::{self, ErrorObject};
use crate::protocol::scan::{ScanOptions, UniqueKeys, scan_array};
use crate::protocol::{Era, Kind, Message, RequestId, ServerFacts};

/// How deep an upstream's messages may be nested. Servers are trusted further than clients: this only keeps the
/// scanner's recursion finite.
const DEPTH_MAX: usize = 512;

/// What is refused in what servers send: broken JSON, and repeated keys where the gateway reads.
pub const SCAN: ScanOptions = ScanOptions {
    depth_max: DEPTH_MAX,
    unique_keys: UniqueKeys::Envelope,
};

/// Limits of a connection, from the server's configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Requests that wait for an answer.
    pub in_flight_max: usize,
    /// Messages that wait for the child's stdin.
    pub queue_max: usize,
    /// Bytes that wait for the child's stdin.
    pub queue_bytes_max: usize,
}

/// Counts of what was not forwarded.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    /// Lines that were no JSON-RPC message.
    pub garbage: AtomicU64,
    /// Answers that nobody waited for: late, repeated or to an unknown id.
    pub unknown_answers: AtomicU64,
    /// Lines over `line-max`.
    pub oversized: AtomicU64,
    /// Progress for requests that are over, and notifications that belong to no session.
    pub strays: AtomicU64,
}

/// Which start of which instance something is of. No two connections of a gateway have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Unique over all servers.
    pub instance: u64,
    /// The first start is 1.
    pub generation: u64,
}

/// A running generation of a server.
pub struct Connection {
    server: ServerName,
    origin: Origin,
    pending: Mutex<Pending>,
    pub(super) outbound: Outbound,
    inbound: Arc<dyn ServerMessages>,
    /// And since when they are known.
    facts: OnceLock<(ServerFacts, Instant)>,
    counts: Arc<ConnectionCounts>,
    pub(super) ended: CancellationToken,
    /// Whether it has been asked what it may not know, and has not answered.
    pub(super) is_probed: AtomicBool,
}

/// A request that could not be made; the waiter has not been called and will not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestRefused {
    /// The generation is over or ending: another one may take the request.
    Closed(UpstreamError),
    /// It is alive, but takes no more.
    Overloaded(UpstreamError),
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(
        server: ServerName,
        origin: Origin,
        limits: ConnectionLimits,
        inbound: Arc<dyn ServerMessages>,
        counts: Arc<ConnectionCounts>,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            origin,
            pending: Mutex::new(Pending::new(limits.in_flight_max, Instant::now())),
            outbound: Outbound::new(limits.queue_max, limits.queue_bytes_max),
            inbound,
            facts: OnceLock::new(),
            counts,
            ended: CancellationToken::new(),
            is_probed: AtomicBool::new(false),
        })
    }

    /// Returns whose it is.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Counts a message of the server that belongs to no session.
    pub fn count_stray(&self) {
        self.counts.strays.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns which start of which instance this is.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns which start of the process this is; the first is 1.
    pub fn generation(&self) -> u64 {
        self.origin.generation
    }

    /// Returns what the server said in the handshake. Absent only while the handshake is under way, when nobody else
    /// has the connection.
    pub fn facts(&self) -> Option<&ServerFacts> {
        self.facts.get().map(|(facts, _)| facts)
    }

    /// Returns how long ago the server said that.
    pub fn facts_age(&self) -> Duration {
        let since = self.facts.get().map(|(_, since)| since.elapsed());
        since.unwrap_or_default()
    }

    /// Returns the era in which it is spoken with the server; before the handshake the one that has it.
    pub fn era(&self) -> Era {
        self.facts().map_or(Era::Handshake, ServerFacts::era)
    }

    pub(super) fn set_facts(&self, facts: ServerFacts) {
        let is_first = self.facts.set((facts, Instant::now())).is_ok();
        assert!(is_first, "a generation shakes hands once");
    }

    /// Sends a request. Its id, and its progress token if it has one, become the number that is returned; `waiter`
    /// gets the end of it exactly once.
    ///
    /// # Errors
    /// The request was not sent and `waiter` is not called.
    pub fn request(
        &self,
        message: &Message,
        waiter: Arc<dyn Waiter>,
        patience: Patience,
    ) -> Result<i64, RequestRefused> {
        self.send_request(waiter, patience, Purpose::Use, |id, out| {
            message.write_request(id, Some(id), out)
        })
    }

    pub(super) fn send_request(
        &self,
        waiter: Arc<dyn Waiter>,
        patience: Patience,
        purpose: Purpose,
        write: impl FnOnce(i64, &mut Vec<u8>),
    ) -> Result<i64, RequestRefused> {
        let now = Instant::now();
        let id = self
            .pending()
            .insert(waiter, patience, purpose, now)
            .map_err(|error| match error {
                UpstreamError::Overloaded(_) => RequestRefused::Overloaded(error),
                _ => RequestRefused::Closed(error),
            })?;
        match self.outbound.push(|out| write(id, out)) {
            Ok(()) => Ok(id),
            // Whoever closed the table in between has told the waiter already; then the request counts as made.
            Err(_) if self.pending().remove(id, now).is_none() => Ok(id),
            Err(PushRefused::Full) => {
                let why = "its queue of messages is full (queue-max, queue-bytes-max)";
                Err(RequestRefused::Overloaded(UpstreamError::Overloaded(why)))
            }
            Err(PushRefused::Closed) => Err(RequestRefused::Closed(UpstreamError::Stopped(
                "its input was closed".into(),
            ))),
        }
    }

    /// Sends a request of the gateway's own and waits for its result.
    ///
    /// # Errors
    /// The server answered with an error, or did not answer.
    pub async fn call(
        &self,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        self.call_for(Purpose::Use, (method, params), self.era(), timeout)
            .await
    }

    /// Sends a request of the gateway's own in an era that is yet to be agreed on.
    pub(super) async fn open(
        &self,
        era: Era,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        self.call_for(Purpose::Use, (method, params), era, timeout).await
    }

    /// Asks the server whether it is there. Does not count as use of it.
    pub(super) async fn ping(&self, timeout: Duration) -> Result<(), CallError> {
        let era = self.era();
        let method = match era {
            Era::Handshake => method::PING,
            Era::Modern => method::DISCOVER,
        };
        self.call_for(Purpose::Check, (method, None), era, timeout)
            .await
            .map(drop)
    }

    async fn call_for(
        &self,
        purpose: Purpose,
        (method, params): (&str, Option<&RawValue>),
        era: Era,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let (tx, rx) = oneshot::channel();
        let waiter = Arc::new(OneCall(Mutex::new(Some(tx))));
        self.send_request(waiter, Patience::of(timeout), purpose, |id, out| {
            write_own(era, id, method, params, out)
        })
        .map_err(|refused| match refused {
            RequestRefused::Closed(error) | RequestRefused::Overloaded(error) => error,
        })?;
        match rx.await.expect("a waiter is completed before it is dropped") {
            Outcome::Failed(error) => Err(error.into()),
            Outcome::Response(message) => result_of(&message),
        }
    }

    /// Sends a notification or anything else that is not answered; `false` if it was not taken.
    pub fn send(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let sent = self.outbound.push(write).is_ok();
        if !sent {
            debug!(generation = self.generation(), "message not taken by the server");
        }
        sent
    }

    /// Sends a request of the gateway's own whose answer changes nothing.
    pub fn tell(&self, method: &str, params: Box<RawValue>) {
        self.tell_and(method, params, Arc::new(NoOne));
    }

    /// Sends a request of the gateway's own, whose answer `waiter` gets, if it is sent.
    pub fn tell_and(&self, method: &str, params: Box<RawValue>, waiter: Arc<dyn Waiter>) {
        let patience = Patience::of(TELL_TIMEOUT);
        let era = self.era();
        let write = |id, out: &mut Vec<u8>| write_own(era, id, method, Some(&params), out);
        if let Err(refused) = self.send_request(waiter, patience, Purpose::Use, write) {
            debug!(?refused, method, "not told");
        }
    }

    /// Answers a request of the server with the answer of a client; `id` is the server's.
    pub fn respond(&self, id: &RequestId, answer: &Message) -> bool {
        self.send(|out| answer.write_with_id(id, out))
    }

    /// Answers a request of the server with an error.
    pub fn refuse(&self, id: &RequestId, error: &ErrorObject) -> bool {
        self.send(|out| reply::write_error(Some(id), error, out))
    }

    /// Takes back a request: its waiter gets [`UpstreamError::Cancelled`], the server `cancellation`.
    pub fn cancel(&self, id: i64, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(entry) = self.pending().remove(id, Instant::now()) else {
            return false;
        };
        self.send(write);
        entry.waiter.complete(Outcome::Failed(UpstreamError::Cancelled));
        true
    }

    /// Returns how many requests wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.pending().len()
    }

    /// Returns whether requests are refused because this generation is over or ending.
    pub fn is_closed(&self) -> bool {
        self.pending().is_closed()
    }

    pub(super) fn last_used(&self) -> Instant {
        self.pending().last_used()
    }

    pub(super) fn inbound(&self) -> &Arc<dyn ServerMessages> {
        &self.inbound
    }

    /// Ends the requests that took too long, tells the server, and tells the others how long they have waited.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let late = self.pending().expire(now);
        for (id, waiter, timeout) in late {
            self.send(|out| write_cancelled(id, "the request took too long", out));
            waiter.complete(Outcome::Failed(UpstreamError::Timeout(timeout)));
        }
        let waiting = self.pending().waiting(now);
        waiting
            .into_iter()
            .for_each(|(waiter, since)| waiter.waits(since));
    }

    /// Refuses what comes from now on and ends what waits. The pipe stays open until [`Outbound::close`].
    pub(super) fn close(&self, reason: &UpstreamError) {
        let waiters = self.pending().close(reason.clone());
        self.ended.cancel();
        for waiter in waiters {
            waiter.complete(Outcome::Failed(reason.clone()));
        }
    }

    /// Refuses what comes from now on; what waits may still be answered.
    pub(super) fn refuse_new(&self, reason: UpstreamError) {
        self.pending().refuse_new(reason);
    }

    pub(super) fn close_if_idle(&self, reason: UpstreamError) -> bool {
        self.pending().close_if_empty(reason)
    }

    /// Takes one frame of the server's output.
    pub(super) fn take(self: &Arc<Self>, frame: Frame) {
        match frame {
            Frame::Line(line) if line.first() == Some(&b'[') => self.take_batch(&line),
            Frame::Line(line) => self.take_line(line),
            Frame::Oversized { length, head, tail } => self.take_oversized(length, &head, &tail),
        }
    }

    /// Servers of 2025-03-26 may answer in batches.
    fn take_batch(self: &Arc<Self>, line: &Bytes) {
        match scan_array(line, SCAN, usize::MAX) {
            Ok(Some(elements)) => elements
                .into_iter()
                .for_each(|span| self.take_line(line.slice(span))),
            Ok(None) => {}
            Err(error) => self.note_garbage(line, &error.to_string()),
        }
    }

    fn take_line(self: &Arc<Self>, line: Bytes) {
        match Message::parse(line.clone(), SCAN) {
            Err(error) => self.note_garbage(&line, &error.message),
            Ok(message) => match message.kind() {
                Kind::Response => self.take_answer(message),
                Kind::Request => self.take_request(message),
                Kind::Notification => self.take_notification(message),
            },
        }
    }

    fn take_answer(&self, message: Message) {
        let entry = match message.id() {
            Some(RequestId::Number(id)) => self.pending().remove(*id, Instant::now()),
            _ => None,
        };
        match entry {
            Some(entry) => entry.waiter.complete(Outcome::Response(message)),
            None => {
                self.counts.unknown_answers.fetch_add(1, Ordering::Relaxed);
                debug!(
                    id = message.id().map(tracing::field::display),
                    "answer that nobody waits for"
                );
            }
        }
    }

    fn take_request(self: &Arc<Self>, message: Message) {
        if message.method() == method::PING {
            let id = message.id().expect("a request has an id");
            self.send(|out| reply::write_result(id, b"{}", out));
        } else {
            self.inbound.request(self, message);
        }
    }

    fn take_notification(self: &Arc<Self>, message: Message) {
        if message.method() != method::PROGRESS {
            self.inbound.notification(self, message);
            return;
        }
        let waiter = match message.progress_token() {
            Some(RequestId::Number(token)) => self.pending().progress(token, Instant::now()),
            _ => None,
        };
        match waiter {
            Some(waiter) => waiter.progress(message),
            None => {
                self.counts.strays.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn take_oversized(&self, length: usize, head: &[u8], tail: &[u8]) {
        self.counts.oversized.fetch_add(1, Ordering::Relaxed);
        warn!(length, "message of the server over line-max was dropped");
        let entry = id_of_oversized(head, tail).and_then(|id| self.pending().remove(id, Instant::now()));
        if let Some(entry) = entry {
            entry
                .waiter
                .complete(Outcome::Failed(UpstreamError::Oversized(length)));
        }
    }

    fn note_garbage(&self, line: &[u8], error: &str) {
        let count = self.counts.garbage.fetch_add(1, Ordering::Relaxed) + 1;
        let start = String::from_utf8_lossy(&line[..line.len().min(120)]).into_owned();
        // Powers of two: a server that prints its log to stdout does not fill ours.
        if count.is_power_of_two() {
            warn!(
                count,
                error, start, "the server wrote something to stdout that is no JSON-RPC message"
            );
        }
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending
            .lock()
            .expect("no holder panics: only table operations happen under this lock")
    }
}

fn result_of(message: &Message) -> Result<Bytes, CallError> {
    if let Some(result) = message.result() {
        return Ok(result);
    }
    #[derive(serde::Deserialize)]
    struct Refusal {
        code: i32,
        message: String,
        data: Option<serde_json::Value>,
    }
    let error = message.error().unwrap_or_default();
    let refusal = serde_json::from_slice(&error).unwrap_or_else(|_| Refusal {
        code: code::INTERNAL_ERROR,
        message: "an error that is not of the form of JSON-RPC".to_owned(),
        data: None,
    });
    let Refusal { code, message, data } = refusal;
    Err(CallError::Refused(ErrorObject { code, message, data }))
}
