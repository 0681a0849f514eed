//! A request on its way whose answer may be kept.

use std::sync::Arc;
use std::time::Duration;

use super::Vacancy;
use crate::gateway::exchange::Exchange;
use crate::protocol::Message;
use crate::upstream::{Outcome, Waiter};

/// Waits in the place of an exchange for the server's own words. Of a request that is made again with what its client
/// says, only the first answer comes here, and that is none to keep.
pub(in super::super) struct Fetching {
    vacancy: Vacancy,
    exchange: Arc<Exchange>,
}

impl Fetching {
    /// Returns who waits for an exchange's answer, to put it where it is missing.
    pub(in super::super) fn new(vacancy: Vacancy, exchange: Arc<Exchange>) -> Self {
        Self { vacancy, exchange }
    }
}

impl Waiter for Fetching {
    fn complete(&self, outcome: Outcome) {
        if let Outcome::Response(answer) = &outcome {
            self.vacancy.fill(answer);
        }
        self.exchange.complete(outcome);
    }

    fn progress(&self, message: Message) {
        self.exchange.progress(message);
    }

    fn waits(&self, since: Duration) {
        self.exchange.waits(since);
    }
}
