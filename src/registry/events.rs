//! The events of the registry: typed, in one order, with time and cause; the last ones are kept for who comes late.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::config::ServerName;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A server was added.
    Registered,
    /// A server was removed.
    Unregistered,
    /// A server was enabled or disabled.
    StatusChanged,
    /// An instance of a server went from one phase to another.
    ConnectionChanged,
    /// What a server lists has changed.
    CapabilitiesChanged,
    /// A shared server logged something (`notifications/message`).
    Log,
    /// A plugin has a new generation.
    PluginLoaded,
    /// A plugin's newest candidate was not let in.
    PluginFailed,
    /// A plugin judges from now on, or judges no more.
    PluginStatusChanged,
    /// A plugin is gone.
    PluginRemoved,
}

impl EventKind {
    /// Returns the public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "server.registered",
            Self::Unregistered => "server.unregistered",
            Self::StatusChanged => "server.status.changed",
            Self::ConnectionChanged => "server.connection.changed",
            Self::CapabilitiesChanged => "server.capabilities.changed",
            Self::Log => "server.log",
            Self::PluginLoaded => "plugin.loaded",
            Self::PluginFailed => "plugin.failed",
            Self::PluginStatusChanged => "plugin.status.changed",
            Self::PluginRemoved => "plugin.removed",
        }
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What an event is about; a member of the event, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A server.
    Server(ServerName),
    /// A plugin.
    Plugin(String),
}

impl Subject {
    /// Returns whether it is about this server.
    pub fn is_server(&self, name: &ServerName) -> bool {
        matches!(self, Self::Server(server) if server == name)
    }
}

/// Who caused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The configuration, at start.
    Config,
    /// Somebody with the admin token.
    Admin,
    /// The gateway itself.
    Gateway,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::Admin => "admin",
            Self::Gateway => "gateway",
        })
    }
}

impl Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What somebody ordered, and who: the cause of what the instances of a server then do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    verb: &'static str,
    actor: Actor,
}

/// The verbs of orders.
const VERBS: [&str; 8] = [
    "autostart",
    "disabled",
    "enabled",
    "reconfigured",
    "restarted",
    "started",
    "stopped",
    "unregistered",
];

impl Order {
    /// Returns an order.
    ///
    /// # Panics
    /// If the verb is none of those known, which a test would show.
    pub fn new(verb: &'static str, actor: Actor) -> Self {
        debug_assert!(VERBS.contains(&verb), "{verb} is no order");
        Self { verb, actor }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.verb, self.actor)
    }
}

impl Actor {
    /// Returns who stands behind a cause: whoever gave the order, or else the gateway itself.
    pub fn of_cause(cause: &str) -> Self {
        match cause.split_once(" by ") {
            Some((verb, "admin")) if VERBS.contains(&verb) => Self::Admin,
            Some((verb, "config")) if VERBS.contains(&verb) => Self::Config,
            _ => Self::Gateway,
        }
    }
}

/// One event.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Its number: 1 for the first since the gateway started, without gaps.
    pub id: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub time: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// To what.
    #[serde(flatten)]
    pub subject: Subject,
    /// Who caused it.
    pub actor: Actor,
    /// Why, in words.
    pub cause: String,
    /// The details, by kind.
    pub data: Value,
}

/// All events, in order. A std mutex makes the order; `newest` wakes who waits.
#[derive(Debug)]
pub struct EventLog {
    history: Mutex<VecDeque<Arc<Event>>>,
    history_max: usize,
    newest: watch::Sender<u64>,
}

/// An event before it has its number.
#[derive(Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub subject: Subject,
    /// Who caused it.
    pub actor: Actor,
    /// Why, in words.
    pub cause: String,
    /// The details, by kind.
    pub data: Value,
}

impl EventLog {
    /// Returns a log that keeps the last `history_max` events.
    pub fn new(history_max: usize) -> Self {
        let newest = watch::Sender::new(0);
        Self {
            history: Mutex::default(),
            history_max: history_max.max(1),
            newest,
        }
    }

