//! The laws of phases and restarts, held against what observers are told.

use std::collections::BTreeMap;

use portcullis::config::RestartPolicy;
use portcullis::upstream::{Phase, StateChange};
use tokio::time::Instant;

/// What is known of one instance.
#[derive(Debug)]
struct Seen {
    phase: Phase,
    generation: u64,
    ready_since: Option<Instant>,
    /// Whether its next restart follows a failure that was forgiven meanwhile.
    is_excused: bool,
}

/// The instances of one server, as an observer sees them.
#[derive(Debug)]
pub(super) struct Phases {
    policy: RestartPolicy,
    seen: BTreeMap<u64, Seen>,
    /// Starts after a back-off, and whose they were.
    restarts: Vec<(Instant, u64)>,
}

/// The arrows of the diagram at [`Phase`]; an order that meets a process on its way out skips a phase.
fn may_follow(from: Phase, to: Phase) -> bool {
    match from {
        Phase::Stopped => matches!(to, Phase::Starting | Phase::Closed),
        Phase::Starting => to != Phase::Starting || from == to,
        Phase::Ready => to != Phase::Ready,
        Phase::Draining => !matches!(to, Phase::Draining | Phase::Ready),
        Phase::Backoff | Phase::Failed => matches!(to, Phase::Starting | Phase::Stopped | Phase::Closed),
        Phase::Closed => false,
    }
}

impl Phases {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            seen: BTreeMap::new(),
            restarts: Vec::new(),
        }
    }

    /// Takes what an observer is told; returns the laws that it breaks.
    pub(super) fn observe(&mut self, change: &StateChange, now: Instant) -> Vec<String> {
        let mut broken = Vec::new();
        let (from, to) = (change.from, change.state.phase);
        let seen = self.seen.entry(change.instance).or_insert(Seen {
            phase: Phase::Stopped,
            generation: 0,
            ready_since: None,
            is_excused: false,
        });
        if seen.phase != from {
            broken.push(format!(
                "an observer missed a step: {} was seen, {from} was left",
                seen.phase
            ));
        }
        if !may_follow(from, to) {
            broken.push(format!("{from} must not become {to}"));
        }
        let expected = seen.generation + u64::from(to == Phase::Starting);
        if change.state.generation != expected {
            broken.push(format!(
                "generation {} instead of {expected}",
                change.state.generation
            ));
        }
        if change.state.connection.is_some() != (to == Phase::Ready) {
            broken.push(format!("a connection in phase {to}, or none"));
        }
        if matches!(
            to,
            Phase::Stopped | Phase::Backoff | Phase::Failed | Phase::Closed
        ) && change.state.pid.is_some()
        {
            broken.push(format!("a pid in phase {to}"));
        }
        let is_excused = std::mem::take(&mut seen.is_excused);
        let was_ready_since = seen.ready_since.take();
        seen.phase = to;
        seen.generation = change.state.generation;
        seen.ready_since = (to == Phase::Ready).then_some(now);
        if was_ready_since.is_some_and(|since| now - since >= self.policy.stable_after) {
            self.restarts.retain(|(_, whose)| *whose != change.instance);
        }
        if (from, to) == (Phase::Backoff, Phase::Starting)
            && &*change.cause == "back-off is over"
            && !is_excused
        {
            broken.extend(self.restarted(change.instance, now));
        }
        broken
    }

    fn restarted(&mut self, instance: u64, now: Instant) -> Option<String> {
        // A restart follows its failure by the back-off, and it is failures that the window counts.
        let window = self.policy.window.saturating_sub(self.policy.backoff_max);
        let stable = |whose: &u64| {
            let since = self.seen.get(whose).and_then(|seen| seen.ready_since);
            since.is_some_and(|since| now - since >= self.policy.stable_after)
        };
        self.restarts
            .retain(|(at, whose)| now - *at < window && !stable(whose));
        self.restarts.push((now, instance));
        (self.restarts.len() > self.policy.attempts_max as usize).then(|| {
            format!(
                "{} restarts within {window:?}, over the budget",
                self.restarts.len()
            )
        })
    }

    /// An operator's start or restart forgives everything.
    pub(super) fn forgive_all(&mut self) {
        self.restarts.clear();
        for seen in self.seen.values_mut() {
            seen.is_excused = seen.phase == Phase::Backoff;
        }
    }

    /// Returns the instances that have not been closed.
    pub(super) fn open(&self) -> Vec<String> {
        let open = self.seen.iter().filter(|(_, seen)| seen.phase != Phase::Closed);
        open.map(|(instance, seen)| format!("instance {instance} ended as {}", seen.phase))
            .collect()
    }
}
