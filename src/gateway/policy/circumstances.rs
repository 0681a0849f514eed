//! What policies are told of a message besides the message itself.

use std::sync::OnceLock;

use serde_json::value::RawValue;

use super::judge::Judge;
use crate::gateway::Session;
use crate::gateway::initialize::PARAMS_BYTES_MAX;
use crate::plugin::call::{CallContext, Direction, MessageKind, Principal};
use crate::protocol::Message;
use crate::protocol::member::{member, string_member};
use crate::session::Caller;

/// What is the same for all messages of a session, put together when the first of them is judged.
#[derive(Debug, Default)]
pub(in super::super) struct Standing {
    handle: OnceLock<String>,
    client: OnceLock<Vec<(String, String)>>,
}

/// What a client says of itself in `initialize`, while nobody has agreed to that yet.
#[derive(Debug)]
pub(super) struct Introduction {
    attributes: Vec<(String, String)>,
    version: Option<String>,
}

impl Introduction {
    /// Reads `initialize`. What is not there, or too long to be kept, is not told.
    pub(super) fn of(message: &Message) -> Self {
        let params = message.params().filter(|params| params.len() <= PARAMS_BYTES_MAX);
        let params = params.unwrap_or_default();
        let info = member(&params, "clientInfo").map(RawValue::get);
        Self {
            attributes: info.map(client_of).unwrap_or_default(),
            version: string_member(&params, "protocolVersion"),
        }
    }
}

/// What a message is.
#[derive(Debug, Clone)]
pub(super) struct Occasion {
    pub(super) direction: Direction,
    pub(super) kind: MessageKind,
    /// In an answer that of its request, like `target`.
    pub(super) method: String,
    pub(super) target: Option<String>,
}

/// Returns the circumstances of a message of `body_size` bytes.
pub(super) fn circumstances(
    judge: &Judge,
    session: &Session,
    occasion: Occasion,
    body_size: usize,
) -> CallContext {
    let conversation = session.attachment();
    let standing = conversation.standing();
    let mut ctx = circumstances_before_session(judge, session.caller(), occasion, body_size);
    if let Some(facts) = session.facts() {
        let client = standing.client.get_or_init(|| client_of(facts.client_info.get()));
        ctx.attributes.extend_from_slice(client);
        ctx.protocol_version = Some(session.version().as_str().to_owned());
    }
    ctx.session =
        (!session.is_alone()).then(|| standing.handle.get_or_init(|| session.id().handle()).clone());
    ctx.server = Some(conversation.server().name().to_string());
    ctx
}

/// Returns the circumstances of a message for which there is no session yet.
pub(super) fn circumstances_before_session(
    judge: &Judge,
    caller: &Caller,
    occasion: Occasion,
    body_size: usize,
) -> CallContext {
    let mut ctx = CallContext {
        request_id: judge.request().to_owned(),
        session: None,
        direction: occasion.direction,
        kind: occasion.kind,
        method: occasion.method,
        target: occasion.target,
        server: None,
        mode: caller.mode.as_deref().map(str::to_owned),
        principal: principal_of(caller),
        protocol_version: None,
        body_size: u32::try_from(body_size).unwrap_or(u32::MAX),
        attributes: judge.headers().to_vec(),
    };
    if let Some(introduction) = judge.introduction() {
        ctx.attributes.extend_from_slice(&introduction.attributes);
        ctx.protocol_version.clone_from(&introduction.version);
    }
    ctx
}

fn principal_of(caller: &Caller) -> Option<Principal> {
    caller.subject().map(|subject| Principal {
        subject: subject.to_owned(),
        issuer: None,
        roles: Vec::new(),
    })
}

fn client_of(info: &str) -> Vec<(String, String)> {
    let attribute = |key: &str| Some((format!("client.{key}"), string_member(info.as_bytes(), key)?));
    ["name", "version"].into_iter().filter_map(attribute).collect()
}
