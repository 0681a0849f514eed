//! The registry: every server by name and by path, and the operations on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tracing::info;

use super::error::RegistryError;
use super::events::{Actor, EventKind, EventLog, NewEvent};
use super::server::{Server, Source};
use crate::config::{ServerName, ServerSpec};
use crate::upstream::lease::PoolContext;
use crate::upstream::{Connection, Phase, ServerPool, StateChange};

/// All registered servers.
///
/// A std mutex around the map: it is held for look-ups and for inserting or removing one entry, never across an await.
#[derive(Debug)]
pub struct Registry {
    servers: Mutex<BTreeMap<ServerName, Arc<Server>>>,
    events: Arc<EventLog>,
}

impl Registry {
    /// Returns an empty registry.
    pub fn new(events: Arc<EventLog>) -> Arc<Self> {
        Arc::new(Self {
            servers: Mutex::default(),
            events,
        })
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

    /// Returns a server by the segment of its URL.
    pub fn server_at(&self, path: &str) -> Option<Arc<Server>> {
        let servers = self.lock();
        let by_name = servers
            .get(path)
            .filter(|server| server.pool().spec().path == path);
        by_name
            .or_else(|| servers.values().find(|server| server.pool().spec().path == path))
            .cloned()
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
        {
            let mut servers = self.lock();
            if servers.contains_key(&spec.name) {
                let message = format!("a server is already registered under the name {}", spec.name);
                return Err(RegistryError::DuplicateServer(message));
            }
            check_path(&servers, &spec)?;
            servers.insert(spec.name.clone(), server.clone());
        }
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
        let server = self.server(name)?;
        if self.lock().remove(server.name()).is_none() {
            return Err(RegistryError::ServerNotFound(name.to_owned()));
        }
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

    /// Changes a server's configuration; returns the instances that ran with the old one, to be closed by the caller.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`]; [`RegistryError::DuplicateServer`] if the new path is taken.
    pub fn reconfigure(
        &self,
        spec: Arc<ServerSpec>,
        context: &Arc<PoolContext>,
        actor: Actor,
    ) -> Result<Arc<ServerPool>, RegistryError> {
        let old = {
            let servers = self.lock();
            let Some(server) = servers.get(&spec.name) else {
                return Err(RegistryError::ServerNotFound(spec.name.to_string()));
            };
            check_path(&servers, &spec)?;
            server.replace_pool(ServerPool::new(spec.clone(), context.clone()))
        };
        info!(server = %spec.name, %actor, "server reconfigured");
        self.emit(
            EventKind::Registered,
            &spec.name,
            actor,
            "reconfigured",
            spec.shown(),
        );
        Ok(old)
    }

    /// Enables or disables a server.
    ///
    /// # Errors
    /// [`RegistryError::ServerNotFound`]; [`RegistryError::InvalidState`] if it is so already.
    pub fn set_enabled(&self, name: &str, enabled: bool, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.server(name)?;
        let status = if enabled { "enabled" } else { "disabled" };
        if !server.set_enabled(enabled) {
            return Err(RegistryError::InvalidState {
                server: server.name().clone(),
                message: format!("it is already {status}"),
            });
        }
        info!(server = %server.name(), %actor, status, "server status changed");
        self.emit(
            EventKind::StatusChanged,
            server.name(),
            actor,
            status,
            json!({ "status": status }),
        );
        Ok(server)
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
        Err(RegistryError::InvalidState {
            server: server.name().clone(),
            message: "it is disabled; enable it first".to_owned(),
        })
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
        self.emit(
            EventKind::ConnectionChanged,
            &change.server,
            Actor::Gateway,
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
            server: server.clone(),
            actor,
            cause: cause.to_owned(),
            data,
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerName, Arc<Server>>> {
        self.servers.lock().expect("no holder panics")
    }
}

fn check_path(servers: &BTreeMap<ServerName, Arc<Server>>, spec: &ServerSpec) -> Result<(), RegistryError> {
    let taken = servers
        .values()
        .find(|server| *server.name() != spec.name && server.pool().spec().path == spec.path);
    match taken {
        None => Ok(()),
        Some(server) => {
            let message = format!("the path {:?} belongs to the server {}", spec.path, server.name());
            Err(RegistryError::DuplicateServer(message))
        }
    }
}

fn is_trouble(phase: Phase) -> bool {
    matches!(phase, Phase::Backoff | Phase::Failed | Phase::Stopped)
}
