//! What operators do to servers and sessions, with all that follows from it: the one door for the API and the app.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::attention::Attention;
use super::cache::CacheUsage;
use super::conversation::{Held, Session};
use super::error::GatewayError;
use super::gateway::Gateway;
use super::shared_hub::SharedHub;
use crate::config::{ServerSpec, Sharing};
use crate::registry::{Actor, Order, Reconfigured, RegistryError, Server, Source};
use crate::session::Caller;
use crate::upstream::{Lease, Phase, ServerPool, StateChange};

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
            start_instances(&server, &Order::new("autostart", actor)).await;
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
        let order = Order::new("unregistered", actor).to_string();
        server.pool().close(&order).await;
        Ok(())
    }

    /// Changes a server: `change` makes the new configuration of the present one, and may be asked again if somebody
    /// else changes it meanwhile. Where its processes are concerned they end and start anew; its sessions stay.
    ///
    /// # Errors
    /// What `change` refuses; it is not registered, or its new path is taken.
    pub async fn patch<E: From<RegistryError>>(
        self: &Arc<Self>,
        name: &str,
        actor: Actor,
        change: impl Fn(&ServerSpec) -> Result<ServerSpec, E>,
    ) -> Result<Arc<Server>, E> {
        loop {
            let server = self.registry.server(name)?;
            let old = server.spec();
            let new = change(&old)?;
            self.registry.check(&new)?;
            let (disables, enables) = (old.enabled && !new.enabled, !old.enabled && new.enabled);
            if disables {
                // Fails only if somebody else has just done it.
                let _ = self.disable(name, actor).await;
                continue;
            }
            let (autostart, order) = (new.autostart, Order::new("reconfigured", actor));
            match self.registry.reconfigure(&old, new, &self.pools, actor)? {
                Reconfigured::Stale => continue,
                Reconfigured::Described => {}
                Reconfigured::Replaced(pool) => {
                    pool.close(&order.to_string()).await;
                    let is_awaited = self.lease_to_subscribers(&server);
                    if (autostart || is_awaited) && !enables {
                        start_instances(&server, &order).await;
                    }
                }
            }
            if enables {
                let _ = self.enable(name, actor).await;
            }
            return Ok(server);
        }
    }

    /// Gives those who wait for what they will be told a lease of the present instances, without waiting for a request of
    /// theirs; `true` if any of them has subscribed to a resource.
    fn lease_to_subscribers(self: &Arc<Self>, server: &Arc<Server>) -> bool {
        let mut sessions = self.sessions.all();
        sessions.retain(|session| {
            let conversation = session.attachment();
            let awaits = !conversation.settings().subscriptions.is_empty() || conversation.listens();
            Arc::ptr_eq(conversation.server(), server) && awaits
        });
        for session in &sessions {
            // Fails only for one that has just ended, which waits for nothing.
            let _ = self.lease(session, session.facts());
        }
        let mut settings = sessions.iter().map(|session| session.attachment().settings());
        settings.any(|settings| !settings.subscriptions.is_empty())
    }

    /// Enables a server.
    ///
    /// # Errors
    /// It is not registered, or enabled already.
    pub async fn enable(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.set_enabled(name, true, actor)?;
        if server.spec().autostart {
            start_instances(&server, &Order::new("enabled", actor)).await;
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
        stop_instances(&server, &Order::new("disabled", actor)).await;
        Ok(server)
    }

    /// Starts a server's shared processes and waits until they are ready or have failed once.
    ///
    /// # Errors
    /// It is not registered, disabled, running already, or its processes belong to sessions.
    pub async fn start_server(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.enabled_server(name)?;
        let pool = server.pool();
        let phases = phases(&pool);
        let is_up = |phase: &Phase| matches!(phase, Phase::Starting | Phase::Ready);
        if phases.is_empty() {
            check_shared(&server)?;
        } else if phases.iter().all(is_up) {
            return Err(server.not_in_state("it is running already; restart starts it anew"));
        }
        let order = Order::new("started", actor).to_string();
        settle(&server, pool.start_and_settle(&order)).await;
        Ok(server)
    }

    /// Ends a server's processes; a later request starts them again.
    ///
    /// # Errors
    /// It is not registered, or nothing of it runs.
    pub async fn stop_server(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.server(name)?;
        let rests = |phase: &Phase| matches!(phase, Phase::Stopped | Phase::Closed);
        if phases(&server.pool()).iter().all(rests) {
            return Err(server.not_in_state("it is not running"));
        }
        stop_instances(&server, &Order::new("stopped", actor)).await;
        Ok(server)
    }

    /// Ends a server's processes, where they run, and starts them again.
    ///
    /// # Errors
    /// It is not registered, disabled, or there is nothing to restart because its processes belong to sessions.
    pub async fn restart_server(&self, name: &str, actor: Actor) -> Result<Arc<Server>, RegistryError> {
        let server = self.registry.enabled_server(name)?;
        let pool = server.pool();
        if phases(&pool).is_empty() {
            check_shared(&server)?;
        }
        let order = Order::new("restarted", actor).to_string();
        settle(&server, pool.restart(&order)).await;
        Ok(server)
    }

    /// Ends a session: its streams close, its lease goes back, the next request with its id is unknown.
    pub fn end_session(&self, session: &Arc<Session>, cause: &str) {
        self.sessions.remove(session.id());
        if !session.end() {
            return;
        }
        let conversation = session.attachment();
        let held = conversation.release();
        if let Some(Held {
            lease,
            seat: Some(seat),
            ..
        }) = &held
            && let Some(connection) = lease.upstream().current()
        {
            seat.hub().end_subscriptions(session, &connection);
        }
        for exchange in conversation.open_exchanges() {
            exchange.give_up(&GatewayError::SessionEnded);
        }
        Attention::end(session);
        session.close_streams();
        drop(held);
        // What waits for its client again holds the session, too.
        let suspension = conversation.suspension().take();
        if suspension.is_some() {
            self.suspended.forget(session);
        }
        let server = conversation.server().name();
        if session.is_alone() {
            debug!(session = ?session.id(), %server, cause, "request over");
        } else {
            info!(session = ?session.id(), %server, cause, "session ended");
        }
    }

    /// Ends the sessions that have been idle for too long, and forgets old streams of the others and old answers.
    pub fn look_after_sessions(&self) {
        let now = Instant::now();
        self.cache.sweep(now);
        for session in self.sessions.remove_idle(now) {
            self.end_session(&session, "idle");
        }
        for session in self.suspended.remove_late(now) {
            self.end_session(&session, "its client did not say in time what its server asked");
        }
        for session in self.standby.remove_idle(now) {
            self.end_session(&session, "its client has not called for a while");
        }
        let retention = self.config.sessions.stream_retention;
        for session in self.sessions.all() {
            session.forget_streams(now, retention);
        }
    }

    /// Ends the sessions of those who are not let in any more as what they came in as.
    pub fn end_sessions_unless(&self, is_let_in: impl Fn(&Caller) -> bool) {
        let gone = self.sessions.remove_where(|session| !is_let_in(session.caller()));
        for session in gone {
            self.end_session(&session, "its principal or mode is not let in any more");
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

    /// Returns how many requests have not been answered, those without a session included.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len()
    }

    /// Returns how many calls wait for what their clients say.
    pub fn suspended(&self) -> usize {
        self.suspended.len()
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

    /// Returns the receiver of a leased instance's messages, if sessions share it.
    pub(super) fn hub_of(&self, lease: &Lease) -> Option<Arc<SharedHub>> {
        let hubs = self.hubs.lock().expect("no holder panics");
        hubs.get(&lease.upstream().instance()).cloned()
    }

    /// Forgets what is known of an instance that is not ready any more, or gone.
    pub fn note(&self, change: &StateChange) {
        if change.state.phase != Phase::Ready {
            self.cache.forget(change.instance);
        }
        if change.state.phase == Phase::Closed {
            self.hubs
                .lock()
                .expect("no holder panics")
                .remove(&change.instance);
        }
    }

    /// Returns what is kept of what servers have said.
    pub fn cache_usage(&self) -> CacheUsage {
        self.cache.usage()
    }
}

/// Orders of a server's instances that wait for more than this are carried out all the same.
const SETTLE_MAX: Duration = Duration::from_secs(600);

fn phases(pool: &ServerPool) -> Vec<Phase> {
    let instances = pool.instances();
    instances.iter().map(|upstream| upstream.state().phase).collect()
}

fn check_shared(server: &Server) -> Result<(), RegistryError> {
    match server.spec().sharing {
        Sharing::Session => Err(server.not_in_state(
            "each of its processes belongs to a session (sharing = session) and starts with it",
        )),
        _ => Ok(()),
    }
}

/// Starts what runs without a session, unless the server is disabled.
async fn start_instances(server: &Server, order: &Order) {
    if server.is_enabled() {
        server.pool().start(&order.to_string()).await;
    }
}

async fn stop_instances(server: &Server, order: &Order) {
    let pool = server.pool();
    settle(server, pool.stop(&order.to_string())).await;
}

/// Waits for an order to be carried out, but not for ever: another order may have taken its place.
async fn settle(server: &Server, order: impl Future<Output = ()>) {
    let spec = server.spec();
    let limit = (spec.handshake_timeout + spec.stop_grace * 4).min(SETTLE_MAX);
    if tokio::time::timeout(limit, order).await.is_err() {
        warn!(server = %server.name(), ?limit, "an order was not carried out in time");
    }
}
