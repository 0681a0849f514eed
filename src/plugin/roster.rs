//! The roster: every plugin there is, which of them judge, and how one set of them takes the place of another.
//!
//! A round reads what the operator wants and what lies in the folder, makes a generation of everything that is new, and
//! puts the whole set in place at once. A plugin that is not let in changes nothing but its status: its generation
//! before goes on. Where that is not possible, or messages would be judged by nobody, or by other modes than those that
//! the gateway chooses from, the whole set stays as it was.

mod changes;
mod entry;
mod judges;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info, warn};

pub use self::changes::{Change, ChangeKind};
pub(super) use self::entry::Entry;
use self::entry::failed;
use self::judges::{judges, problems};
use super::cache::CompileCache;
use super::folder::folders;
use super::loader::{PluginLoader, on_thread};
use super::orders::PluginOrders;
use super::plugin::Plugin;
use super::set::{PluginSet, Plugins};
use super::status;
use crate::config::Activate;
use crate::schema::SchemaCache;

/// Most plugins that lie in the folder without being named.
const DROPPED_MAX: usize = 64;

/// Where a roster learns what the operator wants, and who learns from it what became of that.
pub trait Source: Send + Sync {
    /// Says what the operator wants, each time anew.
    ///
    /// # Errors
    /// Why that cannot be read.
    fn read(&self) -> Result<PluginOrders, String>;

    /// Takes note that what was read last is in place.
    fn adopted(&self) {}

    /// Takes note of what happened to a plugin.
    fn changed(&self, _change: Change) {}
}

impl<F: Fn() -> Result<PluginOrders, String> + Send + Sync> Source for F {
    fn read(&self) -> Result<PluginOrders, String> {
        self()
    }
}

/// What a roster is made of.
pub struct RosterOptions {
    /// What the operator wants.
    pub source: Arc<dyn Source>,
    /// Where compiled components are kept.
    pub cache: CompileCache,
    /// The validators.
    pub schemas: Arc<SchemaCache>,
    /// Where the set is put.
    pub plugins: Arc<Plugins>,
}

/// The plugins of a gateway.
pub struct Roster {
    source: Arc<dyn Source>,
    loader: PluginLoader,
    plugins: Arc<Plugins>,
    /// Held for a round: one at a time.
    turn: tokio::sync::Mutex<()>,
    /// A std mutex: held for look-ups.
    book: Mutex<Book>,
    rounds: watch::Sender<u64>,
}

/// What is known.
#[derive(Default)]
pub(super) struct Book {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Those that were replaced, while requests hold them.
    pub(super) retired: Vec<Weak<Plugin>>,
    /// The parts of the configuration that the set in place was made for.
    parts: Map<String, Value>,
    /// Why the last round changed nothing.
    pub(super) problems: Vec<String>,
}

/// Why the plugins are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RosterError {
    /// No such plugin.
    #[error("there is no plugin {0:?}; GET /admin/v1/plugins and `portcullis plugin list` list them")]
    Unknown(String),
    /// Everything that is wrong, each with its place.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
}

/// What a round looks at.
#[derive(Clone, Copy)]
enum Scope<'n> {
    /// Without the plugins that do not judge: they can wait until the gateway serves.
    Start,
    /// All.
    Changed,
    /// All, and one of them gets another generation in any case.
    Anew(&'n str),
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster")
            .field("plugins", &self.book().entries.keys())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RosterOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RosterOptions").finish_non_exhaustive()
    }
}

impl Roster {
    /// Loads every plugin that judges.
    ///
    /// # Errors
    /// One of them is not let in, or nobody would judge access in a mode: everything at once.
    pub async fn start(options: RosterOptions) -> Result<Arc<Self>, RosterError> {
        let RosterOptions {
            source,
            cache,
            schemas,
            plugins,
        } = options;
        let roster = Arc::new(Self {
            source,
            loader: PluginLoader::new(cache, schemas),
            plugins,
            turn: tokio::sync::Mutex::default(),
            book: Mutex::default(),
            rounds: watch::Sender::new(0),
        });
        roster.round(Scope::Start).await?;
        Ok(roster)
    }

    /// Looks for changes, and puts them in place.
    ///
    /// # Errors
    /// A plugin that the configuration names was not let in, or the set stays as it was.
    pub async fn reload(&self) -> Result<(), RosterError> {
        self.round(Scope::Changed).await
    }

