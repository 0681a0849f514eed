//! Keeps a broken plugin from being asked again and again, and asks it again all the same after a while.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// So many failures ...
const FAILURES: usize = 5;
/// ... within this time open it, if ...
const WINDOW: Duration = Duration::from_secs(10);
/// ... at least half of so many latest calls failed: a client that has found a message which breaks the plugin must not
/// be able to take it away from all others.
const RECENT: u32 = u16::BITS;
/// How long it stays open at first; twice as long each time that the next try fails.
const OPEN_MIN: Duration = Duration::from_secs(1);
/// How long it stays open at most.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// Counts failures. While it is open no call is made; then one is, which decides.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Whether there is anything to look at: the common case costs one read.
    is_troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: VecDeque<Instant>,
    /// The latest calls, one bit for each, set where it failed; and how many they are.
    recent: u16,
    seen: u32,
    /// Until when it is open, and for how long that is.
    open: Option<(Instant, Duration)>,
    /// Whether the one call that decides is under way.
    is_trying: bool,
}

impl State {
    fn note(&mut self, has_failed: bool, now: Instant) {
        self.recent = self.recent << 1 | u16::from(has_failed);
        self.seen = RECENT.min(self.seen + 1);
        if has_failed {
            self.failures.push_back(now);
        }
        let is_old = |failure: &Instant| now.duration_since(*failure) > WINDOW;
        while self.failures.front().is_some_and(is_old) || self.failures.len() > FAILURES {
            self.failures.pop_front();
        }
    }

    fn has_failed_enough(&self) -> bool {
        self.failures.len() == FAILURES && self.recent.count_ones() * 2 >= self.seen
    }
}

/// A call that may be made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission {
    /// Whether it decides.
    is_trial: bool,
}

/// What the breaker does, for those who look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// No calls are made.
    Open,
    /// One call is made, which decides.
    HalfOpen,
}

impl BreakerState {
    /// Returns the name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    /// Returns whether a call may be made now. If so, [`Breaker::succeeded`], [`Breaker::failed`] or
    /// [`Breaker::unknown`] must follow.
    pub(super) fn admit(&self, now: Instant) -> Option<Admission> {
        if !self.is_troubled.load(Ordering::Acquire) {
            return Some(Admission::default());
        }
        let mut state = self.lock();
        match state.open {
            None => Some(Admission::default()),
            Some((until, _)) if now < until || state.is_trying => None,
            Some(_) => {
                state.is_trying = true;
                Some(Admission { is_trial: true })
            }
        }
    }

    pub(super) fn succeeded(&self, admission: Admission, now: Instant) {
        if !self.is_troubled.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        state.note(false, now);
        let is_closed = state.open.is_none();
        // One that began before it opened proves nothing.
        if admission.is_trial || (is_closed && state.failures.is_empty()) {
            *state = State::default();
            self.is_troubled.store(false, Ordering::Release);
        }
    }

    /// Counts a failure; returns for how long it opens, if it does.
    pub(super) fn failed(&self, admission: Admission, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        self.is_troubled.store(true, Ordering::Release);
        let time = match state.open {
            Some(_) if !admission.is_trial => return None,
            Some((_, time)) => (time * 2).min(OPEN_MAX),
            None => {
                state.note(true, now);
                if !state.has_failed_enough() {
                    return None;
                }
                OPEN_MIN
            }
        };
        *state = State {
            open: Some((now + time, time)),
            ..State::default()
        };
        Some(time)
    }

    /// A call ended without saying anything of the plugin: if it was to decide, another one does.
    pub(super) fn unknown(&self, admission: Admission) {
        if admission.is_trial {
            self.lock().is_trying = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.lock().open {
            None => BreakerState::Closed,
            Some((until, _)) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn admitted(breaker: &Breaker, now: Instant) -> Admission {
        breaker.admit(now).expect("it admits")
    }

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for failure in 1..=FAILURES {
            let opens = breaker.failed(admitted(&breaker, now), now);
            assert_eq!(opens, (failure == FAILURES).then_some(OPEN_MIN));
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_of_time_and_closes_with_one_success() {
        let now = Instant::now();
        let breaker = opened(now);
        assert_eq!(breaker.admit(now), None);
        assert_eq!(breaker.state(now), BreakerState::Open);
        let later = now + OPEN_MIN;
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        let trial = admitted(&breaker, later);
        assert_eq!(breaker.admit(later), None, "one decides, the others wait for it");
        breaker.succeeded(trial, later);
        admitted(&breaker, later);
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn calls_from_before_it_opened_do_not_decide() {
        let now = Instant::now();
        let breaker = Breaker::default();
        let early = admitted(&breaker, now);
        for _ in 0..FAILURES {
            breaker.failed(admitted(&breaker, now), now);
        }
        let later = now + OPEN_MIN;
        let trial = admitted(&breaker, later);
        breaker.succeeded(early, later);
        assert_eq!(breaker.failed(early, later), None);
        breaker.unknown(early);
        assert_eq!(breaker.admit(later), None, "the trial is still under way");
        assert_eq!(breaker.failed(trial, later), Some(2 * OPEN_MIN));
    }

    #[test]
    fn stays_open_longer_each_time() {
        let mut now = Instant::now();
        let breaker = opened(now);
        let mut times = Vec::new();
        for _ in 0..8 {
            now += OPEN_MAX;
            let trial = admitted(&breaker, now);
            times.push(breaker.failed(trial, now).expect("it opens again").as_secs());
        }
        assert_eq!(times, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for failure in 0..20 {
            let now = now + failure * 3 * SECOND;
            assert_eq!(breaker.failed(admitted(&breaker, now), now), None);
        }
    }

    #[test]
    fn failures_among_many_successes_do_not_open_it_and_are_forgotten() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(admitted(&breaker, now), now), None);
            for _ in 0..4 {
                breaker.succeeded(admitted(&breaker, now), now);
            }
        }
        let later = now + WINDOW + SECOND;
        breaker.succeeded(admitted(&breaker, later), later);
        assert!(!breaker.is_troubled.load(Ordering::Relaxed));
    }

    #[test]
    fn a_try_that_says_nothing_lets_another_one_decide() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + OPEN_MIN;
        breaker.unknown(admitted(&breaker, later));
        admitted(&breaker, later);
    }
}
