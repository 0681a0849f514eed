//! What belongs to one instance: what its host functions read, and how far it may go.
//!
//! A call's time is counted in ticks that the guest has seen, not read from a clock: where the machine is busy, a guest
//! that was kept waiting by others has not taken too long. Who needs more than one takes turns with others of that kind
//! (see [`SlowLane`](super::lane::SlowLane)). A tick is seen between instructions only: one that fills or copies memory is one
//! tick however long it takes, so that a hostile guest has its ticks times what one such instruction costs, which
//! `memory-max` bounds. Host functions that wait do so until the call's deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::PluginEngine;
use super::error::{ErrorKind, Stopped};
use super::lane::Turn;
use super::shared::Shared;
use super::ticker::TICK;
use crate::protocol::document::Document;

/// Most elements of one table of a guest.
pub(super) const TABLE_MAX: usize = 20_000;
/// Most core instances of one component. One of Python has 38.
pub(super) const CORE_INSTANCES_MAX: usize = 64;
/// Most memories of one component.
pub(super) const MEMORIES_MAX: usize = 4;
/// Most tables of one component.
pub(super) const TABLES_MAX: usize = 32;

/// The data of a store.
pub(super) struct State {
    pub(super) shared: Arc<Shared>,
    /// The message of the call in progress.
    pub(super) subject: Option<Subject>,
    /// Until when host functions of the call in progress may wait.
    pub(super) deadline: Instant,
    ticks_left: u64,
    turn: Turn,
    host_calls_left: u32,
    copy_left: usize,
    memory: usize,
}

/// What a call is about, as far as host functions need it.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) message: Arc<Document>,
    /// The input schema of the tool that is called, if it is known.
    pub(super) input_schema: Option<Arc<str>>,
}

impl State {
    /// Returns a store for one instance of a plugin.
    pub(super) fn store(engine: &PluginEngine, shared: Arc<Shared>) -> Store<Self> {
        let output_max = shared.limits.output_max;
        let state = Self {
            shared,
            subject: None,
            deadline: Instant::now(),
            ticks_left: 0,
            turn: engine.lane().turn(),
            host_calls_left: 0,
            copy_left: 0,
            memory: 0,
        };
        let mut store = Store::new(engine.engine(), state);
        store.limiter(|state| state);
        // Only an engine for measuring counts fuel; the others refuse it.
        let _ = store.set_fuel(u64::MAX);
        // Bounds what one call moves out of the guest: its answer, and the arguments of each host function.
        store.set_hostcall_fuel(output_max);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.turn.end();
            Ok(match state.ticks_left.checked_sub(1) {
                Some(left) => {
                    state.ticks_left = left;
                    UpdateDeadline::YieldCustom(1, Box::pin(state.turn.clone().next()))
                }
                None => UpdateDeadline::Interrupt,
            })
        });
        store
    }

    /// Begins a call, in which the guest may run for so long.
    pub(super) fn begin(&mut self, subject: Option<Subject>, time: Duration, deadline: Instant) {
        let limits = &self.shared.limits;
        self.host_calls_left = limits.host_calls_max;
        self.copy_left = limits.body_copy_max;
        // The first tick can come at once: it is not counted.
        self.ticks_left = ticks(time);
        self.subject = subject;
        self.deadline = deadline;
    }

    /// Ends a call.
    pub(super) fn end(&mut self) {
        self.subject = None;
        self.turn.end();
    }

    /// Says that the guest waits from now on, and needs no processor.
    pub(super) fn wait(&self) {
        self.turn.end();
    }

    /// Returns how many bytes of linear memory the instance has.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Counts a call of the host.
    pub(super) fn count(&mut self) -> Result<(), Stopped> {
        match self.host_calls_left.checked_sub(1) {
            Some(left) => self.host_calls_left = left,
            None => {
                let text = format!(
                    "more than {} calls of the host (host-calls-max)",
                    self.shared.limits.host_calls_max
                );
                return Err(Stopped::new(ErrorKind::HostCall, text));
            }
        }
        Ok(())
    }
}

/// Returns how many ticks a time has, at least.
fn ticks(time: Duration) -> u64 {
    const IN_A_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;
    let of_the_last = u64::from(time.subsec_nanos().div_ceil(TICK.subsec_nanos()));
    time.as_secs()
        .saturating_mul(IN_A_SECOND)
        .saturating_add(of_the_last)
}

impl State {
    /// Takes so many bytes of the message from what the call may still copy; returns whether there are as many.
    pub(super) fn may_copy(&mut self, bytes: usize) -> bool {
        let left = self.copy_left.checked_sub(bytes);
        self.copy_left = left.unwrap_or(self.copy_left);
        left.is_some()
    }

    /// As [`State::may_copy`], where the guest could not be told.
    pub(super) fn copy(&mut self, bytes: usize) -> Result<(), Stopped> {
        if self.may_copy(bytes) {
            return Ok(());
        }
        let limit = self.shared.limits.body_copy_max;
        let text = format!("it copied more than {limit} bytes of the message (body-copy-max)");
        Err(Stopped::new(ErrorKind::HostCall, text))
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // It would not grow, and must not be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        // `desired` can be anything: a guest asks as it likes.
        let total = (self.memory - current.min(self.memory)).saturating_add(desired);
        let limit = self.shared.limits.memory_max;
        if total > limit {
            let text = format!("it wanted {total} bytes of memory, and may have {limit} (memory-max)");
            return Err(Stopped::new(ErrorKind::Memory, text).into());
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }
}
