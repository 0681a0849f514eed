//! What clients send, judged before it goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::hearing::Hearing;
use super::item::is_about_an_item;
use super::judge::{Asked, Judge};
use super::once::run_now_or_spawn;
use crate::gateway::conversation::ServerRequest;
use crate::gateway::exchange::{Exchange, Owed};
use crate::gateway::gateway::end_refused;
use crate::gateway::{Gateway, GatewayError, Session};
use crate::plugin::call::Direction::{ClientToServer, ServerToClient};
use crate::protocol::mcp::InitializeParams;
use crate::protocol::reply::write_result;
use crate::protocol::{Message, RequestId, ServerFacts};
use crate::upstream::{self, LeaseKind};

/// How long a request waits for its server's lists, at most: a server that does not list may still serve.
const LISTINGS_WAIT_MAX: Duration = Duration::from_secs(10);

impl Gateway {
    /// Brings a request to its server if the policies agree.
    pub(in super::super) fn start_judged(
        self: &Arc<Self>,
        judge: Judge,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: Message,
    ) -> Result<(), GatewayError> {
        let is_routed = session.is_alone() && judge.asks_where(session, &message);
        if !is_routed && !judge.asks(session, ClientToServer, &message) {
            let asked = judge.asked_of(session, &message);
            exchange.judged_by(judge, asked);
            return self.dispatch(session, exchange, message);
        }
        let (gateway, session, exchange) = (self.clone(), session.clone(), exchange.clone());
        run_now_or_spawn(&self.tasks, async move {
            let _owed = Owed(exchange.clone());
            let started = gateway
                .judge_and_dispatch(judge, &session, &exchange, message)
                .await;
            end_refused(started, &exchange, &session);
        });
        Ok(())
    }

    async fn judge_and_dispatch(
        self: &Arc<Self>,
        judge: Judge,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: Message,
    ) -> Result<(), GatewayError> {
        self.know_listings(Some(&judge), session, &message).await;
        let (message, asked) = judge.question(session, ClientToServer, message).await?;
        if session.is_alone() {
            let facts = session.facts();
            self.choose_instance(&judge, session, facts, &message).await?;
        }
        // It may have been taken back meanwhile.
        if exchange.is_over() {
            return Ok(());
        }
        exchange.judged_by(judge, asked);
        self.dispatch(session, exchange, message)
    }

    /// Waits, within the time of a request, until it is known what the server says of the thing that the request names:
    /// a policy may judge it by that. A server that has not run yet is started, if the client may use it at all.
    pub(in super::super) async fn know_listings(
        self: &Arc<Self>,
        judge: Option<&Judge>,
        session: &Arc<Session>,
        message: &Message,
    ) {
        let server = session.attachment().server();
        let is_open = session.facts().is_some() || session.is_alone();
        let is_wanted = is_open && server.is_enabled() && is_about_an_item(message);
        if server.catalog().is_read() || !is_wanted {
            return;
        }
        if let Some(judge) = judge {
            let hearing = Hearing::of_question(judge, session, ClientToServer, message.clone());
            if !hearing.may_use_server().await {
                return;
            }
        }
        let deadline = self.patience(&server.spec()).deadline();
        let deadline = deadline.min(Instant::now() + LISTINGS_WAIT_MAX);
        let read = async {
            let lease = self.lease(session, session.facts()).ok()?;
            lease.upstream().connection(deadline).await.ok()?;
            server.catalog().read().await;
            // Which instance it gets has yet to be chosen.
            if session.is_alone() && lease.kind() != LeaseKind::Own {
                drop(session.attachment().release());
            }
            Some(())
        };
        // Without it the policies judge by what the request says, and the server's own error tells the rest.
        if !matches!(timeout_at(deadline, read).await, Ok(Some(()))) {
            debug!(session = ?session.id(), server = %server.name(), "judged without the server's lists");
        }
    }

