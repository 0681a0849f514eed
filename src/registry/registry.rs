//! The registry: every server by name and by path, what URLs lead to, and the operations on servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use serde_json::json;
use tracing::{info, warn};

use super::error::RegistryError;
use super::events::{Actor, EventKind, EventLog, NewEvent, Subject};
use super::server::{Server, Source};
use super::target::{RouteTarget, Target};
use crate::config::{Routes, ServerName, ServerSpec};
use crate::upstream::PoolContext;
use crate::upstream::{Connection, Phase, ServerPool, StateChange};

/// All registered servers.
///
/// A std mutex around the map: it is held for look-ups and for changing one entry, never across an await. The event
/// and the log line of a change are written under it, so that their order is that of the changes.
#[derive(Debug)]
pub struct Registry {
    servers: Mutex<BTreeMap<ServerName, Arc<Server>>>,
    /// The routes of the configuration; swapped whole.
    routes: ArcSwap<Routes>,
    events: Arc<EventLog>,
}

/// What became of a changed configuration.
#[derive(Debug)]
pub enum Reconfigured {
    /// The configuration that was to be changed is not the present one any more: read it again.
    Stale,
    /// It holds, and the instances run on.
    Described,
    /// It holds; these instances ran with the old one and are to be closed.
    Replaced(Arc<ServerPool>),
}

impl Registry {
    /// Returns a registry without servers.
    pub fn new(events: Arc<EventLog>, routes: Routes) -> Arc<Self> {
        Arc::new(Self {
            servers: Mutex::default(),
            routes: ArcSwap::from_pointee(routes),
            events,
        })
    }

    /// Lets other routes hold. Those of their servers that are not registered are passed over.
    pub fn set_routes(&self, routes: Routes) {
        for server in self.servers() {
            let path = &server.spec().path;
            if routes.contains_key(path) {
                warn!(server = %server.name(), path, "this path is the name of a route too, which leads nowhere");
            }
        }
        self.routes.store(Arc::new(routes));
    }

    /// Returns the events.
    pub fn events(&self) -> &Arc<EventLog> {
        &self.events
    }

