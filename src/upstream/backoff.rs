//! How often a server may fail, and how long to wait before it is tried again. Pure; the caller brings time and chance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RestartPolicy;

/// Failures that are remembered: far more than a window holds, since each but the first few waits for a cool-down.
/// Beyond it the oldest are forgotten.
const FAILURES_MAX: usize = 1024;

/// The failures of one server, over all its instances.
#[derive(Debug)]
pub struct RestartBudget {
    policy: RestartPolicy,
    /// Failures within the window and whose they were, oldest first.
    failures: VecDeque<(Instant, u64)>,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Start again after this delay.
    Retry {
        /// How many failures there were in the window, this one included.
        attempt: u32,
        /// How long to wait.
        delay: Duration,
    },
    /// Too many failures: leave it to an operator, or to a request after this time.
    GiveUp {
        /// When the cool-down is over.
        until: Instant,
    },
}

impl RestartBudget {
    /// Returns a budget without failures.
    pub fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            failures: VecDeque::new(),
        }
    }

    /// Notes a failure of an instance. `chance` lies in `0.0..1.0` and spreads the delays over their upper half.
    pub fn failed(&mut self, instance: u64, now: Instant, chance: f64) -> AfterFailure {
        let window = self.policy.window;
        while self
            .failures
            .front()
            .is_some_and(|(first, _)| now.duration_since(*first) > window)
        {
            self.failures.pop_front();
        }
        self.failures.push_back((now, instance));
        let attempt = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if attempt > self.policy.attempts_max {
            if self.failures.len() > FAILURES_MAX.max(self.policy.attempts_max as usize) {
                self.failures.pop_front();
            }
            return AfterFailure::GiveUp {
                until: now + self.policy.cool_down,
            };
        }
        AfterFailure::Retry {
            attempt,
            delay: self.delay(attempt, chance),
        }
    }

    /// Forgets the failures of an instance that has been up long enough; those of another one still count.
    pub fn forgive(&mut self, instance: u64) {
        self.failures.retain(|(_, whose)| *whose != instance);
    }

    /// Forgets all failures: an operator said so.
    pub fn reset(&mut self) {
        self.failures.clear();
    }

    fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self
            .policy
            .backoff_initial
            .saturating_mul(2_u32.saturating_pow(attempt - 1));
        doubled.min(self.policy.backoff_max).mul_f64(0.5 + chance / 2.0)
    }
}

/// Where chance comes from: [`chance`], or a seeded source in a simulation. Gives numbers in `0.0..1.0`.
pub type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Returns a number in `0.0..1.0` that differs from process to process and call to call. Not for secrets.
pub fn chance() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RestartPolicy {
        RestartPolicy {
            attempts_max: 5,
            window: Duration::from_secs(300),
            backoff_initial: Duration::from_millis(500),
            backoff_max: Duration::from_secs(3),
            stable_after: Duration::from_secs(60),
            cool_down: Duration::from_secs(30),
        }
    }

    #[test]
    fn doubles_up_to_the_maximum_and_gives_up_after_the_fifth() {
        let mut budget = RestartBudget::new(policy());
        let now = Instant::now();
        let mut delays = Vec::new();
        for _ in 0..5 {
            let AfterFailure::Retry { delay, .. } = budget.failed(1, now, 1.0) else {
                panic!("gave up early")
            };
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [500, 1000, 2000, 3000, 3000]);
        let until = now + Duration::from_secs(30);
        assert_eq!(budget.failed(1, now, 0.0), AfterFailure::GiveUp { until });
        assert_eq!(
            budget.failed(1, now, 0.0),
            AfterFailure::GiveUp { until },
            "and stays there within the window"
        );
    }

    #[test]
    fn old_failures_and_uptime_are_forgiven() {
        let mut budget = RestartBudget::new(policy());
        let start = Instant::now();
        (0..5).for_each(|_| {
            budget.failed(1, start, 0.0);
        });
        let later = start + Duration::from_secs(301);
        assert_eq!(
            budget.failed(1, later, 0.0),
            AfterFailure::Retry {
                attempt: 1,
                delay: Duration::from_millis(250)
            }
        );
        (0..4).for_each(|_| {
            budget.failed(1, later, 0.0);
        });
        budget.reset();
        assert!(matches!(
            budget.failed(1, later, 0.0),
            AfterFailure::Retry { attempt: 1, .. }
        ));
    }

    #[test]
    fn an_attempt_after_the_cool_down_counts_when_the_window_moves_on() {
        let mut budget = RestartBudget::new(policy());
        let start = Instant::now();
        for _ in 0..6 {
            budget.failed(1, start, 0.0);
        }
        for attempt in 1..=5 {
            budget.failed(1, start + Duration::from_secs(attempt * 50), 0.0);
        }
        let moved_on = start + Duration::from_secs(301);
        assert!(matches!(
            budget.failed(1, moved_on, 0.0),
            AfterFailure::GiveUp { .. }
        ));
    }

    #[test]
    fn a_stable_instance_does_not_forgive_another_one() {
        let mut budget = RestartBudget::new(policy());
        let now = Instant::now();
        for _ in 0..5 {
            budget.failed(1, now, 0.0);
        }
        budget.forgive(2);
        assert!(matches!(budget.failed(1, now, 0.0), AfterFailure::GiveUp { .. }));
        budget.forgive(1);
        assert!(matches!(
            budget.failed(1, now, 0.0),
            AfterFailure::Retry { attempt: 1, .. }
        ));
    }

    #[test]
    fn who_is_forgiven_makes_no_room_for_failures_that_still_count() {
        let mut budget = RestartBudget::new(policy());
        let now = Instant::now();
        for instance in [1, 1, 1, 1, 1, 2] {
            budget.failed(instance, now, 0.0);
        }
        budget.forgive(2);
        assert!(matches!(budget.failed(2, now, 0.0), AfterFailure::GiveUp { .. }));
    }

    #[test]
    fn a_server_that_fails_for_ever_is_remembered_within_bounds() {
        let mut budget = RestartBudget::new(policy());
        let now = Instant::now();
        for _ in 0..3 * FAILURES_MAX {
            budget.failed(1, now, 0.0);
        }
        assert_eq!(budget.failures.len(), FAILURES_MAX);
    }

    #[test]
    fn chance_stays_in_its_range() {
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&chance()));
        }
    }
}
