//! What a supervisor does as time passes: deadlines, the steps of a stop, restarts, idleness, pings.

use std::time::Duration;

use tokio::time::Instant;

use super::{Supervisor, Then};
use crate::upstream::error::UpstreamError;
use crate::upstream::generation::Stage;

/// How often requests are checked for their deadlines while there are any.
const SWEEP: Duration = Duration::from_millis(100);
/// How often a process that nobody asks anything is looked after. A request that comes in between is checked for its
/// deadline at that time first.
const REST: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Returns when the next round is due; without a process and a restart there is nothing to look after.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let Some(generation) = &self.current else {
            return self.retry_due;
        };
        // Counted from the last round, not from now: events must not put it off.
        let pause = if generation.connection.in_flight() > 0 {
            SWEEP
        } else {
            REST
        };
        let round = self.last_round + pause;
        let special = match &generation.stage {
            Stage::Stopping(ladder) => Some(ladder.due()),
            Stage::Exited { read_until } => Some(*read_until),
            Stage::Handshaking | Stage::Running { .. } => None,
        };
        Some(special.map_or(round, |special| special.min(round)))
    }

    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        self.last_round = now;
        if self.retry_due.is_some_and(|due| due <= now) {
            self.state.restarts += 1;
            self.launch("back-off is over".into());
        }
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        generation.connection.sweep();
        if generation.hopeless_at().is_some_and(|at| at <= now) {
            let reason = UpstreamError::Ended("it closed its output".into());
            generation.connection.close(&reason);
        }
        match &mut generation.stage {
            Stage::Handshaking => {}
            Stage::Stopping(ladder) => {
                let step = ladder.step(now);
                self.take_step(step);
            }
            Stage::Exited { .. } => self.finish_if_over(),
            Stage::Running { since } => {
                let since = *since;
                self.look_after(since, now);
            }
        }
    }

    /// The rounds of a healthy instance: forgive, stop if idle, ping.
    fn look_after(&mut self, since: Instant, now: Instant) {
        if !self.forgiven && now.duration_since(since) >= self.options.spec.restart.stable_after {
            self.forgive();
        }
        if self.is_idle(now) && self.close_if_idle() {
            return self.stop(Then::Stay("idle".into()));
        }
        if self.pinging.is_none() && self.ping_due.is_some_and(|due| due <= now) {
            self.ping(now);
        }
    }

    fn forgive(&mut self) {
        self.forgiven = true;
        self.budget().forgive(self.options.instance);
        self.state.last_error = None;
        self.state.client_reason = None;
        self.published.send_replace(self.state.clone());
    }

    fn close_if_idle(&self) -> bool {
        let connection = self.state.connection.as_ref();
        connection.is_some_and(|connection| connection.close_if_idle(UpstreamError::Stopped("idle".into())))
    }

    fn ping(&mut self, now: Instant) {
        let spec = &self.options.spec;
        self.ping_due = spec.ping_interval.map(|interval| now + interval);
        let timeout = spec.ping_timeout;
        if let Some(connection) = self.state.connection.clone() {
            self.pinging = Some(Box::pin(async move { connection.ping(timeout).await }));
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let Some(connection) = &self.state.connection else {
            return false;
        };
        let Some(idle_timeout) = self.options.spec.idle_timeout else {
            return false;
        };
        if connection.in_flight() > 0 || self.options.inbound.keeps_process() {
            return false;
        }
        let quiet = now.saturating_duration_since(connection.last_used());
        let usage = &self.options.usage;
        let alone = usage.leases() == 0
            && now.saturating_duration_since(usage.last_release()) >= self.options.spec.linger;
        quiet >= idle_timeout || (alone && quiet >= self.options.spec.linger)
    }
}
