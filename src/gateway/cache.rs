//! What servers without handshakes have said and may be said again: their lists and resources, for as long as the server
//! allows (2026-07-28, "Caching").
//!
//! What is kept is the server's own answer. It goes the way of any other: it is translated where its client has a
//! handshake, and the policies judge it anew for each who gets it. It is that of one generation of one instance, since
//! another process may offer something else. `public` answers are for whoever uses the instance, others for the
//! principal who asked. What the server says has changed is forgotten, and so is what was under way meanwhile; while it
//! is not listened to, the time alone holds, and what was kept goes when it is listened to again. Clients that ask at the
//! same time all reach the server.
//!
//! The catalog of the registry is something else: the items of all pages, which the gateway asks for itself to judge by.

mod fetching;
mod kept;
mod key;
mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use tokio::time::Instant;
use tracing::debug;

pub(super) use self::fetching::Fetching;
use self::kept::Kept;
use self::key::Asked;
use self::store::{Looked, Question, Store, Tick};
use crate::config::CacheConfig;
use crate::protocol::{Era, Message};
use crate::session::Caller;
use crate::upstream::Connection;

/// The answers. A std mutex: held for look-ups and single changes.
#[derive(Debug)]
pub(super) struct ResponseCache {
    /// Of one answer.
    bytes_max: usize,
    /// None where nothing is kept.
    store: Option<Mutex<Store>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache holds, and what it was good for since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheUsage {
    /// Answers.
    pub answers: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Requests that were answered with one.
    pub hits: u64,
    /// Requests that might have been.
    pub misses: u64,
}

/// Whether a request is to be sent.
pub(super) enum Found {
    /// No: this is the server's answer.
    Kept(Message),
    /// Yes, and its answer may be kept.
    Missing(Vacancy),
    /// Yes; nothing is kept of what such requests are answered.
    Nothing,
}

/// The place for the answer to a request that is on its way.
#[derive(Debug)]
pub(super) struct Vacancy {
    cache: Arc<ResponseCache>,
    question: Question,
    /// When it was sent.
    since: Tick,
}

impl ResponseCache {
    /// Returns one that is empty; where one of its limits is 0 it stays so.
    pub(super) fn new(limits: &CacheConfig) -> Arc<Self> {
        let is_on = limits.entries_max > 0 && limits.entry_bytes_max > 0 && limits.bytes_max > 0;
        Arc::new(Self {
            bytes_max: limits.entry_bytes_max.min(limits.bytes_max),
            store: is_on.then(|| Mutex::new(Store::new(limits.entries_max, limits.bytes_max))),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// Looks for the answer to a request, as it would be sent.
    pub(super) fn look_up(
        self: &Arc<Self>,
        connection: &Connection,
        caller: &Caller,
        request: &Message,
    ) -> Found {
        let Some(question) = self.question_of(connection, caller, request) else {
            return Found::Nothing;
        };
        let now = Instant::now();
        let looked = self.lock().map(|mut store| store.look_up(&question, now));
        match looked.unwrap_or(Looked::Nothing) {
            Looked::Nothing => Found::Nothing,
            Looked::Found(kept) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                debug!(server = %connection.server(), method = %request.method(), "answered with what was kept");
                Found::Kept(kept.at(now))
            }
            Looked::Missing { since } => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                Found::Missing(Vacancy {
                    cache: self.clone(),
                    question,
                    since,
                })
            }
        }
    }

    /// Reads a request, without a lock; `None` where the answer is not kept.
    fn question_of(&self, connection: &Connection, caller: &Caller, request: &Message) -> Option<Question> {
        let is_kept = self.store.is_some() && connection.era() == Era::Modern && !connection.is_closed();
        Some(Question {
            origin: connection.origin(),
            asked: is_kept.then(|| Asked::of(request)).flatten()?,
            principal: caller.principal.clone(),
        })
    }

    /// Forgets what a notification of a server says has changed.
    pub(super) fn heed(&self, connection: &Connection, notification: &Message) {
        let changed = key::changed_by(&notification.method());
        if changed.is_empty() {
            return;
        }
        if let Some(mut store) = self.lock() {
            let uri = notification.uri();
            store.forget_changed(connection.origin(), changed, uri.as_deref());
        }
    }

    /// Forgets everything of an instance.
    pub(super) fn forget(&self, instance: u64) {
        if let Some(mut store) = self.lock() {
            store.forget(instance);
        }
    }

    /// Forgets what is kept in vain: it is too old.
    pub(super) fn sweep(&self, now: Instant) {
        if let Some(mut store) = self.lock() {
            store.sweep(now);
        }
    }

    /// Returns what it holds, and what it was good for.
    pub(super) fn usage(&self) -> CacheUsage {
        let (answers, bytes) = self.lock().map_or((0, 0), |store| store.size());
        CacheUsage {
            answers,
            bytes,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Store>> {
        let store = self.store.as_ref()?;
        Some(store.lock().expect("no holder panics"))
    }
}

impl Vacancy {
    /// Keeps the server's answer, which has just come, if that may be kept.
    pub(super) fn fill(&self, answer: &Message) {
        let Self {
            cache,
            question,
            since,
        } = self;
        if answer.error().is_some() {
            // A cursor may not hold any more, and then none of its pages does ("Interaction with Pagination").
            if let Some(mut store) = cache.lock().filter(|_| question.asked.is_next_page) {
                store.forget_changed(question.origin, &[question.asked.topic], None);
            }
            return;
        }
        if let Some(kept) = Kept::of(answer, cache.bytes_max, Instant::now())
            && let Some(mut store) = cache.lock()
        {
            store.put(question, *since, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Origin, SCAN};

    fn message(rest: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#).into(), SCAN).expect("a message")
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_pages_of_a_list_where_it_answers_a_cursor() {
        let cache = ResponseCache::new(&CacheConfig {
            entries_max: 10,
            entry_bytes_max: 1000,
            bytes_max: 1000,
        });
        let answered = |params: &str, answer: &str| {
            let request = message(&format!(r#""method":"tools/list","params":{params}"#));
            let question = Question {
                origin: Origin {
                    instance: 1,
                    generation: 1,
                },
                asked: Asked::of(&request).expect("it may be kept"),
                principal: "x".into(),
            };
            let looked = cache
                .lock()
                .map(|mut store| store.look_up(&question, Instant::now()));
            let Some(Looked::Missing { since }) = looked else {
                panic!("{looked:?}");
            };
            let vacancy = Vacancy {
                cache: cache.clone(),
                question,
                since,
            };
            vacancy.fill(&message(answer));
            cache.usage().answers
        };
        let error = r#""error":{"code":-32602,"message":"m"}"#;
        assert_eq!(answered("{}", r#""result":{"ttlMs":1000}"#), 1);
        assert_eq!(answered(r#"{"unknown":1}"#, error), 1);
        assert_eq!(answered(r#"{"cursor":"1"}"#, error), 0);
    }
}
