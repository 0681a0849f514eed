//! What belongs to one instance: what its host functions read, and how far it may go.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::PluginEngine;
use super::error::{ErrorKind, Stopped};
use super::shared::Shared;
use crate::protocol::document::Document;

/// The data of a store.
pub(super) struct State {
    pub(super) shared: Arc<Shared>,
    /// The message of the call in progress.
    pub(super) subject: Option<Subject>,
    /// When the call in progress has to be over.
    pub(super) deadline: Instant,
    host_calls_left: u32,
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
            host_calls_left: 0,
            memory: 0,
        };
        let mut store = Store::new(engine.engine(), state);
        store.limiter(|state| state);
        // Bounds what one call moves out of the guest: its answer, and the arguments of each host function.
        store.set_hostcall_fuel(output_max);
        store.epoch_deadline_callback(|context| {
            // Only looks: a store that is changed here would be unsound to go on with.
            let is_over = Instant::now() >= context.data().deadline;
            Ok(if is_over {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        store
    }

    /// Begins a call.
    pub(super) fn begin(&mut self, subject: Option<Subject>, deadline: Instant) {
        self.subject = subject;
        self.deadline = deadline;
        self.host_calls_left = self.shared.limits.host_calls_max;
    }

    /// Ends a call.
    pub(super) fn end(&mut self) {
        self.subject = None;
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

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory - current.min(self.memory) + desired;
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
}

/// Most elements of one table of a guest.
const TABLE_MAX: usize = 100_000;
