//! The requests of one connection that wait for an answer: ids, waiters, deadlines. Pure; the caller brings the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::UpstreamError;
use crate::protocol::Message;

/// How a request ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The server answered, with a result or an error; the id in it is the gateway's.
    Response(Message),
    /// The server did not answer.
    Failed(UpstreamError),
}

/// Who waits for an answer. Called from the task that reads the server's output: never blocks.
pub trait Waiter: Send + Sync + 'static {
    /// Takes the end of the request; called exactly once.
    fn complete(&self, outcome: Outcome);
    /// Takes a progress notification with the token of this request, which is the gateway's.
    fn progress(&self, message: Message);
    /// Told now and then that it still waits, and for how long. A timer of its own for each request would cost more
    /// than the request.
    fn waits(&self, _since: Duration) {}
}

/// How long a request may take. It is ended at the supervisor's next look, which may be a second later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// When the request came. What it has waited for its process counts.
    pub since: Instant,
    /// Without a word of the server.
    pub timeout: Duration,
    /// In all, however much progress it reports.
    pub timeout_max: Duration,
}

impl Patience {
    /// Returns the patience of a request of now that no progress extends.
    pub(super) fn of(timeout: Duration) -> Self {
        Self {
            since: Instant::now(),
            timeout,
            timeout_max: timeout,
        }
    }

    /// Returns until when the request waits if the server says nothing.
    pub fn deadline(&self) -> Instant {
        self.since + self.timeout
    }
}

/// Whether a request counts as use of the process, which keeps it from being idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody needs the answer.
    Use,
    /// The gateway looks whether the server still answers.
    Check,
    /// Somebody wants to be told of changes, should there be any.
    Listen,
}

/// A request that waits.
pub(super) struct Entry {
    pub(super) waiter: Arc<dyn Waiter>,
    /// None for what stays open until somebody ends it.
    deadline: Option<Instant>,
    patience: Patience,
    purpose: Purpose,
}

/// The table. Ids grow and are never used twice on one connection, so a late answer meets nobody.
pub(super) struct Pending {
    entries: HashMap<i64, Entry>,
    /// How many of them only listen: those are no use, and take no room.
    listens: usize,
    next_id: i64,
    limit: usize,
    closed: Option<UpstreamError>,
    last_used: Instant,
}

impl Pending {
    pub(super) fn new(limit: usize, now: Instant) -> Self {
        Self {
            entries: HashMap::new(),
            listens: 0,
            next_id: 1,
            limit,
            closed: None,
            last_used: now,
        }
    }

