//! All sessions, by id: looked up on every request, ended when idle, bounded in number.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::session::{Caller, Session, SessionId};

/// How many sessions, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Sessions, at most; one more ends the one that was used least recently, of the principal that has the most.
    pub max: usize,
    /// A session whose client does nothing, holds no stream open and waits for no answer, ends after this time.
    pub idle_timeout: Duration,
    /// And one that is nothing without its stream after this time, if that is less: its client is gone, and whoever lost
    /// the stream comes back soon or not at all.
    pub stream_retention: Duration,
}

/// So many maps share the sessions, so that look-ups rarely meet.
const SHARDS: usize = 16;

type Shard<A> = HashMap<SessionId, Arc<Session<A>>>;

/// The store. Std mutexes: held for one look-up, or for a walk over one shard.
#[derive(Debug)]
pub struct SessionStore<A> {
    shards: [Mutex<Shard<A>>; SHARDS],
    limits: StoreLimits,
}

impl<A> SessionStore<A> {
    /// Returns an empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            limits,
        }
    }

    /// Adds a session; returns those that had to go, which the caller ends.
    #[must_use]
    pub fn insert(&self, session: Arc<Session<A>>) -> Vec<Arc<Session<A>>> {
        let mut evicted = Vec::new();
        while self.len() >= self.limits.max.max(1) {
            let Some(dispensable) = self.most_dispensable() else {
                break;
            };
            evicted.extend(self.remove(dispensable));
        }
        self.shard(session.id()).insert(session.id(), session);
        evicted
    }

    /// Returns a session of this caller. With another principal, or in another mode, it is unknown.
    pub fn get(&self, id: SessionId, caller: &Caller) -> Option<Arc<Session<A>>> {
        let session = self.shard(id).get(&id).cloned()?;
        (session.caller() == caller && !session.has_ended()).then_some(session)
    }

    /// Takes out a session, which the caller ends.
    pub fn remove(&self, id: SessionId) -> Option<Arc<Session<A>>> {
        self.shard(id).remove(&id)
    }

    /// Takes out every session that `over` says is over.
    pub fn remove_where(&self, mut over: impl FnMut(&Session<A>) -> bool) -> Vec<Arc<Session<A>>> {
        let mut removed = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            removed.extend(
                shard
                    .extract_if(|_, session| over(session))
                    .map(|(_, session)| session),
            );
        }
        removed
    }

    /// Takes out the sessions that have been idle for too long.
    pub fn remove_idle(&self, now: Instant) -> Vec<Arc<Session<A>>> {
        let StoreLimits {
            idle_timeout,
            stream_retention,
            ..
        } = self.limits;
        self.remove_where(|session| {
            let idle = now.saturating_duration_since(session.last_activity());
            let limit = match session.transport().has_one_stream() {
                true => idle_timeout.min(stream_retention),
                false => idle_timeout,
            };
            !session.is_in_use() && idle >= limit
        })
    }

    /// Returns all sessions.
    pub fn all(&self) -> Vec<Arc<Session<A>>> {
        self.shards
            .iter()
            .flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the session that was used least recently, of the principal that has the most: whoever opens many does not
    /// end those of others.
    fn most_dispensable(&self) -> Option<SessionId> {
        // Sessions in use go last: their clients are there.
        let key = |session: &Session<A>| (session.is_in_use(), session.last_activity(), session.id());
        let mut principals: HashMap<Arc<str>, (usize, _)> = HashMap::new();
        for shard in &self.shards {
            for session in lock(shard).values() {
                let key = key(session);
                let principal = &session.caller().principal;
                let (count, oldest) = principals.entry(principal.clone()).or_insert((0, key));
                *count += 1;
                *oldest = key.min(*oldest);
            }
        }
        let most = principals
            .into_values()
            .max_by_key(|(count, oldest)| (*count, Reverse(*oldest)))?;
        Some(most.1.2)
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard<A>> {
        lock(&self.shards[id.shard(SHARDS)])
    }
}

fn lock<A>(shard: &Mutex<Shard<A>>) -> MutexGuard<'_, Shard<A>> {
    shard.lock().expect("no holder panics")
}

#[cfg(test)]
mod tests {
    use super::super::outbox::OutboxLimits;
    use super::super::session::{SessionOptions, Transport};
    use super::*;

    fn caller(principal: &str, mode: Option<&str>) -> Caller {
        Caller {
            principal: principal.into(),
            mode: mode.map(Arc::from),
        }
    }

    fn session(principal: &str) -> Arc<Session<()>> {
        session_over(Transport::StreamableHttp, principal)
    }

    fn session_over(transport: Transport, principal: &str) -> Arc<Session<()>> {
        let options = SessionOptions {
            caller: caller(principal, None),
            transport,
            outbox: OutboxLimits {
                events_max: 4,
                bytes_max: 100,
            },
            streams_max: 2,
        };
        Arc::new(Session::new(options, ()))
    }

    fn store(max: usize) -> SessionStore<()> {
        SessionStore::new(StoreLimits {
            max,
            idle_timeout: Duration::from_secs(600),
            stream_retention: Duration::from_secs(120),
        })
    }

