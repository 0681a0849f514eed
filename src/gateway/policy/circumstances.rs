//! What policies are told of a message besides the message itself.

use std::sync::OnceLock;

use super::judge::Judge;
use crate::gateway::Session;
use crate::plugin::call::{CallContext, Direction, MessageKind, Principal};
use crate::protocol::member::string_member;
use crate::session::Transport;

/// What is the same for all messages of a session, put together when the first of them is judged.
#[derive(Debug, Default)]
pub(in super::super) struct Standing {
    handle: OnceLock<String>,
    client: OnceLock<Vec<(String, String)>>,
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
    let is_one_shot = session.transport() == Transport::OneShot;
    let mut attributes = judge.headers().to_vec();
    if let Some(facts) = session.facts() {
        let client = standing.client.get_or_init(|| client_of(facts.client_info.get()));
        attributes.extend_from_slice(client);
    }
    CallContext {
        request_id: judge.request().to_owned(),
        session: (!is_one_shot).then(|| standing.handle.get_or_init(|| session.id().handle()).clone()),
        direction: occasion.direction,
        kind: occasion.kind,
        method: occasion.method,
        target: occasion.target,
        server: Some(conversation.server().name().to_string()),
        mode: session.mode().map(|mode| mode.to_string()),
        principal: session.caller().subject().map(|subject| Principal {
            subject: subject.to_owned(),
            issuer: None,
            roles: Vec::new(),
        }),
        protocol_version: session.facts().map(|_| session.version().as_str().to_owned()),
        body_size: u32::try_from(body_size).unwrap_or(u32::MAX),
        attributes,
    }
}

fn client_of(info: &str) -> Vec<(String, String)> {
    let attribute = |key: &str| Some((format!("client.{key}"), string_member(info.as_bytes(), key)?));
    ["name", "version"].into_iter().filter_map(attribute).collect()
}
