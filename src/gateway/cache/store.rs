//! Where the answers stand: by instance, by request, by principal where they are one's own. Pure; the caller brings the
//! time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::kept::Kept;
use super::key::{Asked, Fingerprint, Topic};
use crate::protocol::modern::subscriptions::is_within;
use crate::upstream::Origin;

/// Who asks whom what.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) origin: Origin,
    pub(super) asked: Asked,
    pub(super) principal: Arc<str>,
}

impl Question {
    fn key(&self, principal: Option<&Arc<str>>) -> Key {
        Key {
            request: self.asked.fingerprint,
            principal: principal.cloned(),
        }
    }
}

/// What there is.
#[derive(Debug)]
pub(super) enum Looked {
    /// An answer that is fresh.
    Found(Kept),
    /// None. This is the time that it is now.
    Missing { since: Tick },
    /// There can be none.
    Nothing,
}

/// Grows with everything that happens in a store.
pub(super) type Tick = u64;

/// All answers. Where one more does not fit, the one goes that was not asked for the longest.
#[derive(Debug)]
pub(super) struct Store {
    entries_max: usize,
    bytes_max: usize,
    bytes: usize,
    /// By instance.
    shelves: HashMap<u64, Shelf>,
    /// Where they stand, by their last use.
    uses: BTreeMap<Tick, (u64, Key)>,
    now: Tick,
}

/// The answers of one generation of an instance.
#[derive(Debug)]
struct Shelf {
    generation: u64,
    /// When each topic has changed last. What was sent before that is not kept.
    changed: [Tick; Topic::COUNT],
    entries: HashMap<Key, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    request: Fingerprint,
    /// Whose it is; everybody's without.
    principal: Option<Arc<str>>,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    topic: Topic,
    /// The resource that was read.
    uri: Option<Box<str>>,
    last_use: Tick,
}

impl Entry {
    fn size(&self) -> usize {
        self.kept.len() + self.uri.as_ref().map_or(0, |uri| uri.len())
    }

    /// Returns whether a change concerns it: of a resource, of what lies below it, or of anything.
    fn is_about(&self, topics: &[Topic], changed: Option<&str>) -> bool {
        let is_it = || match (&self.uri, changed) {
            (Some(uri), Some(changed)) => is_within(changed, uri),
            _ => true,
        };
        topics.contains(&self.topic) && is_it()
    }
}

