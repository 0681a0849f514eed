//! The lists of a server, read again when it says that they have changed: by them the registry knows what it offers.
//!
//! They are read one after the other. What is said to change meanwhile is read once more, however often that is said: a
//! server that registers its tools one by one says so for each of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;

use super::conversation::Session;
use super::gateway::Gateway;
use super::shared_hub::tell;
use crate::protocol::Message;
use crate::protocol::mcp::LISTINGS;
use crate::protocol::reply::write_notification;
use crate::upstream::{Connection, SCAN};

/// Who reads the lists of one instance. A std mutex: held to note what is to be read.
#[derive(Debug)]
pub(super) struct Lists {
    gateway: Weak<Gateway>,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    /// A task reads, and looks here when it has.
    is_reading: bool,
    /// All lists of a process, and who is told if they differ from those of the one before.
    all: Option<(Arc<Connection>, Vec<Arc<Session>>)>,
    /// What a process says has changed, by the notifications that say so.
    changed: Option<(Arc<Connection>, BTreeSet<&'static str>)>,
}

/// Something to be read.
struct Reading {
    connection: Arc<Connection>,
    /// The notification that tells of its change; none for all lists.
    only: Option<&'static str>,
    told: Vec<Arc<Session>>,
}

impl Lists {
    pub(super) fn new(gateway: Weak<Gateway>) -> Arc<Self> {
        let due = Mutex::default();
        Arc::new(Self { gateway, due })
    }

    /// Has the lists read again that a notification says have changed.
    pub(super) fn heed(self: &Arc<Self>, connection: &Arc<Connection>, notification: &Message) {
        let method = notification.method();
        let Some(listing) = LISTINGS.iter().find(|listing| method == listing.changed) else {
            return;
        };
        let mut due = self.lock();
        match &mut due.changed {
            Some((of, _)) if of.generation() > connection.generation() => return,
            Some((of, changed)) if of.generation() == connection.generation() => {
                changed.insert(listing.changed);
            }
            changed => *changed = Some((connection.clone(), BTreeSet::from([listing.changed]))),
        }
        self.begin(due);
    }

    /// Has all lists of a process read that has just become ready, or was not heard for a while. If it offers something else
    /// than before, these sessions are told.
    pub(super) fn read_all(self: &Arc<Self>, connection: &Arc<Connection>, mut told: Vec<Arc<Session>>) {
        // Where nobody has asked for the lists before, nobody has seen others.
        let of_server = self.gateway.upgrade();
        let of_server = of_server.map(|gateway| gateway.registry().server(connection.server().as_str()));
        let was_read = matches!(of_server, Some(Ok(server)) if server.catalog().is_read());
        if !was_read && connection.generation() == 1 {
            told.clear();
        }
        let mut due = self.lock();
        due.all = Some((connection.clone(), told));
        self.begin(due);
    }

    fn begin(self: &Arc<Self>, mut due: MutexGuard<'_, Due>) {
        let Some(gateway) = self.gateway.upgrade() else {
            return;
        };
        if !std::mem::replace(&mut due.is_reading, true) {
            drop(due);
            gateway.tasks.spawn(self.clone().read());
        }
    }

    async fn read(self: Arc<Self>) {
        while let Some(reading) = self.next()
            && let Some(gateway) = self.gateway.upgrade()
        {
            let Reading { connection, only, .. } = &reading;
            let wanted = |changed| only.is_none_or(|only| only == changed);
            let cause = only.unwrap_or("started");
            let read = gateway.registry().refresh_catalog(
                connection.server(),
                connection,
                |listing| wanted(listing.changed),
                cause,
            );
            reading.tell(&read.await);
        }
    }

    /// Takes out what is to be read next; without anything the reading is over.
    fn next(&self) -> Option<Reading> {
        let mut due = self.lock();
        if let Some((connection, told)) = due.all.take() {
            let is_later = |of: &Connection| of.generation() > connection.generation();
            due.changed.take_if(|(of, _)| !is_later(of));
            return Some(Reading {
                connection,
                only: None,
                told,
            });
        }
        let changed = due.changed.as_mut();
        let next = changed.and_then(|(of, changed)| Some((of.clone(), changed.pop_first()?)));
        due.is_reading = next.is_some();
        if next.is_none() {
            // Nothing holds the connection any longer.
            due.changed = None;
        }
        next.map(|(connection, changed)| Reading {
            connection,
            only: Some(changed),
            told: Vec::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().expect("no holder panics")
    }
}

impl Reading {
    /// Tells those who may have seen other lists, once for each notification.
    fn tell(&self, changed: &[&str]) {
        let changed = LISTINGS
            .iter()
            .filter(|listing| changed.contains(&listing.member));
        let changed: BTreeSet<&str> = changed.map(|listing| listing.changed).collect();
        for method in changed.into_iter().filter(|_| !self.told.is_empty()) {
            let mut out = Vec::new();
            write_notification(method, None, &mut out);
            let data = Bytes::from(out);
            let message = Message::parse(data.clone(), SCAN).expect("it was written here");
            self.told
                .iter()
                .for_each(|session| tell(session, &message, &data));
        }
    }
}
