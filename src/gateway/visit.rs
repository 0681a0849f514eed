//! A request of the era without sessions (2026-07-28). It has a session all the same, the gateway's own, for as long as it
//! takes: what holds for a session, its lease, its policies, its limits, then holds for it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::conversation::Session;
use super::error::GatewayError;
use super::gateway::Gateway;
use super::policy::Pinned;
use super::standby::Place;
use crate::config::Sharing;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::modern::RequestMeta;
use crate::protocol::modern::mirror::{self, Mirrored};
use crate::protocol::names::method;
use crate::protocol::{Era, Message, ProtocolVersion, translate};
use crate::registry::{Server, Target};
use crate::session::{Caller, Transport};
use crate::upstream::LeaseKind;
use crate::upstream::lease::Applicant;

/// What a client is called that does not say who it is.
const NAMELESS: &str = r#"{"name":"unknown","version":"unknown"}"#;

/// The stay of one request. Dropping it says that its client does not wait any more: what is under way is cancelled
/// (2026-07-28, "Cancellation": the client closes the stream, or says so on a channel).
pub struct Visit {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    number: u64,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit")
            .field("session", &self.session.id())
            .finish_non_exhaustive()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let conversation = self.session.attachment();
        let is_suspended = conversation.suspension().is_some();
        // Only who has heard that it is asked comes again. Before it is looked whose session it is: who goes on with the call
        // takes both at once.
        let is_answered = conversation.in_flight() == 0;
        let is_awaited = is_suspended && is_answered && self.gateway.suspended.holds(&self.session);
        match (conversation.is_visit(self.number), is_suspended) {
            _ if is_awaited => {}
            // Its client has come again.
            (false, _) => {}
            // Its client has come again, and was refused.
            (true, true) => self
                .gateway
                .end_session(&self.session, "the call is not gone on with"),
            (true, false) => self.gateway.leave(&self.session),
        }
    }
}

impl Gateway {
    /// Opens the stay of a request for `target` that says of its client what `meta` says: of one that goes on with a
    /// suspended call, or at the server that the policies choose. Returns the request as it goes on: what the client can
    /// do, but the server may not use, is not said.
    ///
    /// # Errors
    /// There is no server for it, a policy could not judge it, or it may not go on with the call that it names.
    pub async fn receive(
        self: &Arc<Self>,
        (target, caller): (&Target, &Caller),
        pinned: Option<&Pinned>,
        said: (RequestMeta, ProtocolVersion),
        request: Message,
    ) -> Result<(Visit, Message), GatewayError> {
        if let Some(visit) = self.visit_again(target, caller, &request)? {
            return Ok((visit, request));
        }
        let server = self.choose_server(pinned, caller, target, &request).await?;
        self.visit((server, caller.clone()), pinned, said, request).await
    }

    async fn visit(
        self: &Arc<Self>,
        (server, caller): (Arc<Server>, Caller),
        pinned: Option<&Pinned>,
        (meta, version): (RequestMeta, ProtocolVersion),
        request: Message,
    ) -> Result<(Visit, Message), GatewayError> {
        // A server with a handshake is told the newest version that has one.
        let mut facts = InitializeParams {
            protocol_version: ProtocolVersion::LATEST.as_str().to_owned(),
            capabilities: meta.capabilities,
            client_info: meta.client_info.unwrap_or_else(nameless),
        };
        let session = self.new_session(server.clone(), caller.clone(), Transport::Stateless);
        let request = match pinned {
            Some(pinned) if !facts.capabilities.is_empty() => {
                let before = facts.capabilities.len();
                let judge = self.policy().judge(pinned, &request);
                Box::pin(judge.restrain_client(&session, &request, &mut facts)).await?;
                match facts.capabilities.len() == before {
                    true => request,
                    false => translate::with_capabilities(&request, &facts.capabilities)?,
                }
            }
            _ => request,
        };
        let facts = Arc::new(facts);
        let is_known = self.knows_its_client(&server, &caller, &facts, &request).await;
        if is_known {
            let place = Place::of(&server, &caller, &facts);
            if let Some(session) = self.standby.take(&place, &server) {
                return Ok((self.stay(session), request));
            }
        } else {
            session.attachment().shares_only();
        }
        let is_first = session.set_facts(facts, version);
        debug_assert!(is_first, "the session is new");
        if is_known {
            // Operators see it, and it ends with its server.
            self.keep_session(&session);
        }
        Ok((self.stay(session), request))
    }