impl Store {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            entries_max,
            bytes_max,
            bytes: 0,
            shelves: HashMap::new(),
            uses: BTreeMap::new(),
            now: 0,
        }
    }

    /// Returns how many answers there are, and how many bytes they have.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.uses.len(), self.bytes)
    }

    /// Looks for an answer: one for everybody, or the principal's own.
    pub(super) fn look_up(&mut self, question: &Question, now: Instant) -> Looked {
        let Some(shelf) = self.shelf(question.origin) else {
            return Looked::Nothing;
        };
        if !shelf.entries.is_empty() {
            for principal in [None, Some(&question.principal)] {
                let key = question.key(principal);
                if let Some(kept) = self.use_fresh(question.origin.instance, &key, now) {
                    return Looked::Found(kept);
                }
            }
        }
        Looked::Missing { since: self.now }
    }

    fn use_fresh(&mut self, instance: u64, key: &Key, now: Instant) -> Option<Kept> {
        let entry = self.shelves.get_mut(&instance)?.entries.get_mut(key)?;
        if !entry.kept.is_fresh(now) {
            self.remove(instance, key);
            return None;
        }
        let place = self.uses.remove(&entry.last_use);
        self.now += 1;
        entry.last_use = self.now;
        self.uses.insert(self.now, place.expect("each entry has its use"));
        Some(entry.kept.clone())
    }

    /// Keeps the answer to a request that was sent at `since`, unless what it is about has changed meanwhile.
    pub(super) fn put(&mut self, question: &Question, since: Tick, kept: Kept) {
        let Question { origin, asked, .. } = question;
        let is_true = |shelf: &Shelf| {
            shelf.generation == origin.generation && shelf.changed[asked.topic as usize] <= since
        };
        if !self.shelves.get(&origin.instance).is_some_and(is_true) {
            return;
        }
        // What was for everybody is not what its server says now.
        self.remove(origin.instance, &question.key(None));
        let key = question.key((!kept.is_public()).then_some(&question.principal));
        self.remove(origin.instance, &key);
        let entry = Entry {
            topic: asked.topic,
            uri: asked.uri.clone(),
            last_use: self.now + 1,
            kept,
        };
        if self.make_room(entry.size()) {
            self.now += 1;
            self.bytes += entry.size();
            self.uses.insert(self.now, (origin.instance, key.clone()));
            let shelf = self.shelves.get_mut(&origin.instance);
            shelf.expect("it was there").entries.insert(key, entry);
        }
    }

    fn make_room(&mut self, size: usize) -> bool {
        if size > self.bytes_max {
            return false;
        }
        while self.uses.len() >= self.entries_max || self.bytes + size > self.bytes_max {
            let (_, (instance, key)) = self.uses.first_key_value().expect("an empty store has room");
            let (instance, key) = (*instance, key.clone());
            self.remove(instance, &key);
        }
        true
    }

    /// Forgets the answers about these topics, and those that are under way; of what was read, that of the resource with
    /// this URI or of one above it, where there is one.
    pub(super) fn forget_changed(&mut self, origin: Origin, topics: &[Topic], uri: Option<&str>) {
        self.now += 1;
        let shelf = self.shelves.get_mut(&origin.instance);
        // A shelf that comes later knows that it is new.
        let Some(shelf) = shelf.filter(|shelf| shelf.generation == origin.generation) else {
            return;
        };
        topics
            .iter()
            .for_each(|topic| shelf.changed[*topic as usize] = self.now);
        self.remove_where(origin.instance, |entry| entry.is_about(topics, uri));
    }

    /// Forgets everything of an instance.
    pub(super) fn forget(&mut self, instance: u64) {
        self.remove_where(instance, |_| true);
        self.shelves.remove(&instance);
    }

    /// Forgets what is too old.
    pub(super) fn sweep(&mut self, now: Instant) {
        let instances: Vec<u64> = self.shelves.keys().copied().collect();
        for instance in instances {
            self.remove_where(instance, |entry| !entry.kept.is_fresh(now));
        }
    }

    /// Returns the shelf of a generation; `None` where there is a later one. What was there of an earlier one goes.
    fn shelf(&mut self, origin: Origin) -> Option<&mut Shelf> {
        let Origin { instance, generation } = origin;
        let is_earlier = |shelf: &Shelf| shelf.generation < generation;
        if self.shelves.get(&instance).is_some_and(is_earlier) {
            self.forget(instance);
        }
        let shelf = self.shelves.entry(instance).or_insert_with(|| {
            self.now += 1;
            Shelf {
                generation,
                changed: [self.now; Topic::COUNT],
                entries: HashMap::new(),
            }
        });
        (shelf.generation == generation).then_some(shelf)
    }

    fn remove(&mut self, instance: u64, key: &Key) {
        let shelf = self.shelves.get_mut(&instance);
        if let Some(entry) = shelf.and_then(|shelf| shelf.entries.remove(key)) {
            self.bytes -= entry.size();
            self.uses.remove(&entry.last_use);
        }
    }

    fn remove_where(&mut self, instance: u64, is_gone: impl Fn(&Entry) -> bool) {
        let Some(shelf) = self.shelves.get_mut(&instance) else {
            return;
        };
        for (_, entry) in shelf.entries.extract_if(|_, entry| is_gone(entry)) {
            self.bytes -= entry.size();
            self.uses.remove(&entry.last_use);
        }
    }
}

#[cfg(test)]
mod tests;
