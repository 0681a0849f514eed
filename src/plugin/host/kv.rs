//! `kv`: a store that the instances and generations of one plugin share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::plugin::bindings::host::kv::{Error, Host};
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;

/// What each entry costs besides its key and value, in bytes: its place in a map that is half full, and two allocations.
const ENTRY_BYTES: usize = 192;

/// The entries. A std mutex: held for look-ups, and for a sweep when the store is full.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Store {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    bytes: usize,
    /// No entry's time is over before this.
    next_end: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    until: Option<Instant>,
}

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }

    fn get(&self, key: &str, now: Instant) -> Option<Vec<u8>> {
        let inner = self.lock();
        let entry = inner.entries.get(key).filter(|entry| !entry.is_over(now))?;
        Some(entry.value.clone())
    }

    fn set(&self, key: String, entry: Entry, limit: usize, now: Instant) -> Result<(), Error> {
        self.lock().set(key, entry, limit, now)
    }

    fn delete(&self, key: &str) {
        self.lock().remove(key);
    }

    fn increment(
        &self,
        key: String,
        delta: i64,
        ttl: Option<Duration>,
        limit: usize,
        now: Instant,
    ) -> Result<i64, Error> {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(&key).filter(|entry| !entry.is_over(now)) {
            let count: [u8; 8] = entry
                .value
                .as_slice()
                .try_into()
                .map_err(|_| Error::NotACounter)?;
            let count = i64::from_le_bytes(count).saturating_add(delta);
            entry.value = count.to_le_bytes().to_vec();
            return Ok(count);
        }
        let entry = Entry {
            value: delta.to_le_bytes().to_vec(),
            until: ttl.and_then(|ttl| now.checked_add(ttl)),
        };
        inner.set(key, entry, limit, now)?;
        Ok(delta)
    }
}

impl Inner {
    fn set(&mut self, key: String, entry: Entry, limit: usize, now: Instant) -> Result<(), Error> {
        let size = size(&key, &entry);
        if !self.has_room(&key, size, limit) && self.next_end.is_some_and(|end| now >= end) {
            self.forget_old(now);
        }
        if !self.has_room(&key, size, limit) {
            return Err(Error::Full);
        }
        self.remove(&key);
        self.bytes += size;
        self.next_end = earlier(self.next_end, entry.until);
        self.entries.insert(key, entry);
        Ok(())
    }

    /// Returns whether an entry of this size fits in the place of the one that the key has now.
    fn has_room(&self, key: &str, wanted: usize, limit: usize) -> bool {
        let known = self.entries.get(key).map_or(0, |entry| size(key, entry));
        self.bytes - known + wanted <= limit
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= size(&key, &entry);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.is_over(now));
        self.bytes = self.entries.iter().map(|(key, entry)| size(key, entry)).sum();
        self.next_end = self
            .entries
            .values()
            .fold(None, |end, entry| earlier(end, entry.until));
    }
}

fn earlier(first: Option<Instant>, second: Option<Instant>) -> Option<Instant> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.min(second)),
        (end, None) | (None, end) => end,
    }
}

fn size(key: &str, entry: &Entry) -> usize {
    ENTRY_BYTES + key.len() + entry.value.len()
}

impl State {
    fn kv_limit(&mut self) -> Result<usize, Stopped> {
        self.count()?;
        let limit = self.shared.grants.kv;
        limit.ok_or_else(|| Stopped::new(ErrorKind::HostCall, "kv is not granted"))
    }
}

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.kv_limit()?;
        Ok(self.shared.kv.get(&key, Instant::now()))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let limit = self.kv_limit()?;
        let now = Instant::now();
        let until = ttl_ms.and_then(|ttl| now.checked_add(Duration::from_millis(ttl)));
        Ok(self.shared.kv.set(key, Entry { value, until }, limit, now))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.kv_limit()?;
        self.shared.kv.delete(&key);
        Ok(())
    }

    fn increment(
        &mut self,
        key: String,
        delta: i64,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let limit = self.kv_limit()?;
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(self.shared.kv.increment(key, delta, ttl, limit, Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &[u8], until: Option<Instant>) -> Entry {
        Entry {
            value: value.to_vec(),
            until,
        }
    }

    #[test]
    fn keeps_until_its_time_is_over() {
        let (store, now) = (Store::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        store
            .set("a".into(), entry(b"1", Some(later)), 1000, now)
            .expect("room");
        assert_eq!(store.get("a", now).as_deref(), Some(b"1".as_slice()));
        assert_eq!(store.get("a", later), None);
        store.delete("a");
        assert_eq!(store.get("a", now), None);
        assert_eq!(store.lock().bytes, 0);
    }

    #[test]
    fn a_full_store_first_forgets_what_is_over() {
        let (store, now) = (Store::default(), Instant::now());
        let limit = 2 * (ENTRY_BYTES + 2);
        let later = now + Duration::from_secs(1);
        store
            .set("a".into(), entry(b"1", Some(later)), limit, now)
            .expect("room");
        store
            .set("b".into(), entry(b"1", None), limit, now)
            .expect("room");
        assert_eq!(
            store.set("c".into(), entry(b"1", None), limit, now),
            Err(Error::Full)
        );
        assert_eq!(
            store.set("b".into(), entry(b"2", None), limit, now),
            Ok(()),
            "replacing needs no more"
        );
        assert_eq!(
            store.set("b".into(), entry(b"too long", None), limit, now),
            Err(Error::Full)
        );
        assert_eq!(
            store.get("b", now).as_deref(),
            Some(b"2".as_slice()),
            "what was there stays"
        );
        assert_eq!(store.set("c".into(), entry(b"1", None), limit, later), Ok(()));
    }

    #[test]
    fn counts_within_a_window() {
        let (store, now) = (Store::default(), Instant::now());
        let window = Some(Duration::from_secs(1));
        let add = |delta, at| store.increment("n".into(), delta, window, 1000, at);
        assert_eq!(add(1, now), Ok(1));
        assert_eq!(add(2, now + Duration::from_millis(999)), Ok(3));
        assert_eq!(add(1, now + Duration::from_millis(1000)), Ok(1));
        store
            .set("x".into(), entry(b"no", None), 1000, now)
            .expect("room");
        assert_eq!(
            store.increment("x".into(), 1, None, 1000, now),
            Err(Error::NotACounter)
        );
    }
}
