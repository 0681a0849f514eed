//! What the tasks of one connection over HTTP share: where to post, where what comes back goes, and the word that it
//! is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Response, Url};
use tokio::sync::{mpsc, watch};

use super::failure::RemoteFailure;
use super::server::RemoteServer;
use super::session::Session;
use super::strings::{Log, one_line};
use crate::protocol::framing::{Frame, id_of_oversized};
use crate::protocol::reply::{self, ErrorObject};
use crate::protocol::scan::scan_array;
use crate::protocol::{Kind, Message, RequestId};
use crate::upstream::SCAN;

/// How a connection over HTTP works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each POST brings its answer.
    Streamable,
    /// All answers come by one stream.
    Classic,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Ending {
    /// The gateway closed it.
    Closed,
    /// The server is not there any more, or does not do what it should.
    Lost(RemoteFailure),
    /// The server refused `initialize`, given here, as one does that speaks HTTP+SSE alone.
    FallBack(Bytes, RemoteFailure),
}

/// A connection over HTTP.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) server: Arc<RemoteServer>,
    pub(super) shape: Shape,
    pub(super) session: Session,
    pub(super) log: Log,
    /// How many sessions have been opened.
    pub(super) sessions: watch::Sender<u64>,
    /// Of how many it is known whether the server has a stream of its own messages.
    pub(super) listened: watch::Sender<u64>,
    /// Held by whoever opens another session; how often that was.
    pub(super) renewals: tokio::sync::Mutex<u64>,
    target: Url,
    pub(super) incoming: mpsc::Sender<Bytes>,
    endings: mpsc::Sender<Ending>,
    /// Answers that are being read.
    answers: AtomicUsize,
    /// Why the server could not be reached when that was last tried.
    doubt: Mutex<Option<RemoteFailure>>,
}

/// Longest time for which a new session's messages wait for the stream of the server's own.
const LISTENING_TIME: Duration = Duration::from_secs(1);
/// The first ending is the one that counts.
const ENDINGS: usize = 1;

impl Wire {
    /// Returns a connection that posts to a URL, and what says that it is over.
    pub(super) fn new(
        server: Arc<RemoteServer>,
        (shape, target): (Shape, Url),
        incoming: mpsc::Sender<Bytes>,
        log: Log,
    ) -> (Arc<Self>, mpsc::Receiver<Ending>) {
        let (endings, endings_rx) = mpsc::channel(ENDINGS);
        let wire = Self {
            server,
            shape,
            session: Session::default(),
            log,
            sessions: watch::Sender::new(0),
            listened: watch::Sender::new(0),
            renewals: tokio::sync::Mutex::new(0),
            target,
            incoming,
            endings,
            answers: AtomicUsize::new(0),
            doubt: Mutex::default(),
        };
        (Arc::new(wire), endings_rx)
    }

    /// Posts a message and waits for the head of the answer.
    pub(super) async fn post(&self, body: Bytes, headers: HeaderMap) -> Result<Response, RemoteFailure> {
        let client = self.server.client();
        let result = client.post(&self.target, headers, body, &self.log).await;
        self.note_reach(result.as_ref().err().copied());
        result
    }

    /// Opens an event stream.
    pub(super) async fn listen(&self, headers: HeaderMap) -> Result<Response, RemoteFailure> {
        let client = self.server.client();
        let result = client.listen(&self.target, headers, &self.log).await;
        self.note_reach(result.as_ref().err().copied());
        result
    }

    /// Waits until the stream of the server's own messages is open, or the server has none: until then there are servers
    /// that drop what they would say there, questions to the client among it.
    pub(super) async fn listening(&self) {
        let sessions = *self.sessions.borrow();
        let mut listened = self.listened.subscribe();
        let known = listened.wait_for(|listened| *listened >= sessions);
        // A server that says nothing before its first message is not waited for.
        let _ = tokio::time::timeout(LISTENING_TIME, known).await;
    }

    /// Ends the session; whatever the server says to that.
    pub(super) async fn take_leave(&self) {
        let mut headers = HeaderMap::new();
        if self.session.write(&mut headers).has_id {
            let client = self.server.client();
            let _ = client
                .send(reqwest::Method::DELETE, &self.target, headers, &self.log)
                .await;
        }
    }

    /// A server that cannot be reached is lost once nothing more can be expected of it.
    fn note_reach(&self, failure: Option<RemoteFailure>) {
        let doubt = failure.filter(|failure| failure.is_unreachable());
        *self.doubt() = doubt;
        if doubt.is_some() {
            self.settle();
        }
    }

    fn settle(&self) {
        let doubt = *self.doubt();
        if let Some(failure) = doubt
            && self.answers.load(Ordering::Relaxed) == 0
        {
            self.end(Ending::Lost(failure));
        }
    }

    /// Counts an answer that is being read, until the guard is dropped.
    pub(super) fn count_answer(&self) -> Answering<'_> {
        self.answers.fetch_add(1, Ordering::Relaxed);
        Answering(self)
    }

    /// Says that it is over.
    pub(super) fn end(&self, ending: Ending) {
        // Full means that somebody has said so before.
        let _ = self.endings.try_send(ending);
    }

    /// Passes on what the server said; returns whether that was the answer to `wanted`.
    pub(super) async fn deliver(&self, frame: Frame, wanted: Option<&RequestId>) -> bool {
        match frame {
            Frame::Line(text) if text.trim_ascii_start().first() == Some(&b'[') => {
                self.deliver_batch(text, wanted).await
            }
            Frame::Line(text) => self.deliver_text(text, wanted).await,
            Frame::Oversized { length, head, tail } => {
                self.log.say(format_args!(
                    "a message of {length} bytes, more than line-max, was dropped"
                ));
                let id = id_of_oversized(&head, &tail).map(RequestId::Number);
                if let Some(id) = &id {
                    self.answer(id, &RemoteFailure::Oversized.to_error()).await;
                }
                id.is_some() && id.as_ref() == wanted
            }
        }
    }

    async fn deliver_text(&self, text: Bytes, wanted: Option<&RequestId>) -> bool {
        let parsed = Message::parse(text.clone(), SCAN);
        let is_wanted = parsed.as_ref().is_ok_and(|message| {
            self.session.note_answer(message);
            message.kind() == Kind::Response && message.id().is_some() && message.id() == wanted
        });
        // What is no message is counted and logged where the lines of processes are.
        self.send(one_line(text)).await;
        is_wanted
    }

    /// Servers of 2025-03-26 may answer in batches.
    async fn deliver_batch(&self, text: Bytes, wanted: Option<&RequestId>) -> bool {
        let Ok(Some(elements)) = scan_array(&text, SCAN, usize::MAX) else {
            self.send(one_line(text)).await;
            return false;
        };
        let mut is_wanted = false;
        for span in elements {
            is_wanted |= self.deliver_text(text.slice(span), wanted).await;
        }
        is_wanted
    }

    /// Answers a request in the place of the server.
    pub(super) async fn answer(&self, id: &RequestId, error: &ErrorObject) {
        let mut line = Vec::new();
        reply::write_error(Some(id), error, &mut line);
        self.send(line.into()).await;
    }

    /// Passes on a line.
    pub(super) async fn send(&self, line: Bytes) {
        // Fails only when the supervisor reads no more.
        let _ = self.incoming.send(line).await;
    }

    fn doubt(&self) -> MutexGuard<'_, Option<RemoteFailure>> {
        self.doubt.lock().expect("no holder panics")
    }
}

/// An answer that is being read.
pub(super) struct Answering<'a>(&'a Wire);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
        self.0.settle();
    }
}
