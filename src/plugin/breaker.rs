//! Keeps a broken plugin from being asked again and again, and asks it again all the same after a while.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So many failures ...
const FAILURES: usize = 5;
/// ... within this time open it.
const WINDOW: Duration = Duration::from_secs(10);
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
    /// Until when it is open, and for how long that is.
    open: Option<(Instant, Duration)>,
    /// Whether the one call that decides is under way.
    is_trying: bool,
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
    pub(super) fn admits(&self, now: Instant) -> bool {
        if !self.is_troubled.load(Ordering::Acquire) {
            return true;
        }
        let mut state = self.state.lock().expect("no holder panics");
        match state.open {
            None => true,
            Some((until, _)) if now < until || state.is_trying => false,
            Some(_) => {
                state.is_trying = true;
                true
            }
        }
    }

    pub(super) fn succeeded(&self) {
        if !self.is_troubled.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock().expect("no holder panics");
        // One that began before it opened proves nothing.
        if state.open.is_some() && state.is_trying {
            *state = State::default();
            self.is_troubled.store(false, Ordering::Release);
        }
    }

    /// Counts a failure; returns for how long it opens, if it does.
    pub(super) fn failed(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock().expect("no holder panics");
        self.is_troubled.store(true, Ordering::Release);
        if let Some((_, time)) = state.open {
            if !std::mem::take(&mut state.is_trying) {
                return None;
            }
            let time = (time * 2).min(OPEN_MAX);
            state.open = Some((now + time, time));
            return Some(time);
        }
        state.failures.push_back(now);
        while state
            .failures
            .front()
            .is_some_and(|first| now.duration_since(*first) > WINDOW)
        {
            state.failures.pop_front();
        }
        if state.failures.len() < FAILURES {
            return None;
        }
        state.failures.clear();
        state.open = Some((now + OPEN_MIN, OPEN_MIN));
        Some(OPEN_MIN)
    }

    /// A call ended without saying anything of the plugin: another one decides.
    pub(super) fn unknown(&self) {
        if self.is_troubled.load(Ordering::Acquire) {
            self.state.lock().expect("no holder panics").is_trying = false;
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        let state = self.state.lock().expect("no holder panics");
        match state.open {
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

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for failure in 1..=FAILURES {
            assert!(breaker.admits(now));
            assert_eq!(breaker.failed(now), (failure == FAILURES).then_some(OPEN_MIN));
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_of_time_and_closes_with_one_success() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(!breaker.admits(now));
        assert_eq!(breaker.state(now), BreakerState::Open);
        let later = now + OPEN_MIN;
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        assert!(breaker.admits(later));
        assert!(!breaker.admits(later), "one decides, the others wait for it");
        breaker.succeeded();
        assert!(breaker.admits(later));
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn stays_open_longer_each_time() {
        let mut now = Instant::now();
        let breaker = opened(now);
        let mut times = Vec::new();
        for _ in 0..8 {
            now += OPEN_MAX;
            assert!(breaker.admits(now));
            times.push(breaker.failed(now).expect("it opens again").as_secs());
        }
        assert_eq!(times, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for failure in 0..20 {
            assert_eq!(breaker.failed(now + failure * 3 * SECOND), None);
        }
    }

    #[test]
    fn a_try_that_says_nothing_lets_another_one_decide() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + OPEN_MIN;
        assert!(breaker.admits(later));
        breaker.unknown();
        assert!(breaker.admits(later));
    }
}
