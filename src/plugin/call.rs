//! What hooks get and give, in the newest line's types: plain data.

pub use super::bindings::types::{
    CallContext, Candidate, CatalogItem, Decision, Denial, Direction, Edit, MessageKind, Principal, Route,
    Verdict,
};
use super::manifest;
use crate::protocol::edit;

/// What decides whether a plugin is asked about a message at all.
#[derive(Debug, Clone, Copy)]
pub struct Topic<'a> {
    /// The method; in an answer that of its request.
    pub method: &'a str,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: MessageKind,
    /// The mode that it is sent in.
    pub mode: Option<&'a str>,
}

impl<'a> Topic<'a> {
    /// Returns what a context says of this.
    pub fn of(ctx: &'a CallContext) -> Self {
        Self {
            method: &ctx.method,
            direction: ctx.direction,
            kind: ctx.kind,
            mode: ctx.mode.as_deref(),
        }
    }
}

impl From<Direction> for manifest::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ClientToServer => Self::ClientToServer,
            Direction::ServerToClient => Self::ServerToClient,
        }
    }
}

impl From<MessageKind> for manifest::MessageKind {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Request => Self::Request,
            MessageKind::Notification => Self::Notification,
            MessageKind::Response => Self::Response,
            MessageKind::ErrorResponse => Self::ErrorResponse,
        }
    }
}

impl From<Edit> for edit::Edit {
    fn from(edit: Edit) -> Self {
        Self {
            pointer: edit.pointer,
            value: edit.value,
        }
    }
}

/// The place that `replace` and edits may change: `params` of what asks, `result` or `error` of what answers.
pub(super) fn body_of(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Request | MessageKind::Notification => "/params",
        MessageKind::Response => "/result",
        MessageKind::ErrorResponse => "/error",
    }
}
