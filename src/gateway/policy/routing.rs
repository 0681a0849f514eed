//! Where a session goes, or a request without one: what the routing policies choose among what access allows.

use std::sync::Arc;

use bytes::Bytes;

use super::circumstances::{Occasion, circumstances_before_session};
use super::hearing::{Hearing, target_of};
use super::item::server_item;
use super::judge::{Judge, Pinned, topic};
use crate::gateway::{Gateway, GatewayError, Session};
use crate::plugin::call::{CallContext, Candidate, CatalogItem, Direction, MessageKind};
use crate::plugin::{Hook, Matter};
use crate::protocol::Message;
use crate::protocol::document::Document;
use crate::protocol::mcp::InitializeParams;
use crate::registry::{RouteTarget, Server, Target};
use crate::session::Caller;
use crate::upstream::lease::Applicant;
use crate::upstream::{Phase, SCAN, Upstream};

impl Gateway {
    /// Returns the server for a new session of HTTP+SSE, which opens before its client has said anything.
    ///
    /// # Errors
    /// There is none that is allowed and enabled, or the policies refuse.
    pub async fn choose_server_to_open(
        &self,
        pinned: Option<&Pinned>,
        caller: &Caller,
        target: &Target,
    ) -> Result<Arc<Server>, GatewayError> {
        let nothing = Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#);
        let message = Message::parse(nothing, SCAN).expect("it is a request");
        self.choose_server(pinned, caller, target, &message).await
    }

    /// Returns the server for a new session, or for a request without one: the one that the policies choose among those
    /// that they allow.
    ///
    /// # Errors
    /// There is none that is allowed and enabled, or the policies refuse.
    pub async fn choose_server(
        &self,
        pinned: Option<&Pinned>,
        caller: &Caller,
        target: &Target,
        message: &Message,
    ) -> Result<Arc<Server>, GatewayError> {
        match (target, pinned) {
            (Target::Route(servers), Some(pinned)) => {
                Box::pin(self.choose_among(servers, pinned, caller, message)).await
            }
            _ => enabled(target.usual()),
        }
    }

    async fn choose_among(
        &self,
        servers: &[RouteTarget],
        pinned: &Pinned,
        caller: &Caller,
        message: &Message,
    ) -> Result<Arc<Server>, GatewayError> {
        let fork = Fork::new(self.policy().judge(pinned, message), caller, message);
        let allowed = fork.allowed(servers).await?;
        if allowed.is_empty() {
            return Err(GatewayError::NoServer);
        }
        let Some(places) = fork.choose(&allowed).await? else {
            return enabled(Target::Route(allowed).usual());
        };
        let chosen: Vec<_> = places.iter().map(|place| &allowed[*place].server).collect();
        let first = chosen.iter().find(|server| server.is_enabled());
        enabled(first.unwrap_or(&chosen[0]))
    }

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
            era: session.era(),
            facts: facts.filter(|_| !conversation.only_shares()),
            preferred: None,
        };
        let instances = conversation.server().pool().shared_by(&applicant);
        let server = conversation.server().name().as_str();
        let candidates: Vec<_> = instances
            .iter()
            .map(|upstream| candidate(server, upstream))
            .collect();
        let hearing = Hearing::of_question(judge, session, Direction::ClientToServer, message.clone());
        if let Some(places) = hearing.choose(&candidates).await?
            && let [place, ..] = *places
        {
            conversation.choose_instance(instances[place].instance());
        }
        Ok(())
    }
}

/// A message before its way forks: there is no session yet, and no server.
struct Fork {
    judge: Judge,
    ctx: CallContext,
    matter: Matter,
}

impl Fork {
    fn new(judge: Judge, caller: &Caller, message: &Message) -> Self {
        let document = Document::new(message.bytes().clone());
        let method = message.method().into_owned();
        let occasion = Occasion {
            direction: Direction::ClientToServer,
            kind: MessageKind::Request,
            target: target_of(&method, &document),
            method,
        };
        Self {
            ctx: circumstances_before_session(&judge, caller, occasion, message.bytes().len()),
            judge,
            matter: Matter {
                message: Arc::new(document),
                input_schema: None,
            },
        }
    }

    /// Returns those servers that access allows.
    async fn allowed(&self, servers: &[RouteTarget]) -> Result<Vec<RouteTarget>, GatewayError> {
        let item = |target: &RouteTarget| server_item(target.server.name().as_str());
        let items: Vec<CatalogItem> = servers.iter().map(item).collect();
        let kept = self.judge.set().filter(&self.ctx, &self.matter, &items).await?;
        let kept = servers.iter().zip(kept).filter(|(_, kept)| *kept);
        Ok(kept.map(|(target, _)| target.clone()).collect())
    }

    /// Returns the places of those that are left, best first; `None` leaves it to the gateway.
    async fn choose(&self, servers: &[RouteTarget]) -> Result<Option<Vec<usize>>, GatewayError> {
        let candidates: Vec<Candidate> = servers.iter().map(server_candidate).collect();
        let set = self.judge.set();
        Ok(set.choose(&self.ctx, &self.matter, &candidates).await?)
    }
}

fn enabled(server: &Arc<Server>) -> Result<Arc<Server>, GatewayError> {
    match server.is_enabled() {
        true => Ok(server.clone()),
        false => Err(GatewayError::Disabled(server.name().clone())),
    }
}

fn server_candidate(target: &RouteTarget) -> Candidate {
    let instances = target.server.pool().instances();
    let in_flight: usize = instances.iter().map(|upstream| upstream.in_flight()).sum();
    let labels = target.labels.iter();
    Candidate {
        server: target.server.name().to_string(),
        instance: None,
        healthy: target.server.is_enabled()
            && (instances.is_empty() || instances.iter().any(|upstream| is_healthy(upstream))),
        in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
        weight: target.weight,
        labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

fn is_healthy(upstream: &Upstream) -> bool {
    !matches!(
        upstream.state().phase,
        Phase::Failed | Phase::Backoff | Phase::Closed
    )
}

fn candidate(server: &str, upstream: &Upstream) -> Candidate {
    Candidate {
        server: server.to_owned(),
        instance: Some(upstream.instance().to_string()),
        healthy: is_healthy(upstream),
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
