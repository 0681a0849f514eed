//! `subscriptions/listen` of a client: notifications for as long as it reads them (2026-07-28, "Subscriptions").
//!
//! The session of the request lives as long as its stream. It has a lease and a seat like any other, and so hears what
//! they hear, by whichever era its server speaks; what of that it wants stands in its [`Attention`].

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, info};

use super::attention::Attention;
use super::context::{Answer, RequestContext};
use super::conversation::Session;
use super::dispatch::{SUBSCRIPTIONS_MAX, check_uri};
use super::error::GatewayError;
use super::gateway::Gateway;
use super::initialize::upstream_error;
use super::need::Need;
use super::policy::{Judge, subscription_to};
use crate::config::ServerName;
use crate::protocol::modern::Filter;
use crate::protocol::names::method;
use crate::protocol::reply::write_error;
use crate::protocol::{Era, Message, ServerFacts};
use crate::session::OutboxReader;
use crate::upstream::lease::Applicant;
use crate::upstream::{CallError, Connection, UpstreamError};

/// So many resources are subscribed to at once, where each is a request.
const SUBSCRIBING_MAX: usize = 16;

impl Gateway {
    /// Answers a request to listen: with a stream, or an error.
    pub(super) async fn listen(self: &Arc<Self>, ctx: &RequestContext, message: Message) -> Answer {
        let id = message.id().cloned();
        match self.begin_to_listen(ctx, message).await {
            Ok(reader) => Answer::Stream(reader),
            Err(error) => {
                debug!(session = ?ctx.session.id(), %error, "request refused");
                let object = error.to_error_object();
                let mut out = Vec::new();
                write_error(id.as_ref(), &object, &mut out);
                Answer::Json(out.into(), Some(object.code))
            }
        }
    }

    async fn begin_to_listen(
        self: &Arc<Self>,
        ctx: &RequestContext,
        message: Message,
    ) -> Result<OutboxReader, GatewayError> {
        let session = &ctx.session;
        let server = session.attachment().server();
        if self.is_draining() {
            return Err(GatewayError::Stopping);
        }
        if !server.is_enabled() {
            return Err(GatewayError::Disabled(server.name().clone()));
        }
        let listener = self.listeners.add(&session.caller().principal)?;
        let id = message.id().expect("a request has an id").clone();
        Attention::begin(session, id, listener);
        // Whoever ends sessions ends this one, too.
        let _in_use = session.stream_opened();
        self.keep_session(session);
        let judge = self.judge(ctx, &message);
        let wanted = self.may_hear(judge.as_ref(), session, message).await?;
        let facts = session
            .facts()
            .expect("each request of this era says who its client is");
        let (_, mut connection) = self.meet(session, facts).await?;
        if self.join_others(session) {
            (_, connection) = self.meet(session, facts).await?;
        }
        let heard = self.subscribe_to(session, &connection, wanted).await?;
        if session.has_ended() {
            return Err(GatewayError::SessionEnded);
        }
        info!(
            session = ?session.id(),
            server = %server.name(),
            principal = session.principal(),
            lists = ?heard.lists,
            resources = heard.uris.len(),
            "a client listens"
        );
        let info = connection.facts().and_then(ServerFacts::server_info);
        let info = info.map(|info| to_raw_value(info).expect("JSON becomes JSON"));
        Attention::acknowledge(session, heard, info);
        Ok(session.standalone().read_unread())
    }

    /// Returns what of a request to listen the policies allow.
    async fn may_hear(
        self: &Arc<Self>,
        judge: Option<&Judge>,
        session: &Arc<Session>,
        message: Message,
    ) -> Result<Filter, GatewayError> {
        let message = match judge {
            None => message,
            Some(judge) => judge.opening(session, &message).await?,
        };
        let wanted = Filter::parse(&message.params().unwrap_or_default());
        let wanted = wanted.map_err(|error| GatewayError::InvalidParams(error.to_string()))?;
        if wanted.uris.len() + wanted.tasks.len() > SUBSCRIPTIONS_MAX {
            return Err(GatewayError::TooManySubscriptions(SUBSCRIPTIONS_MAX));
        }
        if !wanted.tasks.is_empty() && !Need::Tasks.is_met_by(session) {
            return Err(GatewayError::MissingCapability(Need::Tasks));
        }
        wanted.uris.iter().try_for_each(|uri| check_uri(uri))?;
        let Some(judge) = judge else { return Ok(wanted) };
        if let Some(uri) = wanted.uris.first() {
            self.know_listings(Some(judge), session, &subscription_to(uri))
                .await;
        }
        let wanted = judge.restrain_listener(session, &message, wanted).await?;
        self.choose_instance(judge, session, session.facts(), &message)
            .await?;
        Ok(wanted)
    }

