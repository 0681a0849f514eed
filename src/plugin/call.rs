//! What hooks get and give, in the newest line's types: plain data.

pub use super::bindings::types::{
    CallContext, Candidate, CatalogItem, Decision, Denial, Direction, Edit, MessageKind, Principal, Route,
    Verdict,
};
use super::manifest;
use crate::protocol::edit;

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