    /// Adds an event.
    pub fn emit(&self, event: NewEvent) {
        let NewEvent {
            kind,
            subject,
            actor,
            cause,
            data,
        } = event;
        let mut history = self.lock();
        let id = *self.newest.borrow() + 1;
        let time = milliseconds(SystemTime::now());
        if history.len() >= self.history_max {
            history.pop_front();
        }
        history.push_back(Arc::new(Event {
            id,
            time,
            kind,
            subject,
            actor,
            cause,
            data,
        }));
        // Under the lock, so that numbers and wake-ups keep one order.
        self.newest.send_replace(id);
    }

    /// Returns a stream of the events after number `after`, or of those from now on. A number that has not been
    /// given out yet is that of an earlier run: everything is new to whoever names it.
    pub fn subscribe(self: &Arc<Self>, after: Option<u64>) -> EventStream {
        let newest = self.newest.subscribe();
        let last = *newest.borrow();
        let seen = match after {
            None => last,
            Some(after) if after > last => 0,
            Some(after) => after,
        };
        EventStream {
            log: self.clone(),
            newest,
            seen,
        }
    }

    fn after(&self, seen: u64) -> Vec<Arc<Event>> {
        let history = self.lock();
        let start = history.partition_point(|event| event.id <= seen);
        history.range(start..).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.history.lock().expect("no holder panics")
    }
}

/// The events from some point on. A reader slower than `events.history-max` events misses the oldest ones and can
/// see it in the gap of the numbers.
#[derive(Debug)]
pub struct EventStream {
    log: Arc<EventLog>,
    newest: watch::Receiver<u64>,
    seen: u64,
}

impl EventStream {
    /// Waits for the next events, in order; never returns an empty list.
    pub async fn next(&mut self) -> Vec<Arc<Event>> {
        loop {
            let _ = self.newest.borrow_and_update();
            let events = self.log.after(self.seen);
            if let Some(last) = events.last() {
                self.seen = last.id;
                return events;
            }
            if self.newest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Returns the time as milliseconds since 1970.
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(log: &EventLog, cause: &str) {
        log.emit(NewEvent {
            kind: EventKind::StatusChanged,
            subject: Subject::Server("s".parse().expect("a name")),
            actor: Actor::Admin,
            cause: cause.to_owned(),
            data: Value::Null,
        });
    }

    fn causes(events: &[Arc<Event>]) -> Vec<(u64, &str)> {
        events
            .iter()
            .map(|event| (event.id, event.cause.as_str()))
            .collect()
    }

    #[test]
    fn an_order_is_told_from_other_causes() {
        let order = Order::new("stopped", Actor::Admin).to_string();
        assert_eq!(order, "stopped by admin");
        assert_eq!(Actor::of_cause(&order), Actor::Admin);
        assert_eq!(Actor::of_cause("autostart by config"), Actor::Config);
        for cause in ["idle", "exit status 1", "the server answered 1: denied by admin"] {
            assert_eq!(Actor::of_cause(cause), Actor::Gateway, "{cause}");
        }
    }

    #[tokio::test]
    async fn a_reader_of_an_earlier_run_gets_everything() {
        let log = Arc::new(EventLog::new(2));
        emit(&log, "a");
        assert_eq!(causes(&log.subscribe(Some(7)).next().await), [(1, "a")]);
    }

    #[tokio::test]
    async fn late_readers_get_what_is_kept_and_then_the_rest() {
        let log = Arc::new(EventLog::new(2));
        ["a", "b", "c"].into_iter().for_each(|cause| emit(&log, cause));
        let mut from_start = log.subscribe(Some(0));
        let mut from_now = log.subscribe(None);
        assert_eq!(causes(&from_start.next().await), [(2, "b"), (3, "c")]);
        emit(&log, "d");
        assert_eq!(causes(&from_start.next().await), [(4, "d")]);
        assert_eq!(causes(&from_now.next().await), [(4, "d")]);
    }
}
