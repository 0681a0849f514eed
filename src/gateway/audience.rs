//! For whom an instance is listened to, and what they may have missed while it was not.
//!
//! Between the end of one process and the subscriptions of the next, or between two streams of a server without
//! handshakes, resources may change without anybody telling. Who had been promised to be told cannot know, and so is told
//! once that they have. How tasks are doing can be asked, and is.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use serde_json::value::to_raw_value;

use super::conversation::Session;
use crate::protocol::Message;
use crate::protocol::modern::meta::CLIENT_CAPABILITIES;
use crate::protocol::modern::{Filter, TASKS};
use crate::protocol::names::method;
use crate::upstream::{Connection, Outcome, SCAN, Waiter};

/// Those who share an instance, or the one who has it.
pub(super) trait Audience: Send + Sync + 'static {
    /// Returns what they want to be told of besides lists. Asks nobody back: it is called under locks.
    fn wishes(&self) -> Filter;

    /// Has those told who have been promised to be told of these resources.
    fn may_have_missed(&self, uris: &BTreeSet<String>);

    /// Has those told how a task is doing who listen to it.
    fn tell_of_task(&self, status: &Message);

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

/// Asks how tasks are doing of which it may not have been told, and tells those who listen to them.
pub(super) async fn catch_up(
    audience: Weak<dyn Audience>,
    connection: Arc<Connection>,
    tasks: BTreeSet<String>,
) {
    for id in tasks {
        let params =
            json!({ "taskId": id, "_meta": { CLIENT_CAPABILITIES: { "extensions": { TASKS: {} } } } });
        let params = to_raw_value(&params).expect("plain data becomes JSON");
        // One that is gone has nothing more to tell.
        let Ok(task) = connection
            .call(method::TASKS_GET, Some(&params), ASKED_WITHIN)
            .await
        else {
            continue;
        };
        let task = String::from_utf8_lossy(&task);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"{}","params":{task}}}"#,
            method::TASKS_STATUS
        );
        if let (Some(audience), Ok(status)) = (audience.upgrade(), Message::parse(text.into(), SCAN)) {
            audience.tell_of_task(&status);
        }
    }
}

/// How long a server may take to say how a task is doing.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// Subscribes a new process to what its sessions had subscribed to. When it agrees, those are told who may have missed
/// something.
pub(super) fn tell_subscriptions<A: Audience>(
    connection: &Connection,
    uris: &BTreeSet<String>,
    audience: &Weak<A>,
) {
    for uri in uris {
        let waiter = Resubscribed {
            audience: audience.clone(),
            uri: uri.clone(),
        };
        let params = to_raw_value(&json!({ "uri": uri })).expect("plain data becomes JSON");
        connection.tell_and(method::SUBSCRIBE, params, Arc::new(waiter));
    }
}

/// Waits for a server with a handshake to agree that it tells of a resource again.
struct Resubscribed<A> {
    audience: Weak<A>,
    uri: String,
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
