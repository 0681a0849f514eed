//! The roster: every plugin there is, which of them judge, and how one set of them takes the place of another.
//!
//! A round reads what the operator wants and what lies in the folder, makes a generation of everything that is new, and
//! puts the whole set in place at once. A plugin that is not let in changes nothing but its status: its generation
//! before goes on. Where that is not possible, or messages would be judged by nobody, the whole set stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::cache::CompileCache;
use super::folder::COMPONENT_FILE;
use super::loader::{LoadedPlugin, PluginLoader, on_thread};
use super::manifest::{MANIFEST_FILE, is_name};
use super::orders::PluginOrders;
use super::plugin::Plugin;
use super::set::{PluginSet, Plugins};
use super::{status, wishes};
use crate::config::Activate;
use crate::schema::SchemaCache;

/// Most plugins that lie in the folder without being named.
const DROPPED_MAX: usize = 64;

/// Says what the operator wants, each time anew; or why that cannot be read.
pub type Source = Arc<dyn Fn() -> Result<PluginOrders, String> + Send + Sync>;

/// What a roster is made of.
pub struct RosterOptions {
    /// What the operator wants.
    pub source: Source,
    /// Where compiled components are kept.
    pub cache: CompileCache,
    /// The validators.
    pub schemas: Arc<SchemaCache>,
    /// Where the set is put.
    pub plugins: Arc<Plugins>,
}

/// The plugins of a gateway.
pub struct Roster {
    source: Source,
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
    /// Why the last round changed nothing.
    pub(super) problems: Vec<String>,
}

/// What is known of one plugin.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) live: Option<Arc<LoadedPlugin>>,
    pub(super) failure: Option<Failure>,
    /// Digest of what was tried last.
    tried: Option<[u8; 32]>,
}

/// Why the newest candidate was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: String,
    /// Of its component, if that could be read.
    pub(super) sha256: Option<String>,
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
            error!(problems = problems.join("; "), "the plugins stay as they were");
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
        let read = on_thread(move || source()).await;
        let orders = read
            .map_err(|error| vec![error.to_string()])?
            .map_err(|error| vec![error])?;
        let names = self.names(&orders, scope).await;
        let mut entries = BTreeMap::new();
        for name in names {
            let old = self.book().entries.get(&name).cloned().unwrap_or_default();
            let force = matches!(scope, Scope::Anew(anew) if anew == name);
            let entry = self.candidate(&orders, &name, old, force).await;
            entries.insert(name, entry);
        }
        let judges = judges(&orders, &entries);
        let problems = problems(&orders, &entries, &judges);
        if !problems.is_empty() {
            self.keep_failures(entries);
            return Err(problems);
        }
        let named = orders.plugins.iter().map(|spec| &spec.name);
        let failures = named.filter_map(|name| Some(failed(name, entries[name].failure.as_ref()?)));
        let failures = failures.collect();
        self.adopt(entries, judges);
        Ok(failures)
    }

    /// Returns the plugins that the configuration names, and those that lie in the folder.
    async fn names(&self, orders: &PluginOrders, scope: Scope<'_>) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = orders.plugins.iter().map(|spec| spec.name.clone()).collect();
        if matches!(scope, Scope::Start) && orders.host.activate == Activate::Named {
            return names;
        }
        let dir = orders.host.dir.clone();
        let mut dropped = on_thread(move || folders(&dir)).await.unwrap_or_default();
        dropped.retain(|name| !names.contains(name));
        if dropped.len() > DROPPED_MAX {
            warn!(
                plugins = dropped.len(),
                max = DROPPED_MAX,
                "too many plugins lie in the folder without being named: the last ones are not looked at"
            );
        }
        names.extend(dropped.into_iter().take(DROPPED_MAX));
        names
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
            Ok(loaded) => {
                announce(&loaded, old.live.as_deref());
                Entry {
                    live: Some(Arc::new(loaded)),
                    failure: None,
                    tried: Some(digest),
                }
            }
            Err(error) => old.failed(name, error.to_string(), Some(sha256), Some(digest)),
        }
    }

    /// Puts everything in place.
    fn adopt(&self, entries: BTreeMap<String, Entry>, judges: Vec<Arc<Plugin>>) {
        let current = self.plugins.current();
        let is_same = current.plugins().len() == judges.len()
            && current
                .plugins()
                .iter()
                .zip(&judges)
                .all(|(old, new)| Arc::ptr_eq(old, new));
        let mut book = self.book();
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
    }

    /// Nothing is put in place; what was not let in is shown all the same, and no longer what would be now.
    fn keep_failures(&self, entries: BTreeMap<String, Entry>) {
        let mut book = self.book();
        for (name, entry) in entries {
            let old = book.entries.get(&name).cloned().unwrap_or_default();
            if entry.failure.is_some() {
                book.entries.insert(
                    name,
                    Entry {
                        live: old.live,
                        ..entry
                    },
                );
            } else if old.failure.is_some() {
                let live = old.live;
                book.entries.insert(
                    name,
                    Entry {
                        live,
                        ..Entry::default()
                    },
                );
            }
        }
    }
}

