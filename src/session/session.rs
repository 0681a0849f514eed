//! One session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::event_id::EventId;
use super::outbox::{Outbox, OutboxLimits, OutboxReader};
use crate::protocol::mcp::InitializeParams;
use crate::protocol::{Era, ProtocolVersion};

/// The id of a session: a UUID v4 of the operating system's random generator. Whoever knows it may use the session,
/// together with the principal's token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

/// Bytes of a handle: enough that no two sessions meet, too few to say anything of an id.
const HANDLE_BYTES: usize = 8;

impl SessionId {
    /// Returns a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads an id; `None` for anything that is not the canonical form.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36)
            .then(|| Uuid::try_parse(text).ok().map(Self))
            .flatten()
    }

    /// Returns a name for operators and policies, by which nobody can use the session: it does not lead back to the id.
    pub fn handle(self) -> String {
        let digest = Sha256::digest(self.to_string());
        let digits = digest[..HANDLE_BYTES].iter();
        digits.map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn shard(self, shards: usize) -> usize {
        usize::from(self.0.as_bytes()[15]) % shards
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// In logs an id is cut: it is a credential.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.simple().to_string();
        write!(f, "{}…", &text[..8])
    }
}

/// How a session's client takes its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP: an answer on the request that it answers.
    StreamableHttp,
    /// HTTP+SSE of 2024-11-05: everything on the one stream.
    HttpSse,
    /// A WebSocket: everything on it, and the session ends with it.
    WebSocket,
    /// Standard input and output: the same.
    Stdio,
    /// One request, and the session ends with it.
    OneShot,
    /// One request of the era without sessions (2026-07-28): it says itself who its client is.
    Stateless,
}

impl Transport {
    /// Returns the name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StreamableHttp => "streamable-http",
            Self::HttpSse => "http+sse",
            Self::WebSocket => "websocket",
            Self::Stdio => "stdio",
            Self::OneShot => "one-shot",
            Self::Stateless => "stateless",
        }
    }

    /// Returns whether it carries whole messages both ways, in order, so that the session is the channel's.
    pub fn is_channel(self) -> bool {
        matches!(self, Self::WebSocket | Self::Stdio)
    }

    /// Returns whether everything goes to the client on the session's own stream.
    pub fn has_one_stream(self) -> bool {
        self == Self::HttpSse || self.is_channel()
    }
}

/// Who makes a request, and in which mode. A session belongs to both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal's name, or `anonymous`.
    pub principal: Arc<str>,
    /// The mode that was chosen for it; `None` where the configuration has no modes.
    pub mode: Option<Arc<str>>,
}

impl Caller {
    /// The principal of a client that has not said who it is.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Returns whose it is, unless nobody knows.
    pub fn subject(&self) -> Option<&str> {
        (*self.principal != *Self::ANONYMOUS).then_some(&*self.principal)
    }
}

/// What a session is made of.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Whose it is.
    pub caller: Caller,
    /// How its client takes its messages.
    pub transport: Transport,
    /// How much each stream may hold.
    pub outbox: OutboxLimits,
    /// Streams of answers under way or kept for resumption, at most.
    pub streams_max: usize,
}

/// Bytes that the streams of one session on which nothing more will come may keep for resumption.
const FINISHED_BYTES_MAX: usize = 1024 * 1024;

/// A session, with what the gateway attached to it.
#[derive(Debug)]
pub struct Session<A> {
    id: SessionId,
    options: SessionOptions,
    created: SystemTime,
    started: Instant,
    /// Milliseconds after `started`.
    last_activity: AtomicU64,
    facts: OnceLock<(Arc<InitializeParams>, ProtocolVersion)>,
    standalone: Arc<Outbox>,
    streams: Mutex<Streams>,
    open_streams: AtomicUsize,
    requests: AtomicUsize,
    ended: AtomicBool,
    attachment: A,
}

/// The streams of answers, by number.
#[derive(Debug, Default)]
struct Streams {
    last: u32,
    by_number: BTreeMap<u32, Arc<Outbox>>,
}

impl<A> Session<A> {
    /// Returns a session with a new id.
    pub fn new(options: SessionOptions, attachment: A) -> Self {
        Self {
            id: SessionId::random(),
            standalone: Outbox::new(0, options.outbox, None),
            options,
            created: SystemTime::now(),
            started: Instant::now(),
            last_activity: AtomicU64::new(0),
            facts: OnceLock::new(),
            streams: Mutex::default(),
            open_streams: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            attachment,
        }
    }

    /// Returns the id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Returns whose it is.
    pub fn principal(&self) -> &str {
        &self.options.caller.principal
    }

    /// Returns the mode in which it was opened, which it keeps; `None` where the configuration has no modes.
    pub fn mode(&self) -> Option<&Arc<str>> {
        self.options.caller.mode.as_ref()
    }

    /// Returns whose it is, in which mode.
    pub fn caller(&self) -> &Caller {
        &self.options.caller
    }

    /// Returns how its client takes its messages.
    pub fn transport(&self) -> Transport {
        self.options.transport
    }

    /// Returns whether it is there for one request only, which ends it.
    pub fn is_alone(&self) -> bool {
        matches!(self.options.transport, Transport::OneShot | Transport::Stateless)
    }

    /// Returns when it was opened.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// Returns what the gateway attached.
    pub fn attachment(&self) -> &A {
        &self.attachment
    }