    /// Opens the stay of a request that goes on with a suspended call; `None` if it goes on with none of the gateway's.
    fn visit_again(
        self: &Arc<Self>,
        target: &Target,
        caller: &Caller,
        request: &Message,
    ) -> Result<Option<Visit>, GatewayError> {
        let taken = self.suspended.take(caller, target, request)?;
        Ok(taken.map(|(session, number)| Visit {
            gateway: self.clone(),
            session,
            number,
        }))
    }

    fn stay(self: &Arc<Self>, session: Arc<Session>) -> Visit {
        Visit {
            gateway: self.clone(),
            number: session.attachment().begin_visit(),
            session,
        }
    }

    /// Ends the stay of a request. A session with a process of its own stands by for the next one, unless the process
    /// still works on this one.
    fn leave(&self, session: &Arc<Session>) {
        let conversation = session.attachment();
        let own = conversation
            .lease()
            .filter(|lease| lease.kind() == LeaseKind::Own && !lease.upstream().is_closed());
        match (session.facts(), own) {
            (Some(facts), Some(lease))
                if !conversation.only_shares() && conversation.in_flight() == 0 && !session.has_ended() =>
            {
                let server = conversation.server();
                let place = Place::of(server, session.caller(), facts);
                let linger = server.spec().linger;
                self.standby.put(place, session.clone(), &lease, linger);
            }
            _ => self.end_session(session, "its request is over"),
        }
    }

    /// Returns whether a request needs a process that nobody else has meanwhile: because that is configured, or because a
    /// server with a handshake may ask its client for something and is told who that is. Whether it has a handshake is
    /// found out if nobody knows yet.
    async fn knows_its_client(
        self: &Arc<Self>,
        server: &Arc<Server>,
        caller: &Caller,
        facts: &Arc<InitializeParams>,
        request: &Message,
    ) -> bool {
        // Who listens is asked nothing, and has a session of its own up to the end.
        if request.method() == method::LISTEN {
            return false;
        }
        let pool = server.pool();
        let applicant = Applicant {
            principal: &caller.principal,
            era: Era::Modern,
            facts: Some(facts),
            preferred: None,
        };
        let is_candidate = match server.spec().sharing {
            // What others do in it must not be seen: one request has it at a time.
            Sharing::Session => return server.is_enabled(),
            // Whatever it asks: what a server offers may depend on what its client can do.
            Sharing::Auto => pool.wants_own(&applicant),
            Sharing::Shared | Sharing::Principal => false,
        };
        if !is_candidate || !server.is_enabled() {
            return false;
        }
        if pool.eras().speaks(Era::Modern).is_none() {
            let deadline = self.patience(&server.spec()).deadline();
            let lease = pool.lease_to_learn();
            // What went wrong the request itself will meet.
            let _ = Box::pin(lease.upstream().connection(deadline)).await;
        }
        pool.eras().first_for(Era::Modern) == Era::Handshake
    }
}

impl Visit {
    /// Returns the session of the request.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Returns the arguments of a tool call that headers mirror, by what the server says of the tool; a server that has
    /// not run yet is started for that.
    pub async fn mirrored_arguments(&self, pinned: Option<&Pinned>, call: &Message) -> Vec<Mirrored> {
        let Some(tool) = call.name().filter(|_| call.method() == method::TOOLS_CALL) else {
            return Vec::new();
        };
        let judge = pinned.map(|pinned| self.gateway.policy().judge(pinned, call));
        let listings = self.gateway.know_listings(judge.as_ref(), &self.session, call);
        Box::pin(listings).await;
        let catalog = self.session.attachment().server().catalog();
        let schema = catalog.facts("tool", &tool).and_then(|facts| facts.input_schema);
        // Few tools have any: the others cost no more than this look.
        let annotated = schema.filter(|schema| schema.contains(mirror::ANNOTATION));
        let schema = annotated.and_then(|schema| serde_json::from_str(&schema).ok());
        schema
            .and_then(|schema| mirror::mirrored(&schema).ok())
            .unwrap_or_default()
    }
}

fn nameless() -> Box<RawValue> {
    RawValue::from_string(NAMELESS.to_owned()).expect("the text is JSON")
}
