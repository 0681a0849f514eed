//! `initialize` and `server/discover`: a client says who it is, a lease is made, the server's own words go back.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::conversation::{Held, Session};
use super::error::GatewayError;
use super::exchange::Exchange;
use super::gateway::Gateway;
use super::policy::Judge;
use super::session_inbox::SessionInbox;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::{Era, Message, ProtocolVersion, ServerFacts};
use crate::upstream::lease::Applicant;
use crate::upstream::{Connection, Lease, LeaseKind, ServerMessages, UpstreamError};

/// What a client of a shared server is not told of: log messages could reach nobody, or everybody.
pub(super) const NOT_ON_SHARED: [&str; 1] = ["logging"];

/// What a client says of itself is kept as long as its session; so much of it.
pub(super) const PARAMS_BYTES_MAX: usize = 64 * 1024;

impl Gateway {
    pub(super) async fn initialize(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: &Message,
        judge: Option<Judge>,
    ) -> Result<(), GatewayError> {
        if session.facts().is_some() {
            return Err(GatewayError::InitializedTwice);
        }
        let facts = match &judge {
            None => facts_of(message)?,
            Some(judge) => {
                let message = judge.opening(session, message).await?;
                let mut facts = facts_of(&message)?;
                judge.restrain_client(session, &message, &mut facts).await?;
                facts
            }
        };
        let facts = Arc::new(facts);
        if let Some(judge) = &judge {
            self.choose_instance(judge, session, Some(&facts), message)
                .await?;
        }
        let (lease, connection) = self.meet(session, &facts).await?;
        let result = connection.facts().expect("a ready connection has shaken hands");
        let is_own = lease.kind() == LeaseKind::Own;
        let version = agreed_version(&facts, result, is_own);
        let hidden: &[&str] = if is_own { &[] } else { &NOT_ON_SHARED };
        let answer = match judge {
            None => result.initialize_result(version, hidden),
            Some(judge) => {
                let write = |hidden: &[&str]| result.initialize_result(version, hidden);
                let announced = judge.announcement(session, exchange.client_id(), (result, &write), hidden);
                match announced.await {
                    Ok(answer) => answer.result().unwrap_or_default().to_vec(),
                    Err(error) => {
                        drop(session.attachment().release());
                        return Err(error);
                    }
                }
            }
        };
        if !session.set_facts(facts, version) {
            return Err(GatewayError::InitializedTwice);
        }
        info!(
            session = ?session.id(),
            server = %session.attachment().server().name(),
            principal = session.principal(),
            mode = session.mode().map(|mode| &**mode),
            lease = lease.kind().as_str(),
            reason = lease.reason(),
            %version,
            "session opened"
        );
        exchange.answer(&answer);
        Ok(())
    }

    /// Answers what a server speaks and can do (2026-07-28, "Discovery").
    pub(super) async fn discover(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: &Message,
        judge: Option<Judge>,
    ) -> Result<(), GatewayError> {
        let said = session
            .facts()
            .expect("each request of this era says who its client is");
        if let Some(judge) = &judge {
            let message = judge.opening(session, message).await?;
            self.choose_instance(judge, session, Some(said), &message).await?;
        }
        let (lease, connection) = self.meet(session, said).await?;
        let result = connection.facts().expect("a ready connection has shaken hands");
        let hidden: &[&str] = match lease.kind() {
            LeaseKind::Own => &[],
            LeaseKind::Shared | LeaseKind::Principal => &NOT_ON_SHARED,
        };
        let answer = match judge {
            None => result.discover_result(hidden, connection.facts_age()),
            Some(judge) => {
                let write = |hidden: &[&str]| result.discover_result(hidden, connection.facts_age());
                let announced = judge.announcement(session, exchange.client_id(), (result, &write), hidden);
                announced.await?.result().unwrap_or_default().to_vec()
            }
        };
        exchange.answer(&answer);
        Ok(())
    }

