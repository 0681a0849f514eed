//! One message before the policies: its circumstances, what it is about, what they make of it.

use std::sync::Arc;

use super::circumstances::{Occasion, circumstances};
use super::item::{Named, Unclear, listed_item, named, server_item};
use super::judge::{Asked, Judge, kind_of};
use super::shown::{can_show, shown, without};
use crate::gateway::{GatewayError, Session};
use crate::plugin::call::{CallContext, Candidate, CatalogItem, Direction, MessageKind, Topic};
use crate::plugin::{Aim, Changed, Hook, Matter};
use crate::protocol::Message;
use crate::protocol::document::Document;
use crate::protocol::names::method;
use crate::registry::Server;

/// The hearing of one message.
pub(super) struct Hearing<'a> {
    judge: &'a Judge,
    session: &'a Session,
    ctx: CallContext,
    matter: Matter,
    message: Message,
}

impl<'a> Hearing<'a> {
    /// Opens the hearing of a request or notification.
    pub(super) fn of_question(
        judge: &'a Judge,
        session: &'a Session,
        direction: Direction,
        message: Message,
    ) -> Self {
        let document = Document::new(message.bytes().clone());
        let asked = Asked {
            target: target_of(&message.method(), &document),
            method: message.method().into_owned(),
            was_judged: true,
        };
        Self::open(judge, session, direction, asked, document, message)
    }

    /// Opens the hearing of an answer.
    pub(super) fn of_answer(
        judge: &'a Judge,
        session: &'a Session,
        direction: Direction,
        asked: Asked,
        answer: Message,
    ) -> Self {
        let document = Document::new(answer.bytes().clone());
        Self::open(judge, session, direction, asked, document, answer)
    }

    fn open(
        judge: &'a Judge,
        session: &'a Session,
        direction: Direction,
        asked: Asked,
        document: Document,
        message: Message,
    ) -> Self {
        let Asked { method, target, .. } = asked;
        let input_schema = target
            .as_deref()
            .filter(|_| direction == Direction::ClientToServer)
            .and_then(|tool| input_schema(judge, session, &method, tool));
        let occasion = Occasion {
            direction,
            kind: kind_of(&message),
            method,
            target,
        };
        Self {
            ctx: circumstances(judge, session, occasion, document.bytes().len()),
            judge,
            session,
            matter: Matter {
                message: Arc::new(document),
                input_schema,
            },
            message,
        }
    }

    /// Asks whether the sender may do this.
    pub(super) async fn authorize(&self) -> Result<(), GatewayError> {
        if !self.concerns_access() {
            return Ok(());
        }
        let named = named(&self.ctx.method, &self.matter.message).map_err(|unclear| self.unclear(unclear))?;
        let item = named.map(|named| named.item(server_of(self.session)));
        let set = self.judge.set();
        set.authorize(&self.ctx, &self.matter, item.as_ref()).await?;
        Ok(())
    }

    /// Takes out what the client may not see of what the server sends.
    pub(super) async fn conceal(&mut self) -> Result<(), GatewayError> {
        let from_server = self.ctx.direction == Direction::ServerToClient;
        if !from_server || !can_show(&self.ctx.method, self.ctx.kind) || !self.concerns_access() {
            return Ok(());
        }
        let server = server_of(self.session);
        let about = (self.ctx.method.as_str(), self.ctx.kind);
        let resource = |uri| listed_item("resource", uri, server);
        let shown = shown(about, &self.matter.message, server.name().as_str(), &resource)
            .map_err(|unclear| self.unclear(unclear))?;
        let items: Vec<CatalogItem> = shown.iter().filter_map(|shown| shown.item.clone()).collect();
        let mut seen = self.filter(&items).await?.into_iter();
        let kept: Vec<bool> = shown
            .iter()
            .map(|shown| shown.item.is_some() && seen.next().unwrap_or(false))
            .collect();
        if kept.contains(&false) {
            let left = without(&self.matter.message, &shown, &kept);
            let left = left.map_err(|ambiguous| self.unclear(ambiguous.into()))?;
            let scan = self.judge.scan(self.ctx.direction);
            let message = Message::parse(left.clone(), scan).map_err(GatewayError::InvalidMessage)?;
            self.go_on_with(Changed {
                message,
                document: Arc::new(Document::new(left)),
            });
        }
        Ok(())
    }

    /// Returns what the message names, if it says so clearly.
    pub(super) fn named(&self) -> Option<Named> {
        named(&self.ctx.method, &self.matter.message).ok().flatten()
    }

