//! How many streams of `subscriptions/listen` each principal holds open, and may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::GatewayError;

/// Those who listen. A std mutex: held to count one.
#[derive(Debug)]
pub(super) struct Listeners {
    /// For one principal.
    max: usize,
    counts: Mutex<HashMap<Arc<str>, usize>>,
}

/// One of them, as long as this is there.
#[derive(Debug)]
pub(super) struct Listener {
    all: Arc<Listeners>,
    principal: Arc<str>,
}

impl Listeners {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            counts: Mutex::default(),
        })
    }

    /// Counts one more of a principal.
    ///
    /// # Errors
    /// It has as many as it may.
    pub(super) fn add(self: &Arc<Self>, principal: &Arc<str>) -> Result<Listener, GatewayError> {
        let mut counts = self.lock();
        let its = counts.entry(principal.clone()).or_default();
        if *its >= self.max {
            return Err(GatewayError::TooManyListens(self.max));
        }
        *its += 1;
        Ok(Listener {
            all: self.clone(),
            principal: principal.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.counts.lock().expect("no holder panics")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        if let Some(its) = counts.get_mut(&self.principal) {
            *its -= 1;
            if *its == 0 {
                counts.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own() {
        let all = Listeners::new(1);
        let (one, two) = (Arc::from("one"), Arc::from("two"));
        let its = all.add(&one).expect("room");
        assert_eq!(all.add(&one).map(drop), Err(GatewayError::TooManyListens(1)));
        let _anothers = all.add(&two).expect("room");
        drop(its);
        assert!(all.add(&one).is_ok(), "it was given up");
        assert_eq!(all.lock().len(), 1, "nothing is kept of those who have none");
    }
}