    /// Gets a session its lease and waits until its server has shaken hands.
    pub(super) async fn meet(
        self: &Arc<Self>,
        session: &Arc<Session>,
        facts: &Arc<InitializeParams>,
    ) -> Result<(Arc<Lease>, Arc<Connection>), GatewayError> {
        let lease = self.lease(session, Some(facts))?;
        let deadline = Instant::now() + session.attachment().server().spec().handshake_timeout;
        match lease.upstream().connection(deadline).await {
            Ok(connection) => Ok((lease, connection)),
            Err(error) => {
                drop(session.attachment().release());
                Err(upstream_error(session, error))
            }
        }
    }

    /// Returns the session's lease, making one where it has none or its instance is gone for good.
    ///
    /// # Errors
    /// The session has ended: it gets no lease any more.
    pub(super) fn lease(
        self: &Arc<Self>,
        session: &Arc<Session>,
        facts: Option<&Arc<InitializeParams>>,
    ) -> Result<Arc<Lease>, GatewayError> {
        let conversation = session.attachment();
        let mut held = conversation.held();
        if session.has_ended() {
            return Err(GatewayError::SessionEnded);
        }
        if let Some(held) = &*held
            && !held.lease.upstream().is_closed()
        {
            return Ok(held.lease.clone());
        }
        let pool = conversation.server().pool();
        let applicant = Applicant {
            principal: session.principal(),
            era: session.era(),
            facts: facts.filter(|_| !conversation.only_shares()),
            preferred: conversation.chosen_instance(),
        };
        let mut inbox = None;
        let own_inbound =
            || -> Arc<dyn ServerMessages> { inbox.insert(SessionInbox::new(self, session)).clone() };
        let mut idle = None;
        let give_way = || {
            let (session, upstream) = self.standby.give_way(&pool)?;
            idle = Some(session);
            Some(upstream)
        };
        let lease = Arc::new(pool.lease(&applicant, own_inbound, give_way));
        let hub = self.hub_of(&lease);
        let of_hub = hub.as_ref().map(|hub| hub.ear());
        let ear = of_hub.or(inbox.as_ref().map(|inbox| inbox.ear())).cloned();
        let before = held.replace(Held {
            lease: lease.clone(),
            seat: hub.as_ref().map(|hub| hub.join(session)),
            ear,
        });
        drop(held);
        drop(before);
        if let Some(idle) = idle {
            self.end_session(
                &idle,
                "another client needs a process, and this one only stood by",
            );
        }
        // An instance that starts later is told in `ready`.
        if let (Some(hub), Some(connection)) = (hub, lease.upstream().current()) {
            let subscriptions = conversation.settings().subscriptions.clone();
            // Whoever has none, as most have that stay for one request, changes nothing.
            if !subscriptions.is_empty() {
                hub.subscribe(&subscriptions, &connection);
            }
        }
        Ok(lease)
    }
}

fn facts_of(message: &Message) -> Result<InitializeParams, GatewayError> {
    let params = message.params().unwrap_or_default();
    if params.len() > PARAMS_BYTES_MAX {
        let text = format!("the params of initialize are longer than {PARAMS_BYTES_MAX} bytes");
        return Err(GatewayError::InvalidParams(text));
    }
    serde_json::from_slice(&params).map_err(|error| {
        GatewayError::InvalidParams(format!("the params of initialize are not valid: {error}"))
    })
}

/// A client that has the server for itself agrees with the server; one that shares it, or whose server knows no such
/// versions, agrees with the gateway, which speaks every version.
fn agreed_version(client: &InitializeParams, server: &ServerFacts, is_own: bool) -> ProtocolVersion {
    let servers = match server.era() {
        Era::Handshake if is_own => return server.version(),
        Era::Handshake => server.version(),
        Era::Modern => ProtocolVersion::LATEST,
    };
    client.version().unwrap_or(servers)
}

pub(super) fn upstream_error(session: &Session, error: UpstreamError) -> GatewayError {
    GatewayError::Upstream {
        server: session.attachment().server().name().clone(),
        error,
    }
}