    /// Gives a client that listens the instance that those share who come now, if that is another one: which era a server
    /// speaks, and so who shares what, may turn out only when its process has started. Returns whether it is.
    fn join_others(self: &Arc<Self>, session: &Arc<Session>) -> bool {
        let conversation = session.attachment();
        let Some(lease) = conversation.lease() else {
            return false;
        };
        let applicant = Applicant {
            principal: session.principal(),
            era: session.era(),
            facts: None,
            preferred: None,
        };
        if conversation.server().pool().would_lease(&applicant, &lease) {
            return false;
        }
        let instance = lease.upstream().instance();
        drop(conversation.release());
        // Fails only for one that has just ended, which hears nothing any more.
        let present = self.lease(session, session.facts());
        present.is_ok_and(|present| present.upstream().instance() != instance)
    }

    /// Sees to it that the clients that listen to a server hear what the others do. Called when a process of it is ready.
    pub(super) fn gather_listeners(self: &Arc<Self>, server: &ServerName) {
        let mut sessions = self.sessions.all();
        sessions.retain(|session| {
            let conversation = session.attachment();
            conversation.listens() && conversation.server().name() == server
        });
        for session in sessions {
            let has_moved = self.join_others(&session);
            let conversation = session.attachment();
            let Some(lease) = conversation.lease().filter(|_| has_moved) else {
                continue;
            };
            if !conversation.settings().subscriptions.is_empty() {
                let deadline = self.patience(&conversation.server().spec()).deadline();
                self.tasks.spawn(async move {
                    // What comes of it can be seen in the state of the instance.
                    let _ = lease.upstream().connection(deadline).await;
                });
            }
        }
    }

    /// Has the server tell what is wanted; returns what of it it will.
    async fn subscribe_to(
        &self,
        session: &Arc<Session>,
        connection: &Arc<Connection>,
        wanted: Filter,
    ) -> Result<Filter, GatewayError> {
        let capabilities = connection.facts().map(ServerFacts::capabilities);
        let conversation = session.attachment();
        let mut wanted = wanted.offered_by(capabilities.unwrap_or(&Value::Null));
        // In a process of its own all tasks are the client's.
        if let Some(hub) = conversation.hub() {
            hub.tasks().retain_own(session, &mut wanted.tasks);
        }
        let deadline = self.patience(&conversation.server().spec()).deadline();
        // Noted first, lest the end of another session's subscription cross it.
        note(session, &wanted);
        let ear = conversation.ear().ok_or(GatewayError::SessionEnded)?;
        let heard = match connection.era() {
            Era::Modern => ear.honours(connection, &wanted, deadline).await,
            Era::Handshake => subscribe(connection, wanted, deadline).await,
        };
        let heard = heard.map_err(|error| upstream_error(session, error))?;
        note(session, &heard);
        conversation.settings().promised.clone_from(&heard.uris);
        ear.hear(connection);
        Ok(heard)
    }
}

/// Notes what the client of a session is told of.
fn note(session: &Session, filter: &Filter) {
    let mut settings = session.attachment().settings();
    settings.subscriptions.clone_from(&filter.uris);
    settings.tasks.clone_from(&filter.tasks);
}

/// Subscribes to resources one by one, at a server with a handshake, which tells of lists unasked and of tasks otherwise.
/// Returns what it agrees to.
///
/// # Errors
/// The server does not answer.
pub(super) async fn subscribe(
    connection: &Connection,
    mut wanted: Filter,
    deadline: Instant,
) -> Result<Filter, UpstreamError> {
    wanted.tasks.clear();
    let uris: Vec<String> = std::mem::take(&mut wanted.uris).into_iter().collect();
    for some in uris.chunks(SUBSCRIBING_MAX) {
        let asked = some.iter().map(|uri| is_agreed(connection, uri, deadline));
        for (uri, agreed) in some.iter().zip(join_all(asked).await) {
            if agreed? {
                wanted.uris.insert(uri.clone());
            }
        }
    }
    Ok(wanted)
}

/// Subscribes to a resource; returns whether the server agrees.
async fn is_agreed(connection: &Connection, uri: &str, deadline: Instant) -> Result<bool, UpstreamError> {
    let params = to_raw_value(&json!({ "uri": uri })).expect("plain data becomes JSON");
    let timeout = deadline.saturating_duration_since(Instant::now());
    match connection.call(method::SUBSCRIBE, Some(&params), timeout).await {
        Ok(_) => Ok(true),
        Err(CallError::Refused(error)) => {
            debug!(server = %connection.server(), code = error.code, "not subscribed");
            Ok(false)
        }
        Err(CallError::Upstream(error)) => Err(error),
    }
}