    /// Registers a waiter under a new id.
    ///
    /// # Errors
    /// Why the table takes no more: it was closed, or it is full.
    pub(super) fn insert(
        &mut self,
        waiter: Arc<dyn Waiter>,
        patience: Patience,
        purpose: Purpose,
        now: Instant,
    ) -> Result<i64, UpstreamError> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone());
        }
        if purpose != Purpose::Listen && self.len() >= self.limit {
            return Err(UpstreamError::Overloaded(
                "in-flight-max requests are waiting for it",
            ));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.listens += usize::from(purpose == Purpose::Listen);
        self.entries.insert(
            id,
            Entry {
                waiter,
                deadline: Some(patience.deadline()),
                patience,
                purpose,
            },
        );
        if purpose == Purpose::Use {
            self.last_used = now;
        }
        Ok(id)
    }

    /// Takes out the waiter of an answer.
    pub(super) fn remove(&mut self, id: i64, now: Instant) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.listens -= usize::from(entry.purpose == Purpose::Listen);
        if entry.purpose == Purpose::Use {
            self.last_used = now;
        }
        Some(entry)
    }

    /// Lets a request stay open for as long as its server likes.
    pub(super) fn keep_open(&mut self, id: i64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.deadline = None;
        }
    }

    /// Notes that a request made progress and returns its waiter.
    pub(super) fn progress(&mut self, id: i64, now: Instant) -> Option<Arc<dyn Waiter>> {
        let entry = self.entries.get_mut(&id)?;
        let Patience {
            since,
            timeout,
            timeout_max,
        } = entry.patience;
        let extended = (now + timeout).min(since + timeout_max.max(timeout));
        entry.deadline = entry.deadline.map(|_| extended);
        Some(entry.waiter.clone())
    }

    /// Has somebody else wait for an answer; returns who did so far.
    pub(super) fn hand_over(&mut self, id: i64, waiter: Arc<dyn Waiter>) -> Option<Arc<dyn Waiter>> {
        let entry = self.entries.get_mut(&id)?;
        Some(std::mem::replace(&mut entry.waiter, waiter))
    }

    /// Gives a request another patience, from now on.
    pub(super) fn postpone(&mut self, id: i64, patience: Patience) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.deadline = Some(patience.deadline());
            entry.patience = patience;
        }
    }

    /// Takes out everything whose deadline has passed, oldest first.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(i64, Arc<dyn Waiter>, Duration)> {
        let mut late: Vec<i64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        late.sort_unstable();
        let entry_of = |id| {
            let entry = self
                .entries
                .remove(&id)
                .expect("the id was just read from the table");
            self.listens -= usize::from(entry.purpose == Purpose::Listen);
            (id, entry.waiter, entry.patience.timeout)
        };
        late.into_iter().map(entry_of).collect()
    }

    /// Returns who waits, and for how long.
    pub(super) fn waiting(&self, now: Instant) -> Vec<(Arc<dyn Waiter>, Duration)> {
        let since = |entry: &Entry| {
            (
                entry.waiter.clone(),
                now.saturating_duration_since(entry.patience.since),
            )
        };
        self.entries.values().map(since).collect()
    }

    /// Refuses all that comes from now on and returns who still waits, oldest first. The first reason given stays.
    pub(super) fn close(&mut self, reason: UpstreamError) -> Vec<Arc<dyn Waiter>> {
        self.closed.get_or_insert(reason);
        self.listens = 0;
        let mut entries: Vec<_> = self.entries.drain().collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        entries.into_iter().map(|(_, entry)| entry.waiter).collect()
    }

    /// Refuses all that comes from now on; who waits goes on waiting.
    pub(super) fn refuse_new(&mut self, reason: UpstreamError) {
        self.closed.get_or_insert(reason);
    }

    /// Closes the table if nobody waits for an answer; a request that comes later is refused, so it cannot race with a
    /// stop. Who only listens goes on until everything ends.
    pub(super) fn close_if_empty(&mut self, reason: UpstreamError) -> bool {
        let is_empty = self.len() == 0;
        if is_empty {
            self.closed.get_or_insert(reason);
        }
        is_empty
    }

    /// Returns how many wait for an answer.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.listens
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Returns when a request was last made or answered.
    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Waiter for Nobody {
        fn complete(&self, _: Outcome) {}
        fn progress(&self, _: Message) {}
    }

    fn patience(since: Instant) -> Patience {
        Patience {
            since,
            timeout: Duration::from_secs(30),
            timeout_max: Duration::from_secs(70),
        }
    }

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn progress_extends_a_deadline_up_to_the_maximum() {
        let start = Instant::now();
        let mut pending = Pending::new(8, start);
        let id = pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, start)
            .expect("open");
        assert!(pending.expire(seconds(start, 29)).is_empty());
        assert!(pending.progress(id, seconds(start, 29)).is_some());
        assert!(pending.progress(id, seconds(start, 58)).is_some());
        assert!(pending.expire(seconds(start, 69)).is_empty());
        assert_eq!(pending.expire(seconds(start, 70)).len(), 1);
        assert!(pending.progress(id, seconds(start, 71)).is_none());
    }

    #[test]
    fn a_request_that_is_kept_open_is_handed_over_and_given_a_patience_again() {
        let start = Instant::now();
        let mut pending = Pending::new(8, start);
        let id = pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, start)
            .expect("open");
        pending.keep_open(id);
        assert!(pending.expire(seconds(start, 1_000)).is_empty());
        let heir: Arc<dyn Waiter> = Arc::new(Nobody);
        assert!(pending.hand_over(id, heir.clone()).is_some());
        pending.postpone(id, patience(seconds(start, 1_000)));
        assert!(pending.expire(seconds(start, 1_029)).is_empty());
        let late = pending.expire(seconds(start, 1_030));
        assert!(late.iter().all(|(_, waiter, _)| Arc::ptr_eq(waiter, &heir)) && late.len() == 1);
        assert!(pending.hand_over(id, heir).is_none(), "it is over");
    }

    #[test]
    fn what_a_request_waited_before_it_was_sent_counts() {
        let start = Instant::now();
        let mut pending = Pending::new(8, start);
        let sent = seconds(start, 20);
        pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, sent)
            .expect("open");
        assert_eq!(pending.waiting(sent)[0].1, Duration::from_secs(20));
        assert!(pending.expire(seconds(start, 29)).is_empty());
        assert_eq!(pending.expire(seconds(start, 30)).len(), 1);
    }

    #[test]
    fn a_check_is_no_use() {
        let start = Instant::now();
        let mut pending = Pending::new(1, start);
        let later = seconds(start, 5);
        let id = pending
            .insert(Arc::new(Nobody), patience(later), Purpose::Check, later)
            .expect("open");
        assert!(pending.remove(id, later).is_some());
        assert_eq!(pending.last_used(), start);
    }

    #[test]
    fn who_listens_uses_nothing_and_waits_for_ever_once_it_is_taken() {
        let start = Instant::now();
        let mut pending = Pending::new(1, start);
        let later = seconds(start, 5);
        let listen = |pending: &mut Pending| {
            let listens = pending.insert(Arc::new(Nobody), patience(later), Purpose::Listen, later);
            listens.expect("it takes no room")
        };
        let (id, silent) = (listen(&mut pending), listen(&mut pending));
        assert_eq!((pending.len(), pending.last_used()), (0, start));
        pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, start)
            .expect("room for a request");
        pending.keep_open(id);
        assert!(
            pending.progress(id, later).is_some(),
            "which does not limit it again"
        );
        let late = pending.expire(seconds(start, 1_000_000));
        assert_eq!(late.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [silent, 3]);
        assert!(pending.close_if_empty(UpstreamError::Stopped("idle".into())));
        assert_eq!(
            pending.close(UpstreamError::Cancelled).len(),
            1,
            "it is told of the end"
        );
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn a_full_table_refuses_and_a_closed_one_says_why() {
        let start = Instant::now();
        let mut pending = Pending::new(1, start);
        let id = pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, start)
            .expect("open");
        let full = pending
            .insert(Arc::new(Nobody), patience(start), Purpose::Use, start)
            .expect_err("full");
        assert!(matches!(full, UpstreamError::Overloaded(_)));
        assert!(
            !pending.close_if_empty(UpstreamError::Cancelled),
            "somebody waits"
        );
        assert!(pending.remove(id, start).is_some());
        let reason = UpstreamError::Stopped("idle".into());
        assert!(pending.close_if_empty(reason.clone()));
        assert_eq!(
            pending.insert(Arc::new(Nobody), patience(start), Purpose::Use, start),
            Err(reason)
        );
    }
}
