//! A request that waits for its answer: who waits, and for how long.

use std::sync::Arc;

use super::connection::Connection;
use super::pending::{Patience, Waiter};

impl Connection {
    /// Gives a request that waits another patience, from now on.
    pub fn postpone(&self, id: i64, patience: Patience) {
        self.pending().postpone(id, patience);
    }

    /// Lets a request wait until somebody ends it or gives it another patience.
    pub fn keep_open(&self, id: i64) {
        self.pending().keep_open(id);
    }

    /// Has another waiter get the end of a request that waits.
    pub fn hand_over(&self, id: i64, waiter: Arc<dyn Waiter>) {
        let before = self.pending().hand_over(id, waiter);
        // Not under the lock.
        drop(before);
    }
}
