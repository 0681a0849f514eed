//! The messages of one event stream: a bounded ring that holds them before a reader is there, while it is away, and
//! for a while after they were read, so that an interrupted stream can go on where it broke.

mod ending;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use ending::OutboxWriter;

/// How much one stream may hold.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Messages.
    pub events_max: usize,
    /// Bytes of messages. A single message may be longer: it is the gathering of messages that is bounded.
    pub bytes_max: usize,
}

/// What to do with a message that finds the ring full of unread ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Refuse it: a notification, or a request that can be refused.
    Droppable,
    /// Take it all the same: an answer. There are no more of them than requests in flight, which are bounded.
    Required,
}

/// The ring was full of unread messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// One message with its number in the stream; the first is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Its number.
    pub sequence: u64,
    /// The message: JSON without line breaks.
    pub data: Bytes,
}

/// The messages of one stream. A std mutex: held to append or to copy out.
#[derive(Debug)]
pub struct Outbox {
    stream: u32,
    limits: OutboxLimits,
    ring: Mutex<Ring>,
    /// Wakes the reader.
    wake: Notify,
    /// Wakes who waits for room.
    room: Notify,
    /// Wakes who waits for the end.
    end: Notify,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<OutboxEvent>,
    bytes: usize,
    unread_bytes: usize,
    next: u64,
    /// The first sequence number that no reader has taken yet.
    unread: u64,
    /// Answers that are still to come before the stream is over; `None` for a stream that answers do not end.
    answers_due: Option<usize>,
    closed: bool,
    /// Who still writes when it is closed.
    writers: usize,
    /// Which reader is the present one; an older one ends.
    reader: u64,
    attached: bool,
    /// When the last reader went or the last answer came.
    quiet_since: Instant,
}

impl Outbox {
    /// Returns an empty ring. With `answers_due`, the stream is over when so many answers were pushed.
    pub fn new(stream: u32, limits: OutboxLimits, answers_due: Option<usize>) -> Arc<Self> {
        let ring = Ring {
            events: VecDeque::new(),
            bytes: 0,
            unread_bytes: 0,
            next: 1,
            unread: 1,
            answers_due,
            closed: false,
            writers: 0,
            reader: 0,
            attached: false,
            quiet_since: Instant::now(),
        };
        Arc::new(Self {
            stream,
            limits,
            ring: Mutex::new(ring),
            wake: Notify::new(),
            room: Notify::new(),
            end: Notify::new(),
        })
    }

    /// Returns the number of the stream in its session.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Appends a message. Messages that were read make room first.
    ///
    /// # Errors
    /// [`Full`], for a droppable message only.
    pub fn push(&self, data: Bytes, priority: Priority) -> Result<(), Full> {
        let mut ring = self.lock();
        if ring.closed {
            return Ok(()); // nobody will read it: the session is over
        }
        self.put(&mut ring, data, priority)?;
        drop(ring);
        self.wake.notify_one();
        Ok(())
    }

    fn put(&self, ring: &mut Ring, data: Bytes, priority: Priority) -> Result<(), Full> {
        while ring.is_over(self.limits, data.len()) && ring.forget_oldest_read() {}
        if priority == Priority::Droppable && ring.is_over(self.limits, data.len()) {
            return Err(Full);
        }
        let sequence = ring.next;
        ring.next += 1;
        ring.bytes += data.len();
        ring.unread_bytes += data.len();
        ring.events.push_back(OutboxEvent { sequence, data });
        if priority == Priority::Required
            && let Some(due) = &mut ring.answers_due
        {
            *due = due.saturating_sub(1);
            ring.quiet_since = Instant::now();
        }
        Ok(())
    }

    /// Appends a message that says nothing new as long as the same one waits unread; then it is not appended again.
    ///
    /// # Errors
    /// [`Full`].
    pub fn push_once(&self, data: Bytes) -> Result<(), Full> {
        let waits = {
            let ring = self.lock();
            let unread = ring.events.iter().rev();
            unread
                .take_while(|event| event.sequence >= ring.unread)
                .any(|event| event.data == data)
        };
        if waits {
            Ok(())
        } else {
            self.push(data, Priority::Droppable)
        }
    }

    /// Notes that an answer which was due will not come: the stream may be over without it.
    pub fn answer_withdrawn(&self) {
        let mut ring = self.lock();
        if let Some(due) = &mut ring.answers_due {
            *due = due.saturating_sub(1);
        }
        ring.quiet_since = Instant::now();
        drop(ring);
        self.wake.notify_one();
    }

    /// Returns a reader of what comes after `sequence`; an earlier reader ends. A new stream is read from 0 on.
    pub fn read_after(self: &Arc<Self>, sequence: u64) -> OutboxReader {
        let mut ring = self.lock();
        ring.reader += 1;
        ring.attached = true;
        let reader = ring.reader;
        drop(ring);
        self.wake.notify_waiters();
        OutboxReader {
            outbox: self.clone(),
            cursor: sequence + 1,
            reader,
        }
    }

    /// Returns the reader that `GET` gets: of everything that no reader has taken.
    pub fn read_unread(self: &Arc<Self>) -> OutboxReader {
        let unread = self.lock().unread;
        self.read_after(unread - 1)
    }