    /// Makes another generation of one plugin, whether it has changed or not.
    ///
    /// # Errors
    /// There is no such plugin; it was not let in; the set stays as it was.
    pub async fn reload_one(&self, name: &str) -> Result<(), RosterError> {
        let done = self.round(Scope::Anew(name)).await;
        let book = self.book();
        let entry = book.entries.get(name);
        let entry = entry.ok_or_else(|| RosterError::Unknown(name.to_owned()))?;
        match &entry.failure {
            Some(failure) => Err(RosterError::Refused(vec![failed(name, failure)])),
            None if book.problems.is_empty() => Ok(()),
            None => done,
        }
    }

    /// Returns what there is, for people to look at: by name, then by generation.
    pub fn records(&self) -> Vec<Value> {
        status::records(&self.book(), &self.plugins.current())
    }

    /// Returns why the last round changed nothing, if so.
    pub fn problems(&self) -> Vec<String> {
        self.book().problems.clone()
    }

    /// Returns how many rounds there were; changes after each.
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Returns whether anything was loaded or tried: before that there is no engine.
    pub fn has_engine(&self) -> bool {
        self.loader.has_host()
    }

    /// Lets instances go that were not used for long. To be called now and then.
    pub fn look_after_instances(&self) {
        let live: Vec<_> = self
            .book()
            .entries
            .values()
            .filter_map(|entry| entry.live.clone())
            .collect();
        for loaded in live {
            loaded.plugin.shrink();
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no holder panics")
    }

    async fn round(&self, scope: Scope<'_>) -> Result<(), RosterError> {
        let _turn = self.turn.lock().await;
        let (problems, kept) = match self.look(scope).await {
            Ok(kept) => (Vec::new(), kept),
            Err(problems) => (problems, Vec::new()),
        };
        if !problems.is_empty() && !matches!(scope, Scope::Start) {
            error!(problems = problems.join("; "), "everything stays as it was");
        }
        {
            let mut book = self.book();
            book.retired.retain(|plugin| plugin.strong_count() > 0);
            book.problems.clone_from(&problems);
        }
        self.rounds.send_modify(|rounds| *rounds += 1);
        match [problems, kept].concat() {
            wrong if wrong.is_empty() => Ok(()),
            wrong => Err(RosterError::Refused(wrong)),
        }
    }

    /// Returns which of the named plugins keep their generation because the newest candidate is not let in.
    ///
    /// # Errors
    /// Why the set stays as it was.
    async fn look(&self, scope: Scope<'_>) -> Result<Vec<String>, Vec<String>> {
        let source = self.source.clone();
        let read = on_thread(move || source.read()).await;
        let orders = read
            .map_err(|error| vec![error.to_string()])?
            .map_err(|error| vec![error])?;
        let names = self.names(&orders, scope).await?;
        let mut entries = BTreeMap::new();
        for name in names {
            let old = self.book().entries.get(&name).cloned().unwrap_or_default();
            let force = matches!(scope, Scope::Anew(anew) if anew == name);
            let entry = self.candidate(&orders, &name, old, force).await;
            entries.insert(name, entry);
        }
        let judges = judges(&orders, &entries);
        let has_new_parts = self.book().parts != orders.parts;
        let problems = problems(&orders, &entries, &judges, scope, has_new_parts);
        if !problems.is_empty() {
            self.keep_failures(entries);
            return Err(problems);
        }
        let named = orders.plugins.iter().map(|spec| &spec.name);
        let failures = named.filter_map(|name| Some(failed(name, entries[name].failure.as_ref()?)));
        let failures = failures.collect();
        self.adopt(entries, judges, orders.parts);
        self.source.adopted();
        Ok(failures)
    }

    /// Returns the plugins that the configuration names, and those that lie in the folder.
    ///
    /// # Errors
    /// Those that lie there judge, and not all of them can be seen: none must be missed.
    async fn names(&self, orders: &PluginOrders, scope: Scope<'_>) -> Result<BTreeSet<String>, Vec<String>> {
        let mut names: BTreeSet<String> = orders.plugins.iter().map(|spec| spec.name.clone()).collect();
        let all_judge = orders.host.activate == Activate::Dropped;
        if matches!(scope, Scope::Start) && !all_judge {
            return Ok(names);
        }
        let dir = orders.host.dir.clone();
        let known: BTreeSet<String> = self.book().entries.keys().cloned().collect();
        let found = on_thread(move || folders(&dir, &known)).await;
        let found = found.map_err(|error| error.to_string());
        let found = found.and_then(|found| found.map_err(|error| error.to_string()));
        let mut dropped = match found {
            Ok(dropped) => dropped,
            Err(error) if all_judge => return Err(vec![format!("plugins.dir: it cannot be read: {error}")]),
            Err(error) => {
                warn!(error, "the folder of the plugins cannot be read");
                Vec::new()
            }
        };
        dropped.retain(|name| !names.contains(name));
        if dropped.len() > DROPPED_MAX {
            let problem = format!(
                "plugins.dir: {} plugins lie there without being named, and at most {DROPPED_MAX} are looked at",
                dropped.len()
            );
            if all_judge {
                return Err(vec![problem]);
            }
            warn!(problem, "the last ones are not looked at");
        }
        names.extend(dropped.into_iter().take(DROPPED_MAX));
        Ok(names)
    }

    async fn candidate(&self, orders: &PluginOrders, name: &str, old: Entry, force: bool) -> Entry {
        let spec = orders.spec(name);
        let folder = match self.loader.read(orders.host.dir.join(name)).await {
            Ok(folder) => folder,
            Err(error) => return old.failed(name, error.to_string(), None, None),
        };
        let digest = orders.digest(&spec, folder.digest());
        if !force && old.live.as_ref().is_some_and(|live| live.digest == digest) {
            return Entry {
                failure: None,
                tried: Some(digest),
                ..old
            };
        }
        if !force && old.tried == Some(digest) {
            return old;
        }
        let sha256 = folder.sha256();
        let same = old.live.as_ref().filter(|live| live.plugin.sha256() == sha256);
        let known = same.map(|live| live.component.clone());
        match self.loader.load(folder, orders, spec, known).await {
            Ok(loaded) => old.loaded(loaded, digest),
            Err(error) => {
                let tried = (!error.can_pass()).then_some(digest);
                old.failed(name, error.to_string(), Some(sha256), tried)
            }
        }
    }

    /// Puts everything in place.
    fn adopt(&self, entries: BTreeMap<String, Entry>, judges: Vec<Arc<Plugin>>, parts: Map<String, Value>) {
        let current = self.plugins.current();
        let is_same = current.plugins().len() == judges.len()
            && current
                .plugins()
                .iter()
                .zip(&judges)
                .all(|(old, new)| Arc::ptr_eq(old, new));
        let mut book = self.book();
        let changes = changes::of(&book.entries, &entries, current.plugins(), &judges);
        book.parts = parts;
        let old = std::mem::replace(&mut book.entries, entries);
        for live in old.values().filter_map(|entry| entry.live.as_ref()) {
            let goes_on = book.entries.values().filter_map(|entry| entry.live.as_ref());
            if !goes_on
                .clone()
                .any(|other| Arc::ptr_eq(&other.plugin, &live.plugin))
            {
                book.retired.push(Arc::downgrade(&live.plugin));
            }
        }
        if !is_same {
            let plugins: Vec<_> = judges.iter().map(|plugin| plugin.name()).collect();
            info!(
                plugins = plugins.join(", "),
                "these plugins judge from now on, in this order"
            );
            self.plugins.replace(PluginSet::new(judges));
        }
        drop(book);
        changes.into_iter().for_each(|change| self.source.changed(change));
    }

    /// Nothing is put in place; what was not let in is shown all the same, and no longer what would be now.
    fn keep_failures(&self, entries: BTreeMap<String, Entry>) {
        let mut failures = Vec::new();
        let mut book = self.book();
        for (name, entry) in entries {
            let old = book.entries.get(&name).cloned().unwrap_or_default();
            failures.extend(changes::failure(&name, Some(&old), &entry));
            let has_failed = entry.failure.is_some();
            if has_failed || old.failure.is_some() {
                let known = if has_failed { entry } else { Entry::default() };
                let live = old.live;
                book.entries.insert(name, Entry { live, ..known });
            }
        }
        drop(book);
        failures
            .into_iter()
            .for_each(|change| self.source.changed(change));
    }
}

#[cfg(test)]
mod tests;
