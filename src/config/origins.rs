//! Where each effective value came from, for `portcullis check`.

use std::fmt;

use serde_json::Value;

use super::keys::{Absent, Key, NAMED, SECTIONS, TOP, find};
use super::kind::Kind;
use super::model::Config;
use super::normalise::join;
use super::remote::shown_url;
use super::secret::{HIDDEN, shown_secret};
use super::tree::{Node, Table};
use super::violation::Place;

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The path of its key.
    pub key: String,
    /// The value as it may be shown: variables by name, secrets as `***`.
    pub value: String,
    /// Where it was written.
    pub place: Place,
}

/// Every effective value. What a server does not set for itself is listed once, under `server-defaults`.
/// Displays an aligned table, one line per value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The values, in the order of the documentation.
    pub entries: Vec<Origin>,
}

impl Origins {
    /// Returns where the value of a key path was written, or else what holds it; for what is checked after loading.
    pub fn place_of(&self, path: &str) -> Option<&Place> {
        let holds = |key: &str, inner: &str| {
            inner
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let exact = self.entries.iter().find(|entry| holds(&entry.key, path));
        exact
            .or_else(|| self.entries.iter().find(|entry| holds(path, &entry.key)))
            .map(|entry| &entry.place)
    }

    /// Lists a merged configuration that was found valid.
    pub(super) fn of(merged: &Table, config: &Config) -> Self {
        let mut entries = Vec::new();
        let sections = SECTIONS
            .iter()
            .map(|(name, keys)| (*name, merged.table(name), *keys));
        for (section, table, keys) in [("", Some(merged), TOP)].into_iter().chain(sections) {
            for key in keys {
                let node = table.and_then(|table| table.entries.get(key.name));
                entries.push(entry(&join(section, key.name), key, node, config));
            }
        }
        for (section, groups) in NAMED {
            for (name, node) in merged.table(section).into_iter().flat_map(|table| &table.entries) {
                let Node::Table(table) = node else { continue };
                for (key, node) in &table.entries {
                    let kind = find(groups, key).map_or(Kind::Free, |key| key.kind);
                    push_set(&mut entries, &format!("{section}.{name}.{key}"), kind, node);
                }
            }
        }
        Self { entries }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Origin) -> &str| {
            let widths = self.entries.iter().map(|entry| text(entry).chars().count());
            widths.filter(|width| *width <= COLUMN_MAX).max().unwrap_or(0)
        };
        let (keys, values) = (width(|entry| &entry.key), width(|entry| &entry.value));
        for Origin { key, value, place } in &self.entries {
            writeln!(formatter, "{key:keys$}  {value:values$}  {place}")?;
        }
        Ok(())
    }
}

/// Longer texts do not widen their column.
const COLUMN_MAX: usize = 48;

/// Returns a key of a fixed section, set or not.
fn entry(path: &str, key: &Key, node: Option<&Node>, config: &Config) -> Origin {
    let absent = || match (path, key.absent) {
        ("state-dir", _) => config.state_dir.display().to_string(),
        ("admin.token-file", _) => config.admin.token_file.display().to_string(),
        (_, Absent::Means(meaning)) => format!("({meaning})"),
        (_, Absent::Default | Absent::Refused) => "(none)".to_owned(),
    };
    match node {
        Some(node) => Origin {
            key: path.to_owned(),
            value: show(key.kind, node),
            place: node.place().clone(),
        },
        None => Origin {
            key: path.to_owned(),
            value: absent(),
            place: Place::Default,
        },
    }
}

/// Adds a key of a named thing, one line per value of a table.
fn push_set(entries: &mut Vec<Origin>, path: &str, kind: Kind, node: &Node) {
    match node {
        Node::Table(table) => {
            // A variable for a process may hold anything.
            let kind = match kind {
                Kind::TemplateTable | Kind::HeaderTable => Kind::Secret,
                kind => kind,
            };
            for (name, node) in &table.entries {
                push_set(entries, &join(path, name), kind, node);
            }
        }
        Node::Leaf(_) => {
            entries.push(Origin {
                key: path.to_owned(),
                value: show(kind, node),
                place: node.place().clone(),
            });
        }
    }
}

fn show(kind: Kind, node: &Node) -> String {
    match (kind, node.place(), node.value()) {
        (Kind::Secret, Place::Variable(_), _) => HIDDEN.to_owned(),
        (Kind::Secret, _, Value::String(text)) => shown_secret(&text).to_owned(),
        (Kind::Secret, ..) => HIDDEN.to_owned(),
        (kind, Place::Variable(name), _) if kind.expands() => format!("${{{name}}}"),
        (Kind::Url, _, Value::String(text)) => Value::from(shown_url(&text)).to_string(),
        (_, _, value) => value.to_string(),
    }
}