    /// Returns whether somebody reads.
    pub fn is_attached(&self) -> bool {
        self.lock().attached
    }

    /// Returns whether an event of this number was ever there, so that a reader may go on after it.
    pub fn has_reached(&self, sequence: u64) -> bool {
        sequence < self.lock().next
    }

    /// Returns since when nobody reads a stream on which nothing more will come; it may be forgotten, read or not.
    pub fn over_since(&self) -> Option<Instant> {
        let ring = self.lock();
        (ring.is_complete() && !ring.attached).then_some(ring.quiet_since)
    }

    /// Forgets what was read long ago: nobody will come back for it.
    pub fn forget_read(&self, now: Instant, retention: Duration) {
        let mut ring = self.lock();
        if !ring.attached && now.saturating_duration_since(ring.quiet_since) >= retention {
            while ring.forget_oldest_read() {}
            if ring.events.is_empty() {
                ring.events = VecDeque::new();
            }
        }
    }

    /// Returns whether as much waits for a reader as may: who adds answers, which are always taken, stops here.
    pub fn is_full(&self) -> bool {
        let ring = self.lock();
        ring.unread_count() >= self.limits.events_max || ring.unread_bytes >= self.limits.bytes_max
    }

    /// Returns the bytes held.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Returns whether a reader is there and far behind.
    pub fn is_congested(&self) -> bool {
        let ring = self.lock();
        let is_behind =
            ring.unread_count() * 2 > self.limits.events_max || ring.unread_bytes * 2 > self.limits.bytes_max;
        ring.attached && !ring.closed && is_behind
    }

    /// Waits until the reader has caught up or gone. Who asks has seen [`Outbox::is_congested`].
    pub async fn relieved(&self) {
        loop {
            let room = self.room.notified();
            if !self.is_congested() {
                return;
            }
            room.await;
        }
    }

    /// Waits until the reader of a full stream has caught up or gone, or the stream is closed. Who asks first adds no more to
    /// a stream that nobody reads.
    pub async fn room(&self) {
        if self.is_full() {
            self.relieved().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no holder panics")
    }
}

impl Ring {
    fn is_over(&self, limits: OutboxLimits, more: usize) -> bool {
        self.events.len() >= limits.events_max
            || (self.bytes + more > limits.bytes_max && !self.events.is_empty())
    }

    fn forget_oldest_read(&mut self) -> bool {
        let read = self
            .events
            .front()
            .is_some_and(|event| event.sequence < self.unread);
        if read && let Some(event) = self.events.pop_front() {
            self.bytes -= event.data.len();
        }
        read
    }

    fn unread_count(&self) -> usize {
        usize::try_from(self.next - self.unread).unwrap_or(usize::MAX)
    }

    fn is_complete(&self) -> bool {
        self.closed && self.writers == 0 || self.answers_due == Some(0)
    }
}

/// Reads one stream. Dropping it leaves the messages for the next reader.
#[derive(Debug)]
pub struct OutboxReader {
    outbox: Arc<Outbox>,
    cursor: u64,
    reader: u64,
}

impl OutboxReader {
    /// Returns the number of the stream.
    pub fn stream(&self) -> u32 {
        self.outbox.stream
    }

    /// Returns the number of the last event that was read, or the point from which it reads.
    pub fn position(&self) -> u64 {
        self.cursor - 1
    }

    /// Waits for the next messages: all that are there. `None` when the stream is over or another reader took it.
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<OutboxEvent>> {
        loop {
            let outbox = self.outbox.clone();
            let woken = outbox.wake.notified();
            if let Some(step) = self.take() {
                return step;
            }
            woken.await;
        }
    }

