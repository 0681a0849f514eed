//! What an ear has noted of the present generation of its instance.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::protocol::modern::Filter;
use crate::upstream::{Connection, UpstreamError};

/// How long both the new and the former one are listened to: a server may be about to tell only the former.
const OVERLAP: Duration = Duration::from_secs(1);
/// Things that only one of two has told, at most; others may be heard twice.
const AHEAD_MAX: usize = 4096;

/// What is noted of one generation.
#[derive(Default)]
pub(super) struct State {
    generation: u64,
    /// Acknowledged.
    pub(super) open: Option<Listen>,
    /// One has been acknowledged before.
    pub(super) was_open: bool,
    /// Sent, and not acknowledged yet.
    pub(super) next: Option<Listen>,
    /// For a moment after another one was acknowledged.
    overlap: Option<Overlap>,
    /// Numbers the listens, for their ends.
    pub(super) serial: u64,
    /// How many have failed before they were acknowledged.
    pub(super) refusals: u64,
    /// How many have failed one after the other.
    pub(super) failures: u32,
    pub(super) is_pausing: bool,
    /// The server knows no such request.
    pub(super) is_deaf: bool,
}

pub(super) struct Listen {
    pub(super) id: i64,
    pub(super) serial: u64,
    pub(super) wanted: Filter,
    pub(super) honoured: Filter,
    pub(super) since: Instant,
}

/// Two listens of which each may tell of a change.
struct Overlap {
    /// The one before `open`, which has been ended.
    former: i64,
    until: Instant,
    /// How often the former has told each thing more than the present one.
    ahead: HashMap<Bytes, i32>,
}

impl State {
    /// Returns whether it is about a generation, forgetting an earlier one; what a later one has left behind is nothing.
    pub(super) fn is_of(&mut self, connection: &Connection) -> bool {
        if self.generation < connection.generation() {
            *self = Self {
                generation: connection.generation(),
                serial: self.serial,
                refusals: self.refusals,
                ..Self::default()
            };
        }
        self.generation == connection.generation()
    }

    /// Returns whether this is a listen that has not ended.
    pub(super) fn listens(&self, id: i64) -> bool {
        let listens = [&self.open, &self.next].into_iter().flatten();
        listens.map(|listen| listen.id).any(|its| its == id)
    }

    /// Notes that a listen is acknowledged; returns the one before, which is to be ended.
    pub(super) fn open(&mut self, listen: Listen) -> Option<Listen> {
        let before = self.open.replace(listen);
        self.overlap = before.as_ref().map(|before| Overlap {
            former: before.id,
            until: Instant::now() + OVERLAP,
            ahead: HashMap::new(),
        });
        before
    }

    /// Returns whether what a listen has told is something new, or has just been told by the other one; `None` for what
    /// is none of them.
    pub(super) fn is_news(&mut self, id: i64, said: &Bytes) -> Option<bool> {
        let is_open = self.open.as_ref().is_some_and(|open| open.id == id);
        self.overlap.take_if(|overlap| overlap.until <= Instant::now());
        let Some(overlap) = &mut self.overlap else {
            return is_open.then_some(true);
        };
        let step = match (is_open, overlap.former == id) {
            (true, _) => -1,
            (_, true) => 1,
            _ => return None,
        };
        if overlap.ahead.len() >= AHEAD_MAX && !overlap.ahead.contains_key(said) {
            return Some(true);
        }
        let ahead = overlap.ahead.entry(Bytes::copy_from_slice(said)).or_default();
        let is_news = *ahead * step >= 0;
        *ahead += step;
        // What both have told is no matter any more.
        if *ahead == 0 {
            overlap.ahead.remove(said);
        }
        Some(is_news)
    }

    /// Returns what is honoured of what somebody wants, if that is known. `refusals` is how many there had been before.
    pub(super) fn verdict(
        &mut self,
        wanted: &Filter,
        connection: &Connection,
        refusals: u64,
    ) -> Option<Result<Filter, UpstreamError>> {
        if !self.is_of(connection) || connection.is_closed() {
            return Some(Err(UpstreamError::Ended(
                "before it acknowledged a subscription".into(),
            )));
        }
        if self.is_deaf {
            return Some(Ok(Filter::default()));
        }
        if let Some(open) = self.open.as_ref().filter(|open| wanted.is_within(&open.wanted)) {
            return Some(Ok(wanted.common_with(&open.honoured)));
        }
        let why = || UpstreamError::NotReady("it refuses subscriptions".into());
        (self.refusals > refusals).then(|| Err(why()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_two_tell_is_news_once() {
        let listen = Listen {
            id: 2,
            serial: 1,
            wanted: Filter::default(),
            honoured: Filter::default(),
            since: Instant::now(),
        };
        let mut state = State {
            open: Some(listen),
            overlap: Some(Overlap {
                former: 1,
                until: Instant::now() + OVERLAP,
                ahead: HashMap::new(),
            }),
            ..State::default()
        };
        let mut check = |id, said: &'static str, expect| {
            assert_eq!(
                state.is_news(id, &Bytes::from_static(said.as_bytes())),
                expect,
                "{id} {said}"
            );
        };
        check(1, "a", Some(true));
        check(2, "a", Some(false));
        check(2, "b", Some(true));
        check(2, "b", Some(true));
        check(1, "b", Some(false));
        check(1, "b", Some(false));
        check(1, "c", Some(true));
        check(3, "a", None);
        for number in 0..=AHEAD_MAX {
            let said = number.to_string().leak();
            check(2, said, Some(true));
        }
        check(1, "0", Some(false));
        check(1, AHEAD_MAX.to_string().leak(), Some(true));
        tokio::time::advance(OVERLAP).await;
        check(2, "c", Some(true));
        check(1, "a", None);
    }
}
