//! The plugins that hold when a request comes, kept until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::circumstances::Introduction;
use super::hearing::{Hearing, target_of};
use super::shown::can_show;
use crate::gateway::{GatewayError, Session};
use crate::plugin::call::{Direction, MessageKind, Topic};
use crate::plugin::{Hook, PluginSet, Plugins};
use crate::protocol::document::Document;
use crate::protocol::names::method;
use crate::protocol::scan::ScanOptions;
use crate::protocol::translate::{answer_for_one, is_cacheable};
use crate::protocol::{Era, Kind, Message};
use crate::upstream;

/// Where judges come from.
#[derive(Debug)]
pub(in super::super) struct Policy {
    plugins: Arc<Plugins>,
    /// What clients are held to, also after a change by a plugin.
    client_scan: ScanOptions,
    /// The beginning of each request's name: no two runs of the gateway use the same.
    run: String,
    next_request: AtomicU64,
}

/// The plugins that hold for the messages of one HTTP request, and those of its headers that any of them may see.
#[derive(Debug, Clone)]
pub struct Pinned {
    set: Arc<PluginSet>,
    /// Its name in the log.
    request: Arc<str>,
    /// Each key with its prefix.
    headers: Arc<[(String, String)]>,
}

/// Judges one request and what belongs to it, or one message that belongs to none.
#[derive(Debug, Clone)]
pub(in super::super) struct Judge {
    pinned: Pinned,
    client_scan: ScanOptions,
    /// What a client says of itself that opens a session by this very message.
    introduction: Option<Arc<Introduction>>,
}

/// What a request asked, as far as its answer is judged by it.
#[derive(Debug, Clone)]
pub(in super::super) struct Asked {
    pub(in super::super) method: String,
    /// The tool, prompt, resource or task that it is about.
    pub(in super::super) target: Option<String>,
    /// Whether any policy was asked about it.
    pub(in super::super) was_judged: bool,
}

impl Asked {
    /// Returns what a request of a server asks.
    pub(in super::super) fn of(request: &Message) -> Self {
        let method = request.method().into_owned();
        Self {
            target: target_of(&method, &Document::new(request.bytes().clone())),
            method,
            was_judged: false,
        }
    }

    /// Returns what the request asks by which a client learns what its server can do.
    pub(super) fn opening(era: Era) -> Self {
        let method = match era {
            Era::Handshake => method::INITIALIZE,
            Era::Modern => method::DISCOVER,
        };
        Self {
            method: method.to_owned(),
            target: None,
            was_judged: true,
        }
    }

    /// Returns whether the answer must not be kept for others by whoever gets it: what the policies leave to one is not
    /// what they leave to another.
    pub(in super::super) fn is_of_one(&self, session: &Session) -> bool {
        self.was_judged && session.era() == Era::Modern && is_cacheable(&self.method)
    }

    /// Returns the answer of a server, which says so.
    pub(super) fn answered(&self, session: &Session, answer: Message) -> Result<Message, GatewayError> {
        match self.is_of_one(session) {
            true => Ok(answer_for_one(&answer)?),
            false => Ok(answer),
        }
    }
}

impl Policy {
    pub(in super::super) fn new(plugins: Arc<Plugins>, client_scan: ScanOptions) -> Arc<Self> {
        let run = Uuid::new_v4().simple().to_string()[..8].to_owned();
        Arc::new(Self {
            plugins,
            client_scan,
            run,
            next_request: AtomicU64::new(1),
        })
    }

    /// Returns the plugins that hold now; `None` without plugins. `header` reads a header of the request.
    pub(in super::super) fn pin(&self, header: impl Fn(&str) -> Option<String>) -> Option<Pinned> {
        let set = self.plugins.current();
        if set.is_empty() {
            return None;
        }
        let attribute = |name| Some((format!("header.{name}"), header(name)?));
        let headers = set.headers().into_iter().filter_map(attribute).collect();
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        Some(Pinned {
            headers,
            request: format!("{}-{number}", self.run).into(),
            set,
        })
    }

    /// Returns who judges a message of a client, and its answer.
    pub(in super::super) fn judge(&self, pinned: &Pinned, message: &Message) -> Judge {
        let opens = message.kind() == Kind::Request && message.method() == method::INITIALIZE;
        Judge {
            introduction: opens.then(|| Arc::new(Introduction::of(message))),
            ..self.judge_without_client(pinned.clone())
        }
    }

    /// Returns who judges what no client has sent.
    pub(super) fn judge_without_client(&self, pinned: Pinned) -> Judge {
        Judge {
            pinned,
            client_scan: self.client_scan,
            introduction: None,
        }
    }

    /// Returns who judges a message of a server that belongs to no request; `None` without plugins.
    pub(in super::super) fn judge_of_server(&self) -> Option<Judge> {
        self.pin(|_| None).map(|pinned| self.judge_without_client(pinned))
    }
}