    fn take(&mut self) -> Option<Option<Vec<OutboxEvent>>> {
        let mut ring = self.outbox.lock();
        if ring.reader != self.reader {
            return Some(None);
        }
        let start = ring.events.partition_point(|event| event.sequence < self.cursor);
        let events: Vec<OutboxEvent> = ring.events.range(start..).cloned().collect();
        if let Some(last) = events.last() {
            self.cursor = last.sequence + 1;
            let unread = ring.unread;
            let newly_read = events.iter().filter(|event| event.sequence >= unread);
            ring.unread_bytes -= newly_read.map(|event| event.data.len()).sum::<usize>();
            ring.unread = unread.max(self.cursor);
            drop(ring);
            self.outbox.room.notify_waiters();
            return Some(Some(events));
        }
        ring.is_complete().then_some(None)
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        let mut ring = self.outbox.lock();
        if ring.reader == self.reader {
            ring.attached = false;
            ring.quiet_since = Instant::now();
            drop(ring);
            self.outbox.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        events_max: 4,
        bytes_max: 100,
    };

    fn push(outbox: &Outbox, text: &str) -> Result<(), Full> {
        outbox.push(Bytes::copy_from_slice(text.as_bytes()), Priority::Droppable)
    }

    async fn read(reader: &mut OutboxReader) -> Option<Vec<(u64, String)>> {
        let events = reader.next().await?;
        let pair = |event: OutboxEvent| (event.sequence, String::from_utf8_lossy(&event.data).into_owned());
        Some(events.into_iter().map(pair).collect())
    }

    fn pairs(pairs: &[(u64, &str)]) -> Option<Vec<(u64, String)>> {
        Some(
            pairs
                .iter()
                .map(|(sequence, text)| (*sequence, (*text).to_owned()))
                .collect(),
        )
    }

    #[tokio::test]
    async fn holds_messages_until_a_reader_comes_and_across_its_absence() {
        let outbox = Outbox::new(0, LIMITS, None);
        push(&outbox, "a").expect("room");
        push(&outbox, "b").expect("room");
        let mut reader = outbox.read_unread();
        assert_eq!(read(&mut reader).await, pairs(&[(1, "a"), (2, "b")]), "in one go");
        drop(reader);
        assert!(!outbox.is_attached());
        push(&outbox, "c").expect("room");
        assert_eq!(read(&mut outbox.read_unread()).await, pairs(&[(3, "c")]));
        assert_eq!(
            read(&mut outbox.read_after(1)).await,
            pairs(&[(2, "b"), (3, "c")]),
            "resumed after 1"
        );
    }

    #[tokio::test]
    async fn a_new_reader_takes_over() {
        let outbox = Outbox::new(0, LIMITS, None);
        let mut old = outbox.read_unread();
        let mut new = outbox.read_unread();
        push(&outbox, "a").expect("room");
        assert_eq!(read(&mut old).await, None);
        drop(old);
        assert!(outbox.is_attached(), "the old one's end is not the new one's");
        assert_eq!(read(&mut new).await, pairs(&[(1, "a")]));
    }

    #[tokio::test]
    async fn full_of_unread_it_refuses_what_can_be_refused() {
        let outbox = Outbox::new(0, LIMITS, None);
        for text in ["a", "b", "c", "d"] {
            push(&outbox, text).expect("room");
        }
        assert_eq!(push(&outbox, "e"), Err(Full));
        outbox
            .push(Bytes::from_static(b"answer"), Priority::Required)
            .expect("answers always fit");
        let mut reader = outbox.read_unread();
        assert_eq!(read(&mut reader).await.map(|events| events.len()), Some(5));
        push(&outbox, "f").expect("read messages made room");
        assert_eq!(push(&outbox, &"x".repeat(100)), Err(Full), "bytes");
        assert_eq!(read(&mut reader).await, pairs(&[(6, "f")]));
        push(&outbox, &"x".repeat(101)).expect("alone, a message may be longer than the limit");
        assert!(outbox.is_full() && outbox.is_congested());
        assert_eq!(push(&outbox, "g"), Err(Full));
        assert!(read(&mut reader).await.is_some());
        assert!(!outbox.is_full() && !outbox.is_congested());
    }

    #[tokio::test]
    async fn ends_with_its_last_answer() {
        let outbox = Outbox::new(1, LIMITS, Some(2));
        let mut reader = outbox.read_after(0);
        outbox
            .push(Bytes::from_static(b"1"), Priority::Required)
            .expect("answer");
        assert_eq!(read(&mut reader).await, pairs(&[(1, "1")]));
        outbox
            .push(Bytes::from_static(b"2"), Priority::Required)
            .expect("answer");
        assert_eq!(read(&mut reader).await, pairs(&[(2, "2")]));
        assert_eq!(read(&mut reader).await, None);
        assert!(outbox.over_since().is_none(), "somebody reads it");
        drop(reader);
        assert!(outbox.over_since().is_some());
        assert_eq!(
            read(&mut outbox.read_after(1)).await,
            pairs(&[(2, "2")]),
            "still there for a resumption"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_nothing_new_waits_once_and_what_was_read_is_forgotten_in_time() {
        let outbox = Outbox::new(0, LIMITS, None);
        let changed = Bytes::from_static(b"changed");
        for _ in 0..3 {
            outbox.push_once(changed.clone()).expect("room");
        }
        assert_eq!(read(&mut outbox.read_unread()).await, pairs(&[(1, "changed")]));
        outbox.push_once(changed).expect("room");
        assert!(outbox.has_reached(2) && !outbox.has_reached(3));
        let retention = Duration::from_secs(60);
        outbox.forget_read(Instant::now(), retention);
        assert_eq!(outbox.bytes(), 14, "still there for a resumption");
        tokio::time::advance(retention).await;
        outbox.forget_read(Instant::now(), retention);
        assert_eq!(outbox.bytes(), 7, "what is unread stays");
    }

    #[tokio::test]
    async fn congestion_ends_when_the_reader_catches_up_or_goes() {
        let outbox = Outbox::new(0, LIMITS, None);
        let mut reader = outbox.read_unread();
        for text in ["a", "b", "c"] {
            push(&outbox, text).expect("room");
        }
        assert!(outbox.is_congested());
        let (_, _) = tokio::join!(outbox.relieved(), read(&mut reader));
        for text in ["a", "b", "c"] {
            push(&outbox, text).expect("room");
        }
        assert!(outbox.is_congested());
        drop(reader);
        outbox.relieved().await;
    }
}