    /// Shows the message to those who validate, and goes on with what they make of it; returns whether they changed it.
    pub(super) async fn validate(&mut self) -> Result<bool, GatewayError> {
        let (judge, session) = (self.judge, self.session);
        let scan = judge.scan(self.ctx.direction);
        let is_question = matches!(self.ctx.kind, MessageKind::Request | MessageKind::Notification);
        let (method, target) = (self.ctx.method.clone(), self.ctx.target.clone());
        let aim_of = |document: &Document| {
            // An answer is about what its request was about, whatever it says.
            let target = match is_question {
                true => target_of(&method, document),
                false => target.clone(),
            };
            let schema_of = |tool: &String| input_schema(judge, session, &method, tool);
            Aim {
                input_schema: target.as_ref().filter(|_| is_question).and_then(schema_of),
                target,
            }
        };
        let set = judge.set();
        let passed = set.on_message(&mut self.ctx, &self.matter, scan, aim_of).await?;
        let is_changed = passed.changed.is_some();
        if let Some(changed) = passed.changed {
            self.go_on_with(changed);
        }
        if passed.is_retargeted {
            let tool = self.ctx.target.as_deref();
            self.matter.input_schema =
                tool.and_then(|tool| input_schema(judge, session, &self.ctx.method, tool));
        }
        Ok(is_changed)
    }

    /// Asks where the message should go: places in `candidates`, best first; `None` leaves it to the gateway. With fewer
    /// than two nobody is asked.
    pub(super) async fn choose(&self, candidates: &[Candidate]) -> Result<Option<Vec<usize>>, GatewayError> {
        let set = self.judge.set();
        Ok(set.choose(&self.ctx, &self.matter, candidates).await?)
    }

    /// Asks whether the server may be used at all, for whatever it is.
    pub(super) async fn may_use_server(&self) -> bool {
        let server = server_item(server_of(self.session).name().as_str());
        self.filter(&[server]).await.is_ok_and(|seen| seen == [true])
    }

    /// Asks which capabilities may be announced.
    pub(super) async fn may_announce(&self, capabilities: &[&str]) -> Result<Vec<bool>, GatewayError> {
        let item = |name: &&str| CatalogItem {
            kind: "capability".to_owned(),
            name: (*name).to_owned(),
            server: server_of(self.session).name().to_string(),
            description: None,
            annotations: None,
        };
        let items: Vec<CatalogItem> = capabilities.iter().map(item).collect();
        self.filter(&items).await
    }

    /// Returns the message as it goes on, and what it asks.
    pub(super) fn close(self) -> (Message, Asked) {
        let asked = Asked {
            method: self.ctx.method,
            target: self.ctx.target,
            was_judged: true,
        };
        (self.message, asked)
    }

    async fn filter(&self, items: &[CatalogItem]) -> Result<Vec<bool>, GatewayError> {
        match items {
            [] => Ok(Vec::new()),
            items => Ok(self.judge.set().filter(&self.ctx, &self.matter, items).await?),
        }
    }

    fn concerns_access(&self) -> bool {
        self.judge.set().wants(Hook::Access, &Topic::of(&self.ctx))
    }

    fn go_on_with(&mut self, changed: Changed) {
        self.message = changed.message;
        self.matter.message = changed.document;
    }

    fn unclear(&self, unclear: Unclear) -> GatewayError {
        let what = match unclear {
            Unclear::Nothing(place) => format!("{place} does not say what is meant"),
            Unclear::Ambiguous(ambiguous) => ambiguous.to_string(),
        };
        match self.ctx.direction {
            Direction::ClientToServer => GatewayError::InvalidParams(what),
            Direction::ServerToClient => GatewayError::Unjudgeable {
                server: server_of(self.session).name().clone(),
                problem: what,
            },
        }
    }
}

fn server_of(session: &Session) -> &Server {
    session.attachment().server()
}

/// Returns the schema of the tool that a request calls, where a policy may check it.
fn input_schema(judge: &Judge, session: &Session, method: &str, tool: &str) -> Option<Arc<str>> {
    let is_wanted = method == method::TOOLS_CALL && judge.set().reads_schemas();
    let facts = is_wanted.then(|| server_of(session).catalog().facts("tool", tool));
    facts??.input_schema
}

/// Returns what a request or notification is about, if it says so clearly.
pub(super) fn target_of(method: &str, message: &Document) -> Option<String> {
    let named = named(method, message).ok().flatten();
    named.map(|named| named.name)
}
