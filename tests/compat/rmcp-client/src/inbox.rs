//! Messages the server sent of its own accord, with a way to wait for one.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Notify;

/// Everything that arrived so far, in order; clones share it.
#[derive(Clone, Default)]
pub struct Inbox {
    messages: Arc<Mutex<Vec<(&'static str, Value)>>>,
    arrival: Arc<Notify>,
}

impl Inbox {
    pub fn put(&self, method: &'static str, params: Value) {
        self.messages
            .lock()
            .expect("no holder panics")
            .push((method, params));
        self.arrival.notify_waiters();
    }

    /// The parameters of all messages of one method.
    pub fn all(&self, method: &str) -> Vec<Value> {
        let messages = self.messages.lock().expect("no holder panics");
        messages
            .iter()
            .filter(|(name, _)| *name == method)
            .map(|(_, params)| params.clone())
            .collect()
    }

    /// Waits until at least one message of `method` matches; the check's deadline ends a wait in vain.
    pub async fn wait(&self, method: &str, matches: impl Fn(&Value) -> bool) {
        loop {
            let arrival = self.arrival.notified();
            if self.all(method).iter().any(&matches) {
                return;
            }
            arrival.await;
        }
    }
}