    /// Takes a notification of a client where it belongs if the policies agree.
    pub(in super::super) fn handle_judged_notification(
        self: &Arc<Self>,
        judge: Judge,
        session: &Arc<Session>,
        message: Message,
    ) {
        if !judge.asks(session, ClientToServer, &message) {
            return self.handle_notification(session, &message);
        }
        let (gateway, session) = (self.clone(), session.clone());
        run_now_or_spawn(&self.tasks, async move {
            match judge.question(&session, ClientToServer, message).await {
                Ok((message, _)) => gateway.handle_notification(&session, &message),
                Err(error) => {
                    debug!(session = ?session.id(), request = judge.request(), %error, "notification dropped")
                }
            }
        });
    }

    /// Gives a client's answer to the server that asked, or an error in its place if the policies do not agree.
    pub(in super::super) fn handle_answer(
        self: &Arc<Self>,
        session: &Arc<Session>,
        request: ServerRequest,
        answer: Message,
    ) {
        let judged = request
            .judged
            .clone()
            .filter(|(judge, asked)| judge.asks_of_answer(session, ClientToServer, &asked.method, &answer));
        let Some((judge, asked)) = judged else {
            request.respond(&answer);
            return;
        };
        let session = session.clone();
        run_now_or_spawn(&self.tasks, async move {
            match judge.answer(&session, ClientToServer, asked, answer).await {
                Ok(answer) => request.respond(&answer),
                Err(error) => request.refuse(&error),
            }
        });
    }
}

/// Writes a result without the capabilities of these names.
type WriteResult<'a> = dyn Fn(&[&str]) -> Vec<u8> + Sync + 'a;

impl Judge {
    /// Judges `initialize`; returns it as it goes on.
    pub(in super::super) async fn opening(
        &self,
        session: &Session,
        message: &Message,
    ) -> Result<Message, GatewayError> {
        if !self.asks(session, ClientToServer, message) {
            return Ok(message.clone());
        }
        let question = self.question(session, ClientToServer, message.clone());
        Ok(question.await?.0)
    }

    /// Takes out of what the client says that it can do what the server may not use, so that the server never learns of
    /// it.
    pub(in super::super) async fn restrain_client(
        &self,
        session: &Session,
        message: &Message,
        facts: &mut InitializeParams,
    ) -> Result<(), GatewayError> {
        let names: Vec<&str> = facts.capabilities.keys().map(String::as_str).collect();
        let may = self
            .may_announce(session, ClientToServer, message, &names)
            .await?;
        let mut may = may.into_iter();
        facts.capabilities.retain(|_, _| may.next().unwrap_or(false));
        Ok(())
    }

    /// Returns the answer in which the server says what it can do, without the capabilities that the client must not see;
    /// those in `hidden` it does not see either way. `result` writes it without those that it gets.
    pub(in super::super) async fn announcement(
        &self,
        session: &Session,
        id: &RequestId,
        (facts, result): (&ServerFacts, &WriteResult<'_>),
        hidden: &[&str],
    ) -> Result<Message, GatewayError> {
        let write = |hidden: &[&str]| {
            let mut out = Vec::new();
            write_result(id, &result(hidden), &mut out);
            Message::parse(out.into(), upstream::SCAN).map_err(GatewayError::InvalidMessage)
        };
        let mut names = facts.capability_names();
        names.retain(|name| !hidden.contains(name));
        let may = self
            .may_announce(session, ServerToClient, &write(hidden)?, &names)
            .await?;
        let forbidden = names.into_iter().zip(may).filter(|(_, may)| !may);
        let mut hidden = hidden.to_vec();
        hidden.extend(forbidden.map(|(name, _)| name));
        let answer = write(&hidden)?;
        let asked = Asked::opening(session.era());
        if !self.asks_of_answer(session, ServerToClient, &asked.method, &answer) {
            return asked.answered(session, answer);
        }
        self.answer(session, ServerToClient, asked, answer).await
    }
}
