//! What operators do to servers and sessions, with all that follows from it: the one door for the API and the app.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::conversation::{Held, Session};
use super::error::GatewayError;
use super::gateway::Gateway;
use super::shared_hub::SharedHub;
use crate::config::ServerSpec;
use crate::registry::{Actor, RegistryError, Server, Source};

impl Gateway {
    /// Adds a server and starts it if it is to run from the start.
    ///
    /// # Errors
    /// Its name or path is taken.
    pub async fn register(
        &self,
        spec: Arc<ServerSpec>,
        source: Source,
        actor: Actor,
    ) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.register(spec.clone(), &self.pools, source, actor)?;
        if spec.autostart && spec.enabled {
            server.pool().start("autostart").await;
        }
        Ok(server)
    }

    /// Removes a server: answers what is in flight, ends its sessions and its processes.
    ///
    /// # Errors
    /// It is not registered.
    pub async fn unregister(&self, name: &str, actor: Actor) -> Result<(), RegistryError> {
        let server = self.registry.unregister(name, actor)?;
        self.end_sessions_of(&server, "the server was unregistered");
        server.pool().close("unregistered").await;
        Ok(())
    }

    /// Changes a server's configuration. Its processes end and start anew; its sessions stay.
    ///
    /// # Errors
    /// It is not registered, or its new path is taken.
    pub async fn reconfigure(
        &self,
        spec: Arc<ServerSpec>,
        actor: Actor,
    ) -> Result<Arc<Server>, RegistryError> {
        let name = spec.name.clone();
        let old = self.registry.reconfigure(spec.clone(), &self.pools, actor)?;
        old.close("reconfigured").await;
        let server = self.registry.server(name.as_str())?;
        if spec.autostart && server.is_enabled() {
            server.pool().start("reconfigured").await;
        }
        Ok(server)
    }

    /// Enables a server.
    ///
    /// # Errors
    /// It is not registered, or enabled already.
    pub async fn enable(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.set_enabled(name, true, actor)?;
        if server.spec().autostart {
            server.pool().start("enabled").await;
        }
        Ok(server)
    }

    /// Disables a server: answers what is in flight, ends its sessions and its processes.
    ///
    /// # Errors
    /// It is not registered, or disabled already.
    pub async fn disable(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.set_enabled(name, false, actor)?;
        self.end_sessions_of(&server, "the server was disabled");
        server.pool().stop("disabled").await;
        Ok(server)
    }

    /// Starts a server's shared processes and waits until they are ready or have failed.
    ///
    /// # Errors
    /// It is not registered, or disabled.
    pub async fn start_server(&self, name: &str) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.enabled_server(name)?;
        let pool = server.pool();
        pool.start("operator").await;
        for upstream in pool.instances() {
            upstream.settled().await;
        }
        Ok(server)
    }

    /// Ends a server's processes; a later request starts them again.
    ///
    /// # Errors
    /// It is not registered.
    pub async fn stop_server(&self, name: &str) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.server(name)?;
        server.pool().stop("operator").await;
        Ok(server)
    }

    /// Ends a server's processes and starts them again.
    ///
    /// # Errors
    /// It is not registered, or disabled.
    pub async fn restart_server(&self, name: &str) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.enabled_server(name)?;
        server.pool().restart("operator").await;
        Ok(server)
    }

    /// Ends a session: its streams close, its lease goes back, the next request with its id is unknown.
    pub fn end_session(&self, session: &Arc<Session>, cause: &str) {
        self.sessions.remove(session.id());
        if !session.end() {
            return;
        }
        let conversation = session.attachment();
        for exchange in conversation.open_exchanges() {
            exchange.give_up(&GatewayError::SessionEnded);
        }
        session.close_streams();
        let held = conversation.held().take();
        if let Some(Held {
            lease,
            seat: Some(seat),
        }) = &held
            && let Some(connection) = lease.upstream().current()
        {
            seat.hub().end_subscriptions(session, &connection);
        }
        drop(held);
        info!(session = ?session.id(), server = %conversation.server().name(), cause, "session ended");
    }

    /// Ends the sessions that have been idle for too long, and forgets old streams of the others.
    pub fn look_after_sessions(&self) {
        let now = Instant::now();
        for session in self.sessions.remove_idle(now) {
            self.end_session(&session, "idle");
        }
        let retention = self.config.sessions.stream_retention;
        for session in self.sessions.all() {
            session.forget_streams(now, retention);
        }
    }

    /// Ends all sessions and all processes.
    pub async fn close(&self, cause: &str) {
        for session in self.sessions.all() {
            self.end_session(&session, cause);
        }
        let servers = self.registry.servers();
        let pools: Vec<_> = servers.iter().map(|server| server.pool()).collect();
        futures_util::future::join_all(pools.iter().map(|pool| pool.close(cause))).await;
    }

    /// Skips the graces of the stops that are under way.
    pub fn hurry(&self) {
        self.registry
            .servers()
            .iter()
            .for_each(|server| server.pool().hurry());
    }

    /// Returns how many requests wait for an answer of a server.
    pub fn in_flight(&self) -> usize {
        self.sessions
            .all()
            .iter()
            .map(|session| session.attachment().in_flight())
            .sum()
    }

    fn end_sessions_of(&self, server: &Arc<Server>, cause: &str) {
        let sessions = self
            .sessions
            .remove_where(|session| Arc::ptr_eq(session.attachment().server(), server));
        for session in sessions {
            self.end_session(&session, cause);
        }
    }

    /// Makes the receiver of a shared instance's messages.
    pub fn new_hub(self: &Arc<Self>, instance: u64) -> Arc<SharedHub> {
        let hub = SharedHub::new(Arc::downgrade(self));
        self.hubs
            .lock()
            .expect("no holder panics")
            .insert(instance, hub.clone());
        hub
    }

    pub(super) fn hub(&self, instance: u64) -> Option<Arc<SharedHub>> {
        self.hubs
            .lock()
            .expect("no holder panics")
            .get(&instance)
            .cloned()
    }

    /// Forgets the receiver of an instance that is gone.
    pub fn forget_hub(&self, instance: u64) {
        self.hubs.lock().expect("no holder panics").remove(&instance);
    }
}