    /// Notes that its client did something.
    pub fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_activity.store(now, Ordering::Relaxed);
    }

    /// Returns when its client last did something.
    pub fn last_activity(&self) -> Instant {
        self.started + Duration::from_millis(self.last_activity.load(Ordering::Relaxed))
    }

    /// Keeps what the client said in `initialize`, and the version agreed on; `false` if it said so before.
    pub fn set_facts(&self, facts: Arc<InitializeParams>, version: ProtocolVersion) -> bool {
        self.facts.set((facts, version)).is_ok()
    }

    /// Returns what the client said in `initialize`.
    pub fn facts(&self) -> Option<&Arc<InitializeParams>> {
        self.facts.get().map(|(facts, _)| facts)
    }

    /// Returns the version agreed on; before the handshake the one that needs no header.
    pub fn version(&self) -> ProtocolVersion {
        self.facts
            .get()
            .map_or(ProtocolVersion::WITHOUT_HEADER, |(_, version)| *version)
    }

    /// Returns the era that its client speaks.
    pub fn era(&self) -> Era {
        self.version().era()
    }

    /// Returns the stream that `GET` opens, for messages that answer nothing.
    pub fn standalone(&self) -> &Arc<Outbox> {
        &self.standalone
    }

    /// Opens a stream for so many answers, forgetting those that are over beyond the limits, whether they were read or
    /// not. `None` if as many as may be are still under way.
    pub fn open_stream(&self, answers_due: usize) -> Option<Arc<Outbox>> {
        let mut streams = self.streams();
        streams.forget_beyond(self.options.streams_max.saturating_sub(1));
        if streams.by_number.len() >= self.options.streams_max {
            return None;
        }
        streams.last += 1;
        let number = streams.last;
        let outbox = Outbox::new(number, self.options.outbox, Some(answers_due));
        streams.by_number.insert(number, outbox.clone());
        Some(outbox)
    }

    /// Returns a reader that goes on after an event, if its stream is still known and ever had that event.
    pub fn resume(&self, after: EventId) -> Option<OutboxReader> {
        let outbox = match after.stream {
            0 => self.standalone.clone(),
            number => self.streams().by_number.get(&number).cloned()?,
        };
        outbox
            .has_reached(after.sequence)
            .then(|| outbox.read_after(after.sequence))
    }

    /// Forgets streams that were over longer than `retention` ago, and what was read of the standing one before that.
    pub fn forget_streams(&self, now: Instant, retention: Duration) {
        let is_old = |since| now.saturating_duration_since(since) >= retention;
        self.streams()
            .by_number
            .retain(|_, outbox| !outbox.over_since().is_some_and(is_old));
        self.standalone.forget_read(now, retention);
    }

    /// Returns a stream whose reader is far behind, if there is one.
    pub fn congested_stream(&self) -> Option<Arc<Outbox>> {
        if self.standalone.is_congested() {
            return Some(self.standalone.clone());
        }
        let streams = self.streams();
        streams
            .by_number
            .values()
            .find(|outbox| outbox.is_congested())
            .cloned()
    }

    /// Counts an event stream that a client holds open; dropping the guard counts it off.
    pub fn stream_opened(self: &Arc<Self>) -> OpenStream<A> {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(self.clone())
    }

    /// Returns how many event streams clients hold open.
    pub fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::Relaxed)
    }

    /// Counts a request that waits for its answer; [`Session::request_ended`] counts it off.
    pub fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts off a request, which is activity.
    pub fn request_ended(&self) {
        self.touch();
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns whether its client is there, or is owed an answer.
    pub fn is_in_use(&self) -> bool {
        self.open_streams() > 0 || self.requests.load(Ordering::Relaxed) > 0
    }

    /// Ends the session: it takes no more requests and cannot be found any more; `false` if it had ended before. Its
    /// streams stay until [`Session::close_streams`], for the last words.
    pub fn end(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }

    /// Ends the streams, once what was pushed is read.
    pub fn close_streams(&self) {
        self.standalone.close();
        self.streams()
            .by_number
            .values()
            .for_each(|outbox| outbox.close());
    }

    /// Returns whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().expect("no holder panics")
    }
}

impl Streams {
    fn forget_beyond(&mut self, streams_max: usize) {
        let is_over = |(number, outbox): (&u32, &Arc<Outbox>)| {
            outbox.over_since().is_some().then(|| (*number, outbox.bytes()))
        };
        let over: Vec<(u32, usize)> = self.by_number.iter().filter_map(is_over).collect();
        let mut bytes: usize = over.iter().map(|(_, bytes)| bytes).sum();
        for (number, its_bytes) in over {
            if self.by_number.len() <= streams_max && bytes <= FINISHED_BYTES_MAX {
                break;
            }
            self.by_number.remove(&number);
            bytes -= its_bytes;
        }
    }
}

/// An event stream that a client holds open.
#[derive(Debug)]
pub struct OpenStream<A>(Arc<Session<A>>);

impl<A> Drop for OpenStream<A> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open_streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_stable_and_is_no_part_of_the_id() {
        let text = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        let id = SessionId::parse(text).expect("an id");
        assert_eq!(id.handle(), id.handle());
        assert_eq!(id.handle().len(), 2 * HANDLE_BYTES);
        assert!(!text.replace('-', "").contains(&id.handle()));
        assert_ne!(SessionId::random().handle(), id.handle());
    }
}
