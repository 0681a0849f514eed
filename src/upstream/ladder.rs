//! The steps of ending a process, one after the other, each with the same grace: its stdin is closed, SIGTERM to the
//! group, SIGKILL to all. Pure; the supervisor does what it says.

use std::time::Duration;

use tokio::time::Instant;

/// What to do when a step's grace is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// SIGTERM to the group.
    Terminate,
    /// SIGKILL to the group and all that descends from it.
    Kill,
    /// Not even that ended it (a process stuck in the kernel): stop waiting.
    Abandon,
}

/// How far down a stop is.
#[derive(Debug)]
pub(super) struct Ladder {
    next: Step,
    at: Instant,
    grace: Duration,
}

impl Ladder {
    /// Begins with stdin closed just now.
    pub(super) fn new(now: Instant, grace: Duration) -> Self {
        Self {
            next: Step::Terminate,
            at: now + grace,
            grace,
        }
    }

    /// Returns when the next step is due.
    pub(super) fn due(&self) -> Instant {
        self.at
    }

    /// Returns the next step if its time has come.
    pub(super) fn step(&mut self, now: Instant) -> Option<Step> {
        if now < self.at {
            return None;
        }
        let step = self.next;
        self.next = match step {
            Step::Terminate => Step::Kill,
            Step::Kill | Step::Abandon => Step::Abandon,
        };
        self.at = now + self.grace;
        Some(step)
    }

    /// Makes SIGKILL the next step, due now. One that was killed already keeps its grace to vanish.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.next != Step::Abandon {
            self.next = Step::Kill;
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_down_one_step_at_a_time() {
        let start = Instant::now();
        let grace = Duration::from_secs(5);
        let mut ladder = Ladder::new(start, grace);
        assert_eq!(ladder.step(start), None);
        assert_eq!(ladder.step(start + grace), Some(Step::Terminate));
        assert_eq!(ladder.step(start + grace), None);
        assert_eq!(ladder.step(start + 2 * grace), Some(Step::Kill));
        assert_eq!(ladder.step(start + 3 * grace), Some(Step::Abandon));
    }

    #[test]
    fn a_hurried_one_kills_at_once() {
        let start = Instant::now();
        let mut ladder = Ladder::new(start, Duration::from_secs(5));
        ladder.hurry(start);
        assert_eq!(ladder.step(start), Some(Step::Kill));
        ladder.hurry(start);
        assert_eq!(
            ladder.step(start),
            None,
            "it is not abandoned before the grace is over"
        );
    }
}
