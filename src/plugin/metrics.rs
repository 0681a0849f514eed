//! What one generation of a plugin has done: counted, never locked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::ErrorKind;
use super::exports::Hook;

/// Buckets of a histogram: four for each doubling, from 256 ns to 17 s.
const BUCKETS: usize = 4 * 26;
const FIRST_LOG2: u32 = 8;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It passed, or was routed as the gateway would have.
    Pass,
    /// It was refused.
    Deny,
    /// It was changed, filtered or routed elsewhere.
    Change,
}

/// The figures of one hook.
#[derive(Debug)]
pub(super) struct HookMetrics {
    passes: AtomicU64,
    denials: AtomicU64,
    changes: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    histogram: [AtomicU64; BUCKETS],
}

/// The figures of a generation.
#[derive(Debug)]
pub(super) struct Metrics {
    hooks: [HookMetrics; 3],
    errors: [AtomicU64; ErrorKind::ALL.len()],
}

/// What the generations of a plugin that are gone have done, together.
#[derive(Debug, Default)]
pub(super) struct Past {
    generations: AtomicU64,
    metrics: Metrics,
}

/// The figures of one hook at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFigures {
    /// The hook.
    pub hook: Hook,
    /// Calls that passed.
    pub passes: u64,
    /// Calls that were refused by decision.
    pub denials: u64,
    /// Calls that changed something.
    pub changes: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Time of all calls together.
    pub time: Duration,
    /// Half of the calls took no longer.
    pub p50: Duration,
    /// All but one in a hundred took no longer.
    pub p99: Duration,
}

impl HookFigures {
    /// Returns how many calls there were.
    pub fn calls(&self) -> u64 {
        self.passes + self.denials + self.changes + self.errors
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            hooks: std::array::from_fn(|_| HookMetrics::new()),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl HookMetrics {
    fn new() -> Self {
        Self {
            passes: AtomicU64::new(0),
            denials: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            histogram: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn quantile(&self, share: f64) -> Duration {
        let counts: Vec<u64> = self
            .histogram
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return Duration::ZERO;
        }
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        let bucket = counts.iter().position(reaches).unwrap_or(BUCKETS - 1);
        Duration::from_nanos(upper_end(bucket))
    }
}

impl Metrics {
    pub(super) fn decided(&self, hook: Hook, decided: Decided, time: Duration) {
        let metrics = &self.hooks[hook as usize];
        let count = match decided {
            Decided::Pass => &metrics.passes,
            Decided::Deny => &metrics.denials,
            Decided::Change => &metrics.changes,
        };
        count.fetch_add(1, Ordering::Relaxed);
        metrics.time(time);
    }

    pub(super) fn failed(&self, hook: Hook, kind: ErrorKind, time: Duration) {
        let metrics = &self.hooks[hook as usize];
        metrics.errors.fetch_add(1, Ordering::Relaxed);
        if kind != ErrorKind::Open {
            metrics.time(time);
        }
        self.errors[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many calls failed, by kind; kinds that did not occur are left out.
    pub(super) fn errors(&self) -> Vec<(ErrorKind, u64)> {
        let count = |kind: ErrorKind| self.errors[kind.index()].load(Ordering::Relaxed);
        let all = ErrorKind::ALL.into_iter().map(|kind| (kind, count(kind)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn figures(&self, hook: Hook) -> HookFigures {
        let metrics = &self.hooks[hook as usize];
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        HookFigures {
            hook,
            passes: read(&metrics.passes),
            denials: read(&metrics.denials),
            changes: read(&metrics.changes),
            errors: read(&metrics.errors),
            time: Duration::from_nanos(read(&metrics.nanoseconds)),
            p50: metrics.quantile(0.5),
            p99: metrics.quantile(0.99),
        }
    }
}

impl Past {
    /// Adds a generation that has made its last call.
    pub(super) fn add(&self, gone: &Metrics) {
        let hooks = self.metrics.hooks.iter().zip(&gone.hooks);
        hooks.for_each(|(all, one)| all.add(one));
        self.generations.fetch_add(1, Ordering::Release);
    }

    /// Returns how many generations they were.
    pub(super) fn generations(&self) -> u64 {
        self.generations.load(Ordering::Acquire)
    }

    pub(super) fn figures(&self, hook: Hook) -> HookFigures {
        self.metrics.figures(hook)
    }
}

impl HookMetrics {
    fn add(&self, other: &Self) {
        let add =
            |to: &AtomicU64, from: &AtomicU64| to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
        add(&self.passes, &other.passes);
        add(&self.denials, &other.denials);
        add(&self.changes, &other.changes);
        add(&self.errors, &other.errors);
        add(&self.nanoseconds, &other.nanoseconds);
        for (bucket, other) in self.histogram.iter().zip(&other.histogram) {
            add(bucket, other);
        }
    }

    fn time(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.histogram[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let log2 = nanoseconds.max(1).ilog2();
    let Some(doubling) = log2.checked_sub(FIRST_LOG2) else {
        return 0;
    };
    let quarter = (nanoseconds >> (log2 - 2)) & 3;
    (doubling as usize * 4 + quarter as usize).min(BUCKETS - 1)
}

/// Returns the first number of nanoseconds beyond a bucket.
fn upper_end(bucket: usize) -> u64 {
    let (doubling, quarter) = (bucket as u32 / 4, bucket as u64 % 4);
    (5 + quarter) << (doubling + FIRST_LOG2 - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_below_the_end_of_its_bucket_and_not_far() {
        for nanoseconds in [
            256_u64,
            300,
            999,
            1000,
            12_345,
            1_000_000,
            20_000_000,
            3_000_000_000,
        ] {
            let end = upper_end(bucket(nanoseconds));
            assert!(nanoseconds < end, "{nanoseconds} {end}");
            assert!(end <= nanoseconds + nanoseconds / 4 + 1, "{nanoseconds} {end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(0), 0);
    }

    #[test]
    fn the_past_is_the_sum_of_what_is_gone() {
        let past = Past::default();
        for generation in 1..=3 {
            let gone = Metrics::default();
            for _ in 0..generation {
                gone.decided(Hook::OnMessage, Decided::Change, Duration::from_micros(1));
                gone.failed(Hook::Access, ErrorKind::Trap, Duration::from_millis(1));
            }
            past.add(&gone);
        }
        assert_eq!(past.generations(), 3);
        let (messages, access) = (past.figures(Hook::OnMessage), past.figures(Hook::Access));
        assert_eq!((messages.changes, messages.errors), (6, 0));
        assert_eq!((access.calls(), access.errors), (6, 6));
        assert!(access.p50 >= Duration::from_millis(1), "{:?}", access.p50);
    }

    #[test]
    fn quantiles_are_those_of_the_calls() {
        let metrics = Metrics::default();
        for call in 0..100 {
            let time = if call < 98 { 1000 } else { 1_000_000 };
            metrics.decided(Hook::Access, Decided::Pass, Duration::from_nanos(time));
        }
        let figures = metrics.figures(Hook::Access);
        assert_eq!(figures.calls(), 100);
        assert!(figures.p50 < Duration::from_nanos(1300), "{:?}", figures.p50);
        assert!(figures.p99 >= Duration::from_millis(1), "{:?}", figures.p99);
    }
}
