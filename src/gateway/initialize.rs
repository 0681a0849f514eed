//! `initialize`: a client says who it is, a lease is made, the server's own words go back.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::conversation::{Held, Session};
use super::error::GatewayError;
use super::exchange::Exchange;
use super::gateway::Gateway;
use super::policy::Judge;
use super::session_inbox::SessionInbox;
use super::shared_hub::tell_subscriptions;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::{Message, ProtocolVersion};
use crate::upstream::lease::Applicant;
use crate::upstream::{Lease, LeaseKind, UpstreamError};

/// What a client of a shared server is not told of: log messages could reach nobody, or everybody.
const NOT_ON_SHARED: [&str; 1] = ["logging"];

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
        let lease = self.lease(session, Some(&facts))?;
        let deadline = Instant::now() + session.attachment().server().spec().handshake_timeout;
        let connection = match lease.upstream().connection(deadline).await {
            Ok(connection) => connection,
            Err(error) => {
                drop(session.attachment().release());
                return Err(upstream_error(session, error));
            }
        };
        let result = connection
            .initialize_result()
            .expect("a ready connection has shaken hands");
        let is_own = lease.kind() == LeaseKind::Own;
        let version = agreed_version(&facts, result.version(), is_own);
        let hidden: &[&str] = if is_own { &[] } else { &NOT_ON_SHARED };
        let answer = match judge {
            None => result.for_client(version, hidden),
            Some(judge) => {
                let announced = judge.announcement(session, exchange.client_id(), (result, version), hidden);
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
            facts,
            preferred: conversation.chosen_instance(),
        };
        let lease = Arc::new(pool.lease(&applicant, || SessionInbox::new(self, session)));
        let before = held.replace(Held {
            lease: lease.clone(),
            seat: self.hub_of(&lease).map(|hub| hub.join(session)),
        });
        drop(held);
        drop(before);
        // An instance that starts later is told in `ready`.
        if let Some(connection) = lease.upstream().current() {
            tell_subscriptions(&connection, conversation.settings().subscriptions.iter());
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

/// A client that has the server for itself agrees with the server; one that shares it agrees with the gateway, which
/// speaks every version.
fn agreed_version(facts: &InitializeParams, servers: ProtocolVersion, is_own: bool) -> ProtocolVersion {
    if is_own {
        servers
    } else {
        facts.version().unwrap_or(servers)
    }
}

pub(super) fn upstream_error(session: &Session, error: UpstreamError) -> GatewayError {
    GatewayError::Upstream {
        server: session.attachment().server().name().clone(),
        error,
    }
}
