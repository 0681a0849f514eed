//! One table of the merged configuration, checked against its keys and then read with types.
//!
//! The check reports; the readers do not. A value that the check refused reads as an empty one, which
//! nobody sees, because a configuration with a violation is never returned.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::choice::Choice;
use super::keys::{Absent, Key, find};
use super::kind::{self, Kind};
use super::normalise::join;
use super::server_keys::{FOREIGN, describe_server};
use super::suggest::closest;
use super::tree::{Leaf, Node, Table};
use super::violation::{Findings, Place};

/// A table with its keys.
pub(super) struct Scope<'a> {
    table: &'a Table,
    /// What holds where the table says nothing. It was checked on its own.
    fallback: Option<&'a Table>,
    groups: &'a [&'static [Key]],
    path: String,
}

impl<'a> Scope<'a> {
    pub(super) fn new(table: &'a Table, groups: &'a [&'static [Key]], path: &str) -> Self {
        Self {
            table,
            fallback: None,
            groups,
            path: path.to_owned(),
        }
    }

    /// Reads what the table does not say from another one.
    pub(super) fn with_fallback(self, fallback: &'a Table) -> Self {
        Self {
            fallback: Some(fallback),
            ..self
        }
    }

    /// Returns the path of a key of this table.
    pub(super) fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Returns where a key was written, or else the table.
    pub(super) fn place(&self, key: &str) -> &'a Place {
        self.node(key).map_or(&self.table.place, Node::place)
    }

