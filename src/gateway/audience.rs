//! For whom an instance is listened to, and what they may have missed while it was not.
//!
//! Between the end of one process and the subscriptions of the next, or between two streams of a server without
//! handshakes, resources may change without anybody telling. Who had been promised to be told cannot know, and so is told
//! once that they have.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use serde_json::json;

use super::conversation::Session;
use crate::protocol::Message;
use crate::protocol::modern::Filter;
use crate::protocol::names::method;
use crate::upstream::{Connection, Outcome, SCAN, Waiter};

/// Those who share an instance, or the one who has it.
pub(super) trait Audience: Send + Sync + 'static {
    /// Returns what they want to be told of besides lists. Asks nobody back: it is called under locks.
    fn wishes(&self) -> Filter;

    /// Has those told who have been promised to be told of these resources.
    fn may_have_missed(&self, uris: &BTreeSet<String>);

    /// Has the lists read again, and those told who may have seen others.
    fn read_lists_again(&self, connection: &Arc<Connection>);
}

/// Adds what a session's client wants to be told of.
pub(super) fn add_wishes(session: &Session, wishes: &mut Filter) {
    let settings = session.attachment().settings();
    wishes.uris.extend(settings.subscriptions.iter().cloned());
    wishes.tasks.extend(settings.tasks.iter().cloned());
}

/// Returns what a session's client is told that may have missed changes of some resources.
pub(super) fn missed_by(session: &Session, uris: &BTreeSet<String>) -> Vec<Message> {
    let settings = session.attachment().settings();
    let missed = settings.promised.intersection(uris);
    missed.map(|uri| updated(uri)).collect()
}

fn updated(uri: &str) -> Message {
    let text = json!({ "jsonrpc": "2.0", "method": method::RESOURCE_UPDATED, "params": { "uri": uri } });
    Message::parse(text.to_string().into(), SCAN).expect("it was written here")
}

/// Waits for a server with a handshake to agree that it tells of a resource again.
pub(super) struct Resubscribed<A> {
    pub(super) audience: Weak<A>,
    pub(super) uri: String,
}

impl<A: Audience> Waiter for Resubscribed<A> {
    fn complete(&self, outcome: Outcome) {
        let agreed = matches!(outcome, Outcome::Response(answer) if answer.error().is_none());
        if let Some(audience) = self.audience.upgrade().filter(|_| agreed) {
            audience.may_have_missed(&BTreeSet::from([self.uri.clone()]));
        }
    }

    fn progress(&self, _: Message) {}
}
