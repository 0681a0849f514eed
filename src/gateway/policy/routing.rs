//! Where a session goes, or a request without one: what the routing policies choose among what access allows.

use std::sync::Arc;

use super::hearing::Hearing;
use super::judge::{Judge, topic};
use crate::gateway::{Gateway, GatewayError, Session};
use crate::plugin::Hook;
use crate::plugin::call::{Candidate, Direction, MessageKind};
use crate::protocol::Message;
use crate::protocol::mcp::InitializeParams;
use crate::upstream::lease::Applicant;
use crate::upstream::{Phase, Upstream};

impl Gateway {
    /// Has the policies choose which of several shared instances a session gets, if it would share one and has none yet.
    pub(in super::super) async fn choose_instance(
        &self,
        judge: &Judge,
        session: &Session,
        facts: Option<&Arc<InitializeParams>>,
        message: &Message,
    ) -> Result<(), GatewayError> {
        let conversation = session.attachment();
        let is_asked = judge.asks_where(session, message);
        if !is_asked || conversation.lease().is_some() {
            return Ok(());
        }
        let applicant = Applicant {
            principal: session.principal(),
            facts,
            preferred: None,
        };
        let mut instances = conversation.server().pool().shared_by(&applicant);
        // The one that it would get without asking comes first.
        instances.sort_by_key(|upstream| (upstream.in_flight(), upstream.usage().leases()));
        let server = conversation.server().name().as_str();
        let candidates: Vec<_> = instances.iter().map(|upstream| candidate(server, upstream)).collect();
        let hearing = Hearing::of_question(judge, session, Direction::ClientToServer, message.clone());
        let places = hearing.choose(&candidates).await?;
        if let [place, ..] = *places {
            conversation.choose_instance(instances[place].instance());
        }
        Ok(())
    }
}

fn candidate(server: &str, upstream: &Upstream) -> Candidate {
    let phase = upstream.state().phase;
    Candidate {
        server: server.to_owned(),
        instance: Some(upstream.instance().to_string()),
        healthy: !matches!(phase, Phase::Failed | Phase::Backoff | Phase::Closed),
        in_flight: u32::try_from(upstream.in_flight()).unwrap_or(u32::MAX),
        weight: 1,
        labels: Vec::new(),
    }
}

impl Judge {
    /// Returns whether any policy is to be asked where a message of a client should go.
    pub(super) fn asks_where(&self, session: &Session, message: &Message) -> bool {
        let method = message.method();
        let topic = topic(session, Direction::ClientToServer, MessageKind::Request, &method);
        self.set().wants(Hook::Routing, &topic)
    }
}
