//! The merged configuration before it is checked: tables and leaves, each with the place it came from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::violation::Place;

/// A table or a value.
#[derive(Clone)]
pub(super) enum Node {
    /// A table.
    Table(Table),
    /// Any other value.
    Leaf(Leaf),
}

/// A table and the place of its latest layer.
#[derive(Clone)]
pub(super) struct Table {
    /// What it holds, by key.
    pub(super) entries: BTreeMap<String, Node>,
    /// Where it was written last.
    pub(super) place: Place,
}

/// A value that is not a table, and its place.
#[derive(Clone)]
pub(super) struct Leaf {
    /// The value; never an object.
    pub(super) value: Value,
    /// Where it was written.
    pub(super) place: Place,
}

impl Node {
    /// Makes a node of which every part comes from one place.
    pub(super) fn new(value: Value, place: &Place) -> Self {
        match value {
            Value::Object(map) => Self::Table(Table::new(map, place)),
            value => Self::Leaf(Leaf {
                value,
                place: place.clone(),
            }),
        }
    }

    /// Returns where the node was written last.
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Table(table) => &table.place,
            Self::Leaf(leaf) => &leaf.place,
        }
    }

    /// Returns the node without its places.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Table(table) => table.value(),
            Self::Leaf(leaf) => leaf.value.clone(),
        }
    }
}

impl Table {
    /// Makes a table of which every part comes from one place.
    pub(super) fn new(map: Map<String, Value>, place: &Place) -> Self {
        let entries = map
            .into_iter()
            .map(|(key, value)| (key, Node::new(value, place)))
            .collect();
        Self {
            entries,
            place: place.clone(),
        }
    }

    /// An empty table of the defaults.
    pub(super) fn empty() -> Self {
        Self::new(Map::new(), &Place::Default)
    }

    /// Returns the table under a key, if that is a table.
    pub(super) fn table(&self, key: &str) -> Option<&Self> {
        match self.entries.get(key)? {
            Node::Table(table) => Some(table),
            Node::Leaf(_) => None,
        }
    }

    /// Returns where a key was written, or else the table.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.entries.get(key).map_or(&self.place, Node::place)
    }

    /// Returns the table without its places.
    pub(super) fn value(&self) -> Value {
        self.entries
            .iter()
            .map(|(key, node)| (key.clone(), node.value()))
            .collect()
    }
}