impl Entry {
    fn failed(self, name: &str, error: String, sha256: Option<String>, tried: Option<[u8; 32]>) -> Self {
        let failure = Failure { error, sha256 };
        if self.failure.as_ref() != Some(&failure) {
            let goes_on = self.live.as_ref().map(|live| live.plugin.generation());
            warn!(plugin = name, error = failure.error, goes_on, "plugin not let in");
        }
        Self {
            live: self.live,
            failure: Some(failure),
            tried,
        }
    }
}

fn failed(name: &str, failure: &Failure) -> String {
    format!("plugins.{name}: {}", failure.error)
}

/// Returns the folders that hold a whole plugin, in their order. Others hold sources, or something else.
fn folders(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| {
            let has = |file: &str| dir.join(name).join(file).symlink_metadata().is_ok();
            is_name(name) && has(MANIFEST_FILE) && has(COMPONENT_FILE)
        })
        .collect();
    names.sort_unstable();
    names
}

/// Returns the plugins that judge: the named ones in their order, then perhaps the others by name.
fn judges(orders: &PluginOrders, entries: &BTreeMap<String, Entry>) -> Vec<Arc<Plugin>> {
    let plugin = |name: &String| Some(entries.get(name)?.live.as_ref()?.plugin.clone());
    let named: Vec<&String> = orders.plugins.iter().map(|spec| &spec.name).collect();
    let others = match orders.host.activate {
        Activate::Named => Vec::new(),
        Activate::Dropped => entries.keys().filter(|name| !named.contains(name)).collect(),
    };
    named.into_iter().chain(others).filter_map(plugin).collect()
}

/// Returns why a set cannot be put in place.
fn problems(orders: &PluginOrders, entries: &BTreeMap<String, Entry>, judges: &[Arc<Plugin>]) -> Vec<String> {
    let mut problems = Vec::new();
    for spec in &orders.plugins {
        let entry = &entries[&spec.name];
        if let (None, Some(failure)) = (&entry.live, &entry.failure) {
            problems.push(failed(&spec.name, failure));
        }
    }
    for mode in wishes::unguarded(orders.modes(), judges) {
        problems.push(format!(
            "modes.{mode}: no plugin that judges decides on access in this mode: let [[plugins]] name one that does, such as mode-access"
        ));
    }
    problems
}

fn announce(loaded: &LoadedPlugin, before: Option<&LoadedPlugin>) {
    let plugin = &loaded.plugin;
    info!(
        plugin = plugin.name(),
        generation = plugin.generation(),
        version = plugin.version(),
        sha256 = plugin.sha256(),
        "plugin loaded"
    );
    for warning in &loaded.warnings {
        warn!(plugin = plugin.name(), warning, "look at this plugin");
    }
    if let Some(before) = before {
        let requested = |loaded: &LoadedPlugin| wishes::requested(&loaded.plugin.manifest().requests);
        let more: Vec<String> = requested(loaded)
            .difference(&requested(before))
            .cloned()
            .collect();
        if !more.is_empty() {
            let more = more.join(", ");
            warn!(
                plugin = plugin.name(),
                more, "this version asks for more than the one before"
            );
        }
    }
}

#[cfg(test)]
mod tests;
