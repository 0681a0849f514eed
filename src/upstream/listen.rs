//! `subscriptions/listen` of the gateway's own: a request that stays open (2026-07-28, "Subscriptions").

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::connection::{Connection, RequestRefused};
use super::error::UpstreamError;
use super::own::{write_cancelled, write_own};
use super::pending::{Outcome, Patience, Purpose, Waiter};
use crate::protocol::Era;
use crate::protocol::names::method;

/// How long a server may take to acknowledge it.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

impl Connection {
    /// Begins to listen; returns the id by which the server names what it tells. `waiter` gets the end of it. It does not
    /// count as use of the server.
    ///
    /// # Errors
    /// It was not sent and `waiter` is not called.
    pub fn listen(&self, params: &RawValue, waiter: Arc<dyn Waiter>) -> Result<i64, RequestRefused> {
        let patience = Patience::of(ACKNOWLEDGED_WITHIN);
        self.send_request(waiter, patience, Purpose::Listen, |id, out| {
            write_own(Era::Modern, id, method::LISTEN, Some(params), out);
        })
    }

    /// Ends it and tells the server.
    pub fn stop_listening(&self, id: i64) {
        self.cancel(id, |out| {
            write_cancelled(id, "something else is listened to now", out);
        });
    }

    /// Notes that the server has ended it otherwise than with an answer.
    pub fn listen_cancelled(&self, id: i64) {
        let entry = self.pending().remove(id, Instant::now());
        if let Some(entry) = entry {
            entry.waiter.complete(Outcome::Failed(UpstreamError::Cancelled));
        }
    }

    /// Waits until this generation is over.
    pub async fn closed(&self) {
        self.ended.cancelled().await;
    }
}