    /// Returns a key's node.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        let fallback = || self.fallback.and_then(|table| table.entries.get(key));
        self.table.entries.get(key).or_else(fallback)
    }

    /// Reads a table below this one with its keys, if it is there.
    pub(super) fn inside<T>(&self, key: &str, read: impl FnOnce(&Scope<'_>) -> T) -> Option<T> {
        let (Kind::Table(keys), Node::Table(table)) = (self.kind(key), self.node(key)?) else {
            return None;
        };
        Some(read(&Scope::new(table, &[keys], &self.path(key))))
    }

    /// Reads the tables of a list with their keys.
    pub(super) fn entries<T>(&self, key: &str, mut read: impl FnMut(&Scope<'_>) -> Option<T>) -> Vec<T> {
        let (Kind::Entries(keys), Some(list)) = (self.kind(key), self.leaf(key)) else {
            return Vec::new();
        };
        let entries = list.value.as_array().into_iter().flatten().enumerate();
        let tables = entries.filter_map(|(index, entry)| Some((index, entry.as_object()?)));
        tables
            .filter_map(|(index, map)| {
                let table = Table::new(map.clone(), &list.place);
                read(&Scope::new(
                    &table,
                    &[keys],
                    &format!("{}[{index}]", self.path(key)),
                ))
            })
            .collect()
    }

    /// Returns a key's value, if it is not a table.
    pub(super) fn leaf(&self, key: &str) -> Option<&'a Leaf> {
        match self.node(key)? {
            Node::Leaf(leaf) => Some(leaf),
            Node::Table(_) => None,
        }
    }

    /// Refuses unknown keys, wrong values and missing keys of this table. `beside` are names that other
    /// code reads.
    pub(super) fn check(&self, beside: &[&str], findings: &Findings) {
        for (name, node) in &self.table.entries {
            if beside.contains(&name.as_str()) {
                continue;
            }
            match find(self.groups, name) {
                Some(key) => self.check_key(key, node, findings),
                None => findings.refuse(node.place(), self.path(name), self.unknown(name, beside)),
            }
        }
        let required = self
            .groups
            .iter()
            .flat_map(|group| group.iter())
            .filter(|key| key.absent == Absent::Refused);
        for key in required.filter(|key| self.node(key.name).is_none()) {
            findings.refuse(
                &self.table.place,
                self.path(key.name),
                format!("is missing. {}", key.doc),
            );
        }
    }

    fn check_key(&self, key: &Key, node: &Node, findings: &Findings) {
        let path = self.path(key.name);
        match (key.kind, node) {
            (Kind::TemplateTable, Node::Table(table)) => check_variables(table, &path, findings),
            (Kind::HeaderTable, Node::Table(table)) => check_headers(table, &path, findings),
            (Kind::TextTable, Node::Table(table)) => check_texts(table, &path, findings),
            (Kind::Table(keys), Node::Table(table)) => Scope::new(table, &[keys], &path).check(&[], findings),
            (Kind::Free, Node::Table(_)) => {}
            (Kind::Entries(keys), Node::Leaf(leaf)) if leaf.value.is_array() => {
                check_entries(leaf, keys, &path, findings);
            }
            (kind, node) => {
                if let Err(message) = kind.check(&node.value()) {
                    findings.refuse(node.place(), path, message);
                }
            }
        }
    }

    fn unknown(&self, name: &str, beside: &[&str]) -> String {
        let spelled = super::normalise::kebab(name);
        let is_server = describe_server(self.groups);
        if let Some((_, remedy)) = FOREIGN
            .iter()
            .find(|(foreign, _)| is_server && *foreign == spelled)
        {
            return (*remedy).to_owned();
        }
        let known = self
            .groups
            .iter()
            .flat_map(|group| group.iter())
            .map(|key| key.name);
        match closest(&spelled, known.chain(beside.iter().copied())) {
            Some(meant) => format!("unknown key; did you mean `{meant}`?"),
            None => "unknown key; remove it".to_owned(),
        }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.read(key, kind::flag).unwrap_or_default()
    }

    pub(super) fn count(&self, key: &str) -> usize {
        self.try_count(key).unwrap_or_default()
    }

    /// Reads a number that its kind keeps within 32 bits.
    pub(super) fn small_count(&self, key: &str) -> u32 {
        u32::try_from(self.count(key)).unwrap_or(u32::MAX)
    }

    /// Reads a number or a size, whichever the key takes.
    pub(super) fn try_count(&self, key: &str) -> Option<usize> {
        let number = match self.kind(key) {
            Kind::Count(min, max) => self.read(key, |value| kind::count(value, min, max)),
            Kind::Size(min, max) => self.read(key, |value| kind::size(value, min, max)),
            other => unreachable!("`{key}` is read as a number and is {other:?}"),
        };
        number.map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        self.try_duration(key).unwrap_or_default()
    }

    pub(super) fn try_duration(&self, key: &str) -> Option<Duration> {
        match self.kind(key) {
            Kind::Duration(min, max) => self.read(key, |value| kind::duration(value, min, max)),
            Kind::DurationOrNever(max) => self
                .read(key, |value| kind::duration_or_never(value, max))
                .flatten(),
            other => unreachable!("`{key}` is read as a time and is {other:?}"),
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.leaf(key)
            .and_then(|leaf| leaf.value.as_str())
            .map(str::to_owned)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let list = self.leaf(key).and_then(|leaf| leaf.value.as_array());
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn address(&self, key: &str) -> Option<SocketAddr> {
        self.read(key, kind::address)
    }

    pub(super) fn choice<T: Choice>(&self, key: &str) -> T {
        let index = self
            .read(key, |value| kind::choice(value, T::NAMES))
            .unwrap_or_default();
        T::VALUES[index]
    }

    pub(super) fn choices<T: Choice>(&self, key: &str) -> Vec<T> {
        let indices = self
            .read(key, |value| kind::choices(value, T::NAMES))
            .unwrap_or_default();
        indices.into_iter().map(|index| T::VALUES[index]).collect()
    }

    fn read<T>(&self, key: &str, read: impl FnOnce(&'a Value) -> Result<T, String>) -> Option<T> {
        debug_assert!(
            find(self.groups, key).is_some(),
            "`{key}` is not in the table of keys"
        );
        self.leaf(key).and_then(|leaf| read(&leaf.value).ok())
    }

    fn kind(&self, key: &str) -> Kind {
        find(self.groups, key)
            .expect("code reads the keys of the table alone")
            .kind
    }
}

fn check_texts(table: &Table, path: &str, findings: &Findings) {
    for (name, node) in &table.entries {
        if let Err(message) = Kind::Text.check(&node.value()) {
            findings.refuse(node.place(), join(path, name), message);
        }
    }
}

/// Holds a table of headers to what a request can carry. Their values are looked at when they are filled in.
fn check_headers(table: &Table, path: &str, findings: &Findings) {
    for (name, node) in &table.entries {
        let value = Kind::Template.check(&node.value());
        if let Err(message) = kind::header_name(name).and(value) {
            findings.refuse(node.place(), join(path, name), message);
        }
    }
}

fn check_entries(list: &Leaf, keys: &'static [Key], path: &str, findings: &Findings) {
    for (index, entry) in list.value.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        match Node::new(entry.clone(), &list.place) {
            Node::Table(table) => Scope::new(&table, &[keys], &path).check(&[], findings),
            Node::Leaf(_) => {
                findings.refuse(&list.place, path, "expected a table, or a text for its first key")
            }
        }
    }
}

/// Holds a table of environment variables to what a process can be given.
fn check_variables(table: &Table, path: &str, findings: &Findings) {
    for (name, node) in &table.entries {
        if name.is_empty() || name.contains(['=', '\0']) {
            findings.refuse(
                node.place(),
                join(path, name),
                "is not a name for an environment variable",
            );
        }
        if let Err(message) = Kind::Template.check(&node.value()) {
            findings.refuse(node.place(), join(path, name), message);
        }
    }
}