    /// Returns every server, by name.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().values().cloned().collect()
    }

    /// Returns a server by its name.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`].
    pub fn server(&self, name: &str) -> Result<Arc<Server>, RegistryError> {
        let found = name
            .parse::<ServerName>()
            .ok()
            .and_then(|name| self.lock().get(&name).cloned());
        found.ok_or_else(|| RegistryError::ServerNotFound(name.to_owned()))
    }

    /// Returns what the segment of a URL leads to: a server, or a route of which at least one server is registered.
    pub fn target_at(&self, path: &str) -> Option<Target> {
        let servers = self.lock();
        let by_name = servers.get(path).filter(|server| server.spec().path == path);
        let server = by_name.or_else(|| servers.values().find(|server| server.spec().path == path));
        if let Some(server) = server {
            return Some(Target::Server(server.clone()));
        }
        let routes = self.routes.load();
        let route = routes.get(path)?.servers.iter();
        let registered = route.filter_map(|candidate| {
            Some(RouteTarget {
                server: servers.get(&candidate.server)?.clone(),
                weight: candidate.weight,
                labels: candidate.labels.clone(),
            })
        });
        let registered: Vec<RouteTarget> = registered.collect();
        (!registered.is_empty()).then_some(Target::Route(registered))
    }

    /// Adds a server.
    ///
    /// # Errors
    /// [`RegistryError::DuplicateServer`] if its name or path is taken.
    pub fn register(
        &self,
        spec: Arc<ServerSpec>,
        context: &Arc<PoolContext>,
        source: Source,
        actor: Actor,
    ) -> Result<Arc<Server>, RegistryError> {
        let server = Arc::new(Server::new(
            ServerPool::new(spec.clone(), context.clone()),
            source,
        ));
        let mut servers = self.lock();
        if servers.contains_key(&spec.name) {
            let message = format!(
                "a server is already registered under the name {}; PATCH changes it",
                spec.name
            );
            return Err(RegistryError::DuplicateServer(message));
        }
        self.check_path(&servers, &spec)?;
        servers.insert(spec.name.clone(), server.clone());
        info!(server = %spec.name, %actor, "server registered");
        self.emit(
            EventKind::Registered,
            &spec.name,
            actor,
            "registered",
            spec.shown(),
        );
        Ok(server)
    }

    /// Removes a server and returns it; its instances are to be closed by the caller.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`].
    pub fn unregister(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let mut servers = self.lock();
        let server = servers
            .remove(name)
            .ok_or_else(|| RegistryError::ServerNotFound(name.to_owned()))?;
        server.set_enabled(false);
        info!(server = %server.name(), %actor, "server unregistered");
        self.emit(
            EventKind::Unregistered,
            server.name(),
            actor,
            "unregistered",
            json!({}),
        );
        Ok(server)
    }

    /// Returns whether a configuration would be accepted in the place of that of the same name.
    ///
    /// # Errors
    /// [`RegistryError::DuplicateServer`] if its path is taken.
    pub fn check(&self, spec: &ServerSpec) -> Result<(), RegistryError> {
        self.check_path(&self.lock(), spec)
    }

    /// Changes a server's configuration from `old`, if it is still that. Whether it is enabled is not touched.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`]; [`RegistryError::DuplicateServer`] if the new path is taken.
    pub fn reconfigure(
        &self,
        old: &Arc<ServerSpec>,
        spec: ServerSpec,
        context: &Arc<PoolContext>,
        actor: Actor,
    ) -> Result<Reconfigured, RegistryError> {
        let servers = self.lock();
        let server = servers
            .get(&old.name)
            .ok_or_else(|| RegistryError::ServerNotFound(old.name.to_string()))?;
        self.check_path(&servers, &spec)?;
        if !Arc::ptr_eq(&server.spec(), old) {
            return Ok(Reconfigured::Stale);
        }
        let spec = Arc::new(spec.with_enabled(old.enabled));
        if spec == *old {
            return Ok(Reconfigured::Described);
        }
        let reconfigured = if spec.runs_the_same(server.pool().spec()) {
            server.describe(spec.clone());
            Reconfigured::Described
        } else {
            let pool = ServerPool::new(spec.clone(), context.clone());
            Reconfigured::Replaced(server.replace_pool(pool))
        };
        let restarts = matches!(reconfigured, Reconfigured::Replaced(_));
        info!(server = %spec.name, %actor, restarts, "server reconfigured");
        self.emit(
            EventKind::Registered,
            &spec.name,
            actor,
            "reconfigured",
            spec.shown(),
        );
        Ok(reconfigured)
    }

    /// Enables or disables a server.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`]; [`RegistryError::InvalidState`] if it is so already.
    pub fn set_enabled(&self, name: &str, enabled: bool, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let servers = self.lock();
        let server = servers
            .get(name)
            .ok_or_else(|| RegistryError::ServerNotFound(name.to_owned()))?;
        let status = if enabled { "enabled" } else { "disabled" };
        if !server.set_enabled(enabled) {
            return Err(server.not_in_state(format!("it is already {status}")));
        }
        info!(server = %server.name(), %actor, status, "server status changed");
        self.emit(
            EventKind::StatusChanged,
            server.name(),
            actor,
            status,
            json!({ "status": status }),
        );
        Ok(server.clone())
    }

    /// Returns a server that may be used.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`]; [`RegistryError::InvalidState`] if it is disabled.
    pub fn enabled_server(&self, name: &str) -> Result<Arc<Server>, RegistryError> {
        let server = self.server(name)?;
        if server.is_enabled() {
            return Ok(server);
        }
        Err(server.not_in_state("it is disabled; enable it first"))
    }

    /// Takes note of an instance's step and tells everyone; called in order, by the instances.
    pub fn note(&self, change: &StateChange) {
        let Ok(server) = self.server(change.server.as_str()) else {
            return;
        };
        let (before, after) = server.note(change);
        let data = json!({
            "connectionState": after,
            "previousConnectionState": before,
            "instance": change.instance,
            "phase": change.state.phase.as_str(),
            "previousPhase": change.from.as_str(),
            "generation": change.state.generation,
            "pid": change.state.pid,
            "lastExit": change.state.last_exit,
            "lastError": change.state.last_error.as_deref().filter(|_| is_trouble(change.state.phase)),
        });
        let actor = Actor::of_cause(&change.cause);
        self.emit(
            EventKind::ConnectionChanged,
            &change.server,
            actor,
            &change.cause,
            data,
        );
    }

    /// Reads a server's lists again and tells everyone if they changed; returns the names of the changed ones.
    pub async fn refresh_catalog(
        &self,
        name: &ServerName,
        connection: &Connection,
        wanted: impl Fn(&crate::protocol::mcp::Listing) -> bool + Send,
        cause: &str,
    ) -> Vec<&'static str> {
        let Ok(server) = self.server(name.as_str()) else {
            return Vec::new();
        };
        let changed = server.catalog().refresh(connection, wanted).await;
        if !changed.is_empty() {
            let data = json!({ "changed": changed });
            self.emit(EventKind::CapabilitiesChanged, name, Actor::Gateway, cause, data);
        }
        changed
    }

    /// Adds an event.
    pub fn emit(
        &self,
        kind: EventKind,
        server: &ServerName,
        actor: Actor,
        cause: &str,
        data: serde_json::Value,
    ) {
        self.events.emit(NewEvent {
            kind,
            subject: Subject::Server(server.clone()),
            actor,
            cause: cause.to_owned(),
            data,
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerName, Arc<Server>>> {
        self.servers.lock().expect("no holder panics")
    }

    fn check_path(
        &self,
        servers: &BTreeMap<ServerName, Arc<Server>>,
        spec: &ServerSpec,
    ) -> Result<(), RegistryError> {
        let taken = servers
            .values()
            .find(|server| *server.name() != spec.name && server.spec().path == spec.path);
        let owner = match taken {
            Some(server) => format!("the server {}", server.name()),
            None if self.routes.load().contains_key(&spec.path) => "a route".to_owned(),
            None => return Ok(()),
        };
        let message = format!("the path {:?} belongs to {owner}", spec.path);
        Err(RegistryError::DuplicateServer(message))
    }
}

fn is_trouble(phase: Phase) -> bool {
    matches!(phase, Phase::Backoff | Phase::Failed | Phase::Stopped)
}
