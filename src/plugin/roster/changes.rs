//! What happens to plugins, for whoever wants to hear of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::plugin::Plugin;
use super::Entry;

/// Something that happened to a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name.
    pub plugin: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The details, by kind.
    pub data: Value,
}

/// What can happen to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It has a new generation.
    Loaded,
    /// Its newest candidate was not let in.
    Failed,
    /// The same generation judges from now on, or judges no more.
    StatusChanged,
    /// It is gone.
    Removed,
}

type Entries = BTreeMap<String, Entry>;

/// Returns what has happened between two rounds. `judged` are the plugins that judged before, `judges` those that do now.
pub(super) fn of(
    before: &Entries,
    after: &Entries,
    judged: &[Arc<Plugin>],
    judges: &[Arc<Plugin>],
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, entry) in after {
        let old = before.get(name);
        let (status, status_before) = (status_of(name, judges), status_of(name, judged));
        if let Some(live) = &entry.live {
            let before = old.and_then(|old| old.live.as_ref());
            let is_new = before.is_none_or(|before| !Arc::ptr_eq(before, live));
            if is_new {
                let plugin = &live.plugin;
                let data = json!({
                    "generation": plugin.generation(),
                    "previousGeneration": before.map(|before| before.plugin.generation()),
                    "version": plugin.version(),
                    "sha256": plugin.sha256(),
                    "status": status,
                });
                changes.push(change(name, ChangeKind::Loaded, data));
            } else if status != status_before {
                let data = json!({ "generation": live.plugin.generation(), "status": status });
                changes.push(change(name, ChangeKind::StatusChanged, data));
            }
        }
        changes.extend(failure(name, old, entry));
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    changes.extend(gone.map(|name| change(name, ChangeKind::Removed, json!({}))));
    changes
}

/// Returns that a candidate was not let in, unless the same was known before.
pub(super) fn failure(name: &str, old: Option<&Entry>, entry: &Entry) -> Option<Change> {
    let failure = entry.failure.as_ref()?;
    if old.and_then(|old| old.failure.as_ref()) == Some(failure) {
        return None;
    }
    let data = json!({
        "error": failure.error,
        "sha256": failure.sha256,
        "generation": entry.live.as_ref().map(|live| live.plugin.generation()),
    });
    Some(change(name, ChangeKind::Failed, data))
}

fn status_of(name: &str, judges: &[Arc<Plugin>]) -> &'static str {
    match judges.iter().any(|plugin| plugin.name() == name) {
        true => "active",
        false => "idle",
    }
}

fn change(name: &str, kind: ChangeKind, data: Value) -> Change {
    Change {
        plugin: name.to_owned(),
        kind,
        data,
    }
}
