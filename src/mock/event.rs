//! Something happened that clients may have asked to hear of, in either era.

use std::sync::Arc;

use serde_json::{Value, json};

use super::catalogue::Kind;
use super::message::{self, raw};
use super::server::Server;
use crate::protocol::names::method;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    ListChanged(Kind),
    /// The resource of this URI is another one.
    Updated(String),
    /// A task came further: its id, and what `tasks/get` would say.
    Task(String, Value),
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Who asked for it.
    Subscribers,
    /// Everybody, asked or not: a server that does not keep to what its clients want.
    Everyone,
}

impl Event {
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::ListChanged(Kind::Tools) => method::TOOLS_CHANGED,
            Self::ListChanged(Kind::Resources | Kind::ResourceTemplates) => method::RESOURCES_CHANGED,
            Self::ListChanged(Kind::Prompts) => method::PROMPTS_CHANGED,
            Self::Updated(_) => method::RESOURCE_UPDATED,
            Self::Task(..) => method::TASKS_STATUS,
        }
    }

    /// Returns the parameters of the notification, an object or nothing.
    pub(crate) fn params(&self) -> Option<Value> {
        match self {
            Self::ListChanged(_) => None,
            Self::Updated(uri) => Some(json!({ "uri": uri })),
            Self::Task(_, task) => Some(task.clone()),
        }
    }
}

impl Server {
    /// Tells of an event: to the client of the handshake, and on every `subscriptions/listen` that is open.
    pub(crate) fn tell(&self, event: &Event, reach: Reach, lines: &mut Vec<u8>) {
        if self.peer.lock().hears(event, reach) {
            let params = event.params().map(|params| raw(&params));
            message::write_notification(lines, event.method(), params.as_deref());
        }
        self.modern.listens.tell(event, reach, lines);
    }

    /// Tells of an event that no request brought about.
    pub(crate) fn tell_now(self: &Arc<Self>, event: &Event, reach: Reach) {
        let mut lines = Vec::new();
        self.tell(event, reach, &mut lines);
        self.send(&mut lines);
    }

    /// Returns whether anybody wants to hear of an event.
    pub(crate) fn is_awaited(&self, event: &Event) -> bool {
        self.peer.lock().hears(event, Reach::Subscribers) || self.modern.listens.want(event)
    }
}
