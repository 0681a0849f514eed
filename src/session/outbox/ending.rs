//! How a stream ends: at once, with a last message, or when those who still write to it have said what they had to.

use std::sync::Arc;

use bytes::Bytes;

use super::{Outbox, OutboxReader, Priority};

/// Writes to a stream that may be closed meanwhile: its readers get what it writes all the same, and the stream is over
/// when nobody has one of these any more.
#[derive(Debug)]
pub struct OutboxWriter {
    outbox: Arc<Outbox>,
}

impl Outbox {
    /// Ends the stream whatever is due.
    pub fn close(&self) {
        self.end(None);
    }

    /// Appends a message and ends the stream with it.
    pub fn end_with(&self, last: Bytes) {
        self.end(Some(last));
    }

    fn end(&self, last: Option<Bytes>) {
        let mut ring = self.lock();
        if let Some(last) = last.filter(|_| !ring.closed) {
            let taken = self.put(&mut ring, last, Priority::Required);
            debug_assert!(taken.is_ok(), "a required message is always taken");
        }
        ring.closed = true;
        drop(ring);
        self.wake.notify_one();
        self.room.notify_waiters();
        self.end.notify_waiters();
    }

    /// Waits until the stream was ended by [`Outbox::close`].
    pub async fn closed(&self) {
        loop {
            let woken = self.end.notified();
            if self.lock().closed {
                return;
            }
            woken.await;
        }
    }

    /// Returns what writes on when the stream has been closed.
    pub fn writer(self: &Arc<Self>) -> OutboxWriter {
        self.lock().writers += 1;
        OutboxWriter { outbox: self.clone() }
    }
}

impl OutboxReader {
    /// Returns whether what was read last was the last of the stream.
    pub fn is_over(&self) -> bool {
        let ring = self.outbox.lock();
        ring.reader != self.reader || ring.is_complete() && self.cursor == ring.next
    }
}

impl OutboxWriter {
    /// Appends a message, which is always taken.
    pub fn push(&self, data: Bytes) {
        let mut ring = self.outbox.lock();
        let taken = self.outbox.put(&mut ring, data, Priority::Required);
        debug_assert!(taken.is_ok(), "a required message is always taken");
        drop(ring);
        self.outbox.wake.notify_one();
    }

    /// Waits as [`Outbox::room`] does.
    pub async fn room(&self) {
        self.outbox.room().await;
    }

    /// Waits until the stream is closed.
    pub async fn closed(&self) {
        self.outbox.closed().await;
    }
}

impl Drop for OutboxWriter {
    fn drop(&mut self) {
        self.outbox.lock().writers -= 1;
        self.outbox.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::OutboxLimits;
    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        events_max: 2,
        bytes_max: 100,
    };

    async fn texts(reader: &mut OutboxReader) -> Option<Vec<Bytes>> {
        let events = reader.next().await?;
        Some(events.into_iter().map(|event| event.data).collect())
    }

    #[tokio::test]
    async fn a_closed_stream_is_over_when_the_last_writer_has_gone() {
        let outbox = Outbox::new(0, LIMITS, None);
        let mut reader = outbox.read_unread();
        let (one, two) = (outbox.writer(), outbox.writer());
        outbox.close();
        one.closed().await;
        let others = outbox.push("nobody reads this".into(), Priority::Required);
        assert!(others.is_ok());
        one.push("a".into());
        drop(one);
        assert_eq!(texts(&mut reader).await, Some(vec!["a".into()]));
        assert!(!reader.is_over());
        two.push("b".into());
        drop(two);
        assert_eq!(texts(&mut reader).await, Some(vec!["b".into()]));
        assert!(reader.is_over());
        assert_eq!(texts(&mut reader).await, None);
    }

    #[tokio::test]
    async fn who_reads_the_last_message_knows_that_it_is_the_last() {
        let outbox = Outbox::new(0, LIMITS, None);
        let mut reader = outbox.read_unread();
        for text in ["a", "b", "c"] {
            outbox.writer().push(text.into());
        }
        assert_eq!(
            texts(&mut reader).await.map(|all| all.len()),
            Some(3),
            "all are taken"
        );
        assert!(!reader.is_over());
        outbox.end_with("last".into());
        outbox.end_with("one more".into());
        assert_eq!(texts(&mut reader).await, Some(vec!["last".into()]));
        assert!(reader.is_over());
    }
}
