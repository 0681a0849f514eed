//! One registered server: its configuration, its instances, what it offers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::catalog::Catalog;
use super::error::RegistryError;
use super::record::{ConnectionState, ServerRecord, ServerStatus, instance_record, seconds_since};
use crate::config::{ServerName, ServerSpec};
use crate::upstream::{Phase, ServerPool, StateChange, UpstreamState};

/// Where a registration came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The configuration.
    Config,
    /// The running API.
    Api,
}

/// A registered server. Its instances are replaced when its configuration changes in what they run with.
#[derive(Debug)]
pub struct Server {
    name: ServerName,
    source: Source,
    enabled: AtomicBool,
    /// Swapped whole when the configuration changes; a std mutex, held to clone an `Arc`.
    current: Mutex<Current>,
    catalog: Catalog,
    sessions: AtomicUsize,
    /// Where the instances were last seen, for telling changes of the whole from changes of one.
    seen: Mutex<BTreeMap<u64, Phase>>,
}

/// What a server is at present.
#[derive(Debug, Clone)]
struct Current {
    /// The configuration. It may differ from that of the pool in what does not concern processes.
    spec: Arc<ServerSpec>,
    pool: Arc<ServerPool>,
}

impl Server {
    pub(super) fn new(pool: ServerPool, source: Source) -> Self {
        let spec = pool.spec().clone();
        Self {
            name: spec.name.clone(),
            source,
            enabled: AtomicBool::new(spec.enabled),
            current: Mutex::new(Current {
                spec,
                pool: Arc::new(pool),
            }),
            catalog: Catalog::default(),
            sessions: AtomicUsize::new(0),
            seen: Mutex::default(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// Returns where it was registered.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns its configuration.
    pub fn spec(&self) -> Arc<ServerSpec> {
        self.current().spec.clone()
    }

    /// Returns its instances.
    pub fn pool(&self) -> Arc<ServerPool> {
        self.current().pool.clone()
    }

    /// Returns what it offers.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Returns whether requests are served.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Returns how many sessions it has.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Counts a session of this server that opened.
    pub fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session of this server that ended.
    pub fn session_ended(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Enables or disables; returns whether that changed anything.
    pub(super) fn set_enabled(&self, enabled: bool) -> bool {
        let mut current = self.current();
        current.spec = Arc::new(current.spec.with_enabled(enabled));
        current.pool.rest(!enabled);
        self.enabled.swap(enabled, Ordering::AcqRel) != enabled
    }

    /// Puts another configuration in the place of the present one, which does not concern processes.
    pub(super) fn describe(&self, spec: Arc<ServerSpec>) {
        self.current().spec = spec;
    }

    /// Puts other instances in the place of the present ones, which are returned to be closed.
    pub(super) fn replace_pool(&self, pool: ServerPool) -> Arc<ServerPool> {
        let mut current = self.current();
        current.spec = pool.spec().clone();
        std::mem::replace(&mut current.pool, Arc::new(pool))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().expect("no holder panics")
    }

    /// Takes note of an instance's new state; returns what that made of the server as a whole.
    pub(super) fn note(&self, change: &StateChange) -> (ConnectionState, ConnectionState) {
        let mut seen = self.seen.lock().expect("no holder panics");
        let state_of = |seen: &BTreeMap<u64, Phase>| ConnectionState::of(seen.values().copied());
        let before = state_of(&seen);
        if change.state.phase == Phase::Closed {
            seen.remove(&change.instance);
        } else {
            seen.insert(change.instance, change.state.phase);
        }
        (before, state_of(&seen))
    }

    /// Returns an error that says what state the server is in, and what to do first.
    pub(crate) fn not_in_state(&self, message: impl Into<String>) -> RegistryError {
        RegistryError::InvalidState {
            server: self.name.clone(),
            message: message.into(),
        }
    }

    /// Returns a snapshot.
    pub fn record(&self) -> ServerRecord {
        let spec = self.spec();
        let instances = self.pool().instances();
        let states: Vec<UpstreamState> = instances.iter().map(|upstream| upstream.state()).collect();
        let first = states
            .iter()
            .find(|state| state.phase == Phase::Ready)
            .or_else(|| states.first());
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        ServerRecord {
            name: self.name.clone(),
            display_name: spec.display_name.clone(),
            version: spec.version.clone().or_else(|| self.catalog.server_version()),
            path: spec.path.clone(),
            status: if self.is_enabled() {
                ServerStatus::Enabled
            } else {
                ServerStatus::Disabled
            },
            connection_state: ConnectionState::of(states.iter().map(|state| state.phase)),
            phase: first.map_or(Phase::Stopped, |state| state.phase).as_str(),
            capabilities: self.catalog.view(),
            pid: first.and_then(|state| state.pid),
            generation: states.iter().map(|state| state.generation).sum(),
            restarts: states.iter().map(|state| state.restarts).sum(),
            uptime_seconds: first.and_then(|state| state.ready_since).map(seconds_since),
            last_exit: states.iter().rev().find_map(|state| text(&state.last_exit)),
            last_error: states.iter().rev().find_map(|state| text(&state.last_error)),
            sessions: self.sessions(),
            source: match self.source {
                Source::Config => "config",
                Source::Api => "api",
            },
            instances: instances
                .iter()
                .zip(&states)
                .map(|(upstream, state)| instance_record(upstream, state))
                .collect(),
            config: spec.shown(),
        }
    }
}
