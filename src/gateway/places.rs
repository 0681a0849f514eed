//! How many streams of `subscriptions/listen` each principal holds open, and may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::GatewayError;

/// The places. A std mutex: held to count one.
#[derive(Debug)]
pub(super) struct Places {
    /// For one principal.
    max: usize,
    taken: Mutex<HashMap<Arc<str>, usize>>,
}

/// One of them; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    principal: Arc<str>,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
        })
    }

    /// Takes a place for a principal.
    ///
    /// # Errors
    /// It has as many as it may.
    pub(super) fn take(self: &Arc<Self>, principal: &Arc<str>) -> Result<Place, GatewayError> {
        let mut taken = self.lock();
        let its = taken.entry(principal.clone()).or_default();
        if *its >= self.max {
            return Err(GatewayError::TooManyListens(self.max));
        }
        *its += 1;
        Ok(Place {
            places: self.clone(),
            principal: principal.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.taken.lock().expect("no holder panics")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(its) = taken.get_mut(&self.principal) {
            *its -= 1;
            if *its == 0 {
                taken.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own() {
        let places = Places::new(1);
        let (one, two) = (Arc::from("one"), Arc::from("two"));
        let its = places.take(&one).expect("room");
        assert_eq!(places.take(&one).map(drop), Err(GatewayError::TooManyListens(1)));
        let _anothers = places.take(&two).expect("room");
        drop(its);
        assert!(places.take(&one).is_ok(), "it was given up");
        assert_eq!(places.lock().len(), 1, "nothing is kept of those who have none");
    }
}
