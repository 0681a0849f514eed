//! Latencies in logarithmic buckets: 64 to each power of two, so a percentile is at most 1.6 % off.

use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUB_COUNT: usize = 1 << SUB_BITS;
/// Enough for any `u64` of nanoseconds.
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB_COUNT;

/// How many requests took how long.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one request.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// Returns the number of requests counted.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// Returns the latency that `share` (0 to 1) of the requests did not exceed; zero when nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_nanos(upper_bound(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let exponent = (63 - (nanoseconds | 1).leading_zeros()).saturating_sub(SUB_BITS);
    let sub = (nanoseconds >> exponent) as usize;
    exponent as usize * SUB_COUNT + sub
}

/// Returns the largest latency that falls into the bucket.
fn upper_bound(index: usize) -> u64 {
    let exponent = (index / SUB_COUNT).saturating_sub(1);
    let sub = (index - exponent * SUB_COUNT) as u64;
    (sub << exponent) + ((1 << exponent) - 1)
}