    #[test]
    fn a_session_is_unknown_to_another_principal_and_in_another_mode() {
        let store = store(2);
        let session = session("alice");
        assert!(store.insert(session.clone()).is_empty());
        assert!(store.get(session.id(), &caller("alice", None)).is_some());
        assert!(store.get(session.id(), &caller("bob", None)).is_none());
        assert!(store.get(session.id(), &caller("alice", Some("chat"))).is_none());
        assert!(session.end());
        assert!(
            store.get(session.id(), &caller("alice", None)).is_none(),
            "an ended one to everybody"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_goes_first_and_streams_protect() {
        let store = store(3);
        let sessions: Vec<_> = (0..3).map(|_| session("a")).collect();
        for session in &sessions {
            assert!(store.insert(session.clone()).is_empty());
        }
        let _open = sessions[0].stream_opened();
        sessions[1].request_began();
        tokio::time::advance(Duration::from_secs(1)).await;
        let evicted = store.insert(session("a"));
        assert_eq!(
            evicted.iter().map(|session| session.id()).collect::<Vec<_>>(),
            [sessions[2].id()]
        );
        assert_eq!(store.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_the_most_makes_room() {
        let store = store(3);
        let quiet = session("quiet");
        let mut busy = [session("busy"), session("busy")];
        assert!(store.insert(quiet.clone()).is_empty());
        for session in &busy {
            tokio::time::advance(Duration::from_secs(1)).await;
            session.touch();
            assert!(store.insert(session.clone()).is_empty());
        }
        for number in 0..4 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let new = session("busy");
            let evicted = store.insert(new.clone());
            assert_eq!(evicted[0].id(), busy[number % 2].id(), "the oldest of its own");
            busy[number % 2] = new;
        }
        assert!(store.get(quiet.id(), quiet.caller()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_end_unless_a_stream_is_open() {
        let store = store(10);
        let (idle, open) = (session("a"), session("a"));
        let _ = store.insert(idle.clone());
        let _ = store.insert(open.clone());
        let stream = open.stream_opened();
        tokio::time::advance(Duration::from_secs(601)).await;
        assert_eq!(store.remove_idle(Instant::now()).len(), 1);
        drop(stream);
        assert!(
            store.remove_idle(Instant::now()).is_empty(),
            "the end of the stream was activity"
        );
        tokio::time::advance(Duration::from_secs(601)).await;
        assert_eq!(store.remove_idle(Instant::now()).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_has_lost_its_only_stream_ends_sooner() {
        let store = store(10);
        let (old, new) = (session_over(Transport::HttpSse, "a"), session("a"));
        let stream = old.stream_opened();
        let _ = store.insert(old.clone());
        let _ = store.insert(new.clone());
        tokio::time::advance(Duration::from_secs(500)).await;
        new.touch();
        assert!(store.remove_idle(Instant::now()).is_empty(), "it has its stream");
        drop(stream);
        tokio::time::advance(Duration::from_secs(99)).await;
        assert!(
            store.remove_idle(Instant::now()).is_empty(),
            "its client may come back"
        );
        tokio::time::advance(Duration::from_secs(21)).await;
        let ended = store.remove_idle(Instant::now());
        assert_eq!(ended.len(), 1, "the other one is as idle, and stays");
        assert_eq!(ended[0].id(), old.id());
    }

    #[test]
    fn finished_streams_are_kept_up_to_the_limit() {
        let session = session("a");
        let first = session.open_stream(0).expect("room");
        let after = |outbox: &Outbox| EventId {
            stream: outbox.stream(),
            sequence: 0,
        };
        assert!(session.resume(after(&first)).is_some());
        for _ in 0..2 {
            session.open_stream(0).expect("what is over makes room");
        }
        assert!(session.resume(after(&first)).is_none(), "two are kept");
        let under_way = [session.open_stream(1), session.open_stream(1)];
        assert!(under_way.iter().all(Option::is_some));
        assert!(session.open_stream(1).is_none(), "two are under way");
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_are_over_are_forgotten_in_time_whether_they_were_read_or_not() {
        let session = session("a");
        let retention = Duration::from_secs(60);
        let streams = [1, 1].map(|due| session.open_stream(due).expect("room"));
        let [read, unread] = &streams;
        let reader = read.read_after(0);
        for stream in &streams {
            let answer = bytes::Bytes::from_static(b"{}");
            assert!(stream.push(answer, Priority::Required).is_ok());
        }
        let is_known = |stream: &Outbox| {
            session
                .resume(EventId {
                    stream: stream.stream(),
                    sequence: 0,
                })
                .is_some()
        };
        tokio::time::advance(retention).await;
        session.forget_streams(Instant::now(), retention);
        assert!(!is_known(unread), "nobody came for it");
        drop(reader);
        session.forget_streams(Instant::now(), retention);
        assert!(is_known(read), "its reader has just gone");
        tokio::time::advance(retention).await;
        session.forget_streams(Instant::now(), retention);
        assert!(!is_known(read));
    }

    use super::super::{EventId, Outbox, Priority};
}