impl Pinned {
    /// Returns the same for one of several messages of the HTTP request.
    pub(in super::super) fn of_part(&self, number: usize) -> Self {
        Self {
            request: format!("{}.{number}", self.request).into(),
            ..self.clone()
        }
    }
}

impl Judge {
    /// Returns whether any policy is to be asked about a request or a notification.
    pub(in super::super) fn asks(&self, session: &Session, direction: Direction, message: &Message) -> bool {
        let method = message.method();
        let topic = topic(session, direction, kind_of(message), &method);
        self.set().wants(Hook::Access, &topic) || self.set().wants(Hook::OnMessage, &topic)
    }

    /// Returns whether any policy is to be asked about the answer to a request with this method.
    pub(in super::super) fn asks_of_answer(
        &self,
        session: &Session,
        direction: Direction,
        method: &str,
        answer: &Message,
    ) -> bool {
        let kind = kind_of(answer);
        let topic = topic(session, direction, kind, method);
        let may_hide = direction == Direction::ServerToClient && can_show(method, kind);
        self.set().wants(Hook::OnMessage, &topic) || may_hide && self.set().wants(Hook::Access, &topic)
    }

    /// Returns what a request asks that nobody is to be asked about, for whoever judges its answer.
    pub(in super::super) fn asked_of(&self, session: &Session, request: &Message) -> Asked {
        let method = request.method().into_owned();
        let is_judged = [MessageKind::Response, MessageKind::ErrorResponse].map(|kind| {
            let topic = topic(session, Direction::ServerToClient, kind, &method);
            self.set().wants(Hook::OnMessage, &topic) || self.set().wants(Hook::Access, &topic)
        });
        if is_judged.contains(&true) {
            return Asked::of(request);
        }
        Asked {
            method,
            target: None,
            was_judged: false,
        }
    }

    /// Judges a request or a notification; returns it as it goes on.
    ///
    /// # Errors
    /// It does not: a policy refuses, or could not judge.
    pub(in super::super) async fn question(
        &self,
        session: &Session,
        direction: Direction,
        message: Message,
    ) -> Result<(Message, Asked), GatewayError> {
        let mut hearing = Hearing::of_question(self, session, direction, message);
        hearing.authorize().await?;
        hearing.conceal().await?;
        let named = hearing.named();
        if hearing.validate().await? {
            // What was allowed was something else.
            if hearing.named() != named {
                hearing.authorize().await?;
            }
            hearing.conceal().await?;
        }
        Ok(hearing.close())
    }

    /// Judges an answer; returns it as it goes on.
    ///
    /// # Errors
    /// It does not: a policy refuses, or could not judge.
    pub(in super::super) async fn answer(
        &self,
        session: &Session,
        direction: Direction,
        asked: Asked,
        answer: Message,
    ) -> Result<Message, GatewayError> {
        let mut hearing = Hearing::of_answer(self, session, direction, asked, answer);
        hearing.conceal().await?;
        if hearing.validate().await? {
            hearing.conceal().await?;
        }
        match (hearing.close(), direction) {
            ((answer, asked), Direction::ServerToClient) => asked.answered(session, answer),
            ((answer, _), Direction::ClientToServer) => Ok(answer),
        }
    }

    /// Returns which capabilities may be announced: those of the client to the server in `initialize`, those of the
    /// server to the client in its answer.
    pub(in super::super) async fn may_announce(
        &self,
        session: &Session,
        direction: Direction,
        message: &Message,
        capabilities: &[&str],
    ) -> Result<Vec<bool>, GatewayError> {
        let hearing = Hearing::of_answer(
            self,
            session,
            direction,
            Asked::opening(session.era()),
            message.clone(),
        );
        hearing.may_announce(capabilities).await
    }

    /// Returns the request's name in the log.
    pub(in super::super) fn request(&self) -> &str {
        &self.pinned.request
    }

    pub(super) fn introduction(&self) -> Option<&Introduction> {
        self.introduction.as_deref()
    }

    pub(super) fn set(&self) -> &PluginSet {
        &self.pinned.set
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        &self.pinned.headers
    }

    /// Returns what a message is held to.
    pub(super) fn scan(&self, direction: Direction) -> ScanOptions {
        match direction {
            Direction::ClientToServer => self.client_scan,
            Direction::ServerToClient => upstream::SCAN,
        }
    }
}

/// Returns what decides whether a plugin is asked about a message at all.
pub(super) fn topic<'a>(
    session: &'a Session,
    direction: Direction,
    kind: MessageKind,
    method: &'a str,
) -> Topic<'a> {
    Topic {
        method,
        direction,
        kind,
        mode: session.mode().map(|mode| &**mode),
    }
}

/// Returns what policies call a message.
pub(super) fn kind_of(message: &Message) -> MessageKind {
    match message.kind() {
        Kind::Request => MessageKind::Request,
        Kind::Notification => MessageKind::Notification,
        Kind::Response if message.error().is_some() => MessageKind::ErrorResponse,
        Kind::Response => MessageKind::Response,
    }
}
