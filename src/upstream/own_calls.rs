//! Who waits for the answers to the gateway's own requests.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::debug;

use super::pending::{Outcome, Waiter};
use crate::protocol::Message;

/// How long an answer that changes nothing is waited for before it counts as unknown.
pub(super) const TELL_TIMEOUT: Duration = Duration::from_secs(30);

/// The waiter of a request whose answer changes nothing.
pub(super) struct NoOne;

impl Waiter for NoOne {
    fn complete(&self, outcome: Outcome) {
        if let Outcome::Failed(error) = outcome {
            debug!(%error, "no answer");
        }
    }

    fn progress(&self, _: Message) {}
}

/// The waiter of a request of the gateway's own.
pub(super) struct OneCall(pub(super) Mutex<Option<oneshot::Sender<Outcome>>>);

impl Waiter for OneCall {
    fn complete(&self, outcome: Outcome) {
        let tx = self.0.lock().expect("no holder panics").take();
        // The receiver may have gone: a call that was given up.
        if let Some(tx) = tx {
            let _ = tx.send(outcome);
        }
    }

    fn progress(&self, _: Message) {}
}
